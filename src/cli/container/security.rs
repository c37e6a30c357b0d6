//! The flags about what a container may do, and what it shares with others.

use super::texts;
use crate::error::Result;
use crate::flags::{Flag, Parsed, option, switch};
use crate::isolation::{Namespaces, Security, UserNamespace};

pub const FLAGS: &[Flag] = &[
    option("sysctl", None, "NAME=VALUE", "Change a kernel setting of the container's own"),
    option("cap-add", None, "CAPABILITY", "Give a capability, or `ALL`"),
    option("cap-drop", None, "CAPABILITY", "Take a capability, or `ALL`"),
    option(
        "security-opt",
        None,
        "OPTION",
        "`no-new-privileges`, `seccomp=FILE|unconfined`, `systempaths=unconfined`",
    ),
    switch("privileged", None, "Trust the container as the host's own root"),
    option(
        "device",
        None,
        "SOURCE[:TARGET[:rwm]]",
        "Give the container a device of the host",
    ),
    option(
        "device-cgroup-rule",
        None,
        "RULE",
        "Allow the container to use devices, such as `c 10:* rwm`",
    ),
    option("pid", None, "MODE", "Share processes: `host`, `container:NAME`"),
    option(
        "ipc",
        None,
        "MODE",
        "Share memory: `private`, `shareable`, `none`, `host`, `container:NAME`",
    ),
    option("uts", None, "MODE", "Share the host name: `host`"),
    option("userns", None, "MODE", "Whose users: `host`, `auto[:size=N]`, `remap`"),
    option("cgroupns", None, "MODE", "Share the view of cgroups: `host`, `private`"),
];

pub fn security(parsed: &Parsed) -> Result<Security> {
    let [added, dropped, options] = ["cap-add", "cap-drop", "security-opt"].map(|flag| texts(parsed, flag));
    Security::parse(parsed.is_set("privileged"), &added, &dropped, &options)
}

pub fn namespaces(parsed: &Parsed) -> Result<Namespaces> {
    let [pid, ipc, uts, cgroup] = ["pid", "ipc", "uts", "cgroupns"].map(|flag| parsed.text(flag));
    Ok(Namespaces {
        users: UserNamespace::parse(parsed.text("userns")?.unwrap_or_default())?,
        ..Namespaces::parse(pid?, ipc?, uts?, cgroup?)?
    })
}
