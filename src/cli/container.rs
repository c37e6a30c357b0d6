//! The flags that say what a container is to be: those of `run`, and of whatever else takes them.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::cgroup::{DeviceRule, Limits, parse_cpus, parse_memory};
use crate::engine::Options;
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed, option, switch};
use crate::isolation::{Device, Namespaces, Security, Sysctl, Ulimit, UserNamespace};
use crate::layer::Volume;
use crate::network::{self, Mode, Port};
use crate::store::Text;

pub const FLAGS: [Flag; 29] = [
    switch("interactive", Some(b'i'), "Keep the container's standard input open"),
    switch("tty", Some(b't'), "Give the container a terminal"),
    switch("rm", None, "Remove the container when it ends"),
    switch("detach", Some(b'd'), "Leave the container running and print its id"),
    switch("trace", None, "Show each step of the start with its microseconds"),
    option("name", None, "NAME", "Name the container"),
    option("hostname", Some(b'h'), "NAME", "The container's own host name"),
    option("cpus", Some(b'c'), "NUMBER", "Limit the processors, such as 0.5"),
    option("memory", Some(b'm'), "BYTES", "Limit the memory, such as 512m"),
    option(
        "pids-limit",
        None,
        "NUMBER",
        "Limit the processes and threads (default 4096, -1 for no limit)",
    ),
    option(
        "network",
        None,
        "NETWORK",
        "Connect to a network, or `none`, or `host` (default `bridge`)",
    ),
    option(
        "publish",
        Some(b'p'),
        "[[ADDRESS:]HOST:]CONTAINER",
        "Publish a port of the container on the host",
    ),
    option(
        "volume",
        Some(b'v'),
        "SOURCE:TARGET[:OPTIONS]",
        "Show a file or directory of the host in the container",
    ),
    option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
    option("workdir", Some(b'w'), "DIRECTORY", "The working directory"),
    option("user", Some(b'u'), "USER[:GROUP]", "Run as a user, by name or number"),
    option("ulimit", None, "NAME=SOFT[:HARD]", "Limit what each process may use"),
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

/// What the flags and the arguments `IMAGE [COMMAND [ARGUMENT...]]` ask for.
pub fn options(parsed: &Parsed) -> Result<Options> {
    let mut arguments = parsed.arguments.iter();
    let image = arguments.next().map(|image| image.display().to_string()).unwrap_or_default();
    let directory = env::current_dir().doing(|| "find the working directory")?;
    let volumes = parsed
        .all("volume")
        .map(|text| Volume::parse(text.as_bytes(), &directory))
        .collect::<Result<_>>()?;
    let ports: Vec<Vec<Port>> = read_all(parsed, "publish", Port::parse)?;
    Ok(Options {
        image,
        command: arguments.map(|argument| argument.clone().into()).collect(),
        environment: environment(parsed),
        directory: parsed.last("workdir").cloned().unwrap_or_default().into(),
        user: parsed.text("user")?.unwrap_or_default().to_string(),
        terminal: parsed.is_set("tty"),
        interactive: parsed.is_set("interactive"),
        auto_remove: parsed.is_set("rm"),
        limits: limits(parsed)?,
        security: security(parsed)?,
        ulimits: read_all(parsed, "ulimit", Ulimit::parse)?,
        sysctls: read_all(parsed, "sysctl", Sysctl::parse)?,
        devices: read_all(parsed, "device", Device::parse)?,
        device_rules: read_all(parsed, "device-cgroup-rule", DeviceRule::parse)?,
        namespaces: namespaces(parsed)?,
        volumes,
        network: network(parsed)?,
        ports: ports.concat(),
    })
}

/// The variables that are set. One without a value has the user's own; if the user has none, it is left out.
pub fn environment(parsed: &Parsed) -> Vec<Text> {
    let set = |line: &OsString| {
        if line.as_bytes().contains(&b'=') {
            return Some(line.clone().into());
        }
        let value = env::var_os(line)?;
        Some([line.as_bytes(), b"=", &value.into_vec()].concat().into())
    };
    parsed.all("env").filter_map(set).collect()
}

fn security(parsed: &Parsed) -> Result<Security> {
    let [added, dropped, options] = ["cap-add", "cap-drop", "security-opt"].map(|flag| texts(parsed, flag));
    Security::parse(parsed.is_set("privileged"), &added, &dropped, &options)
}

fn namespaces(parsed: &Parsed) -> Result<Namespaces> {
    let [pid, ipc, uts, cgroup] = ["pid", "ipc", "uts", "cgroupns"].map(|flag| parsed.text(flag));
    Ok(Namespaces {
        users: UserNamespace::parse(parsed.text("userns")?.unwrap_or_default())?,
        ..Namespaces::parse(pid?, ipc?, uts?, cgroup?)?
    })
}

/// Reads all values of a flag.
fn read_all<T>(parsed: &Parsed, flag: &str, read: fn(&str) -> Result<T>) -> Result<Vec<T>> {
    texts(parsed, flag).iter().map(|text| read(text)).collect()
}

/// All values of a flag, as text.
fn texts(parsed: &Parsed, flag: &str) -> Vec<String> {
    parsed.all(flag).map(|value| value.display().to_string()).collect()
}

fn limits(parsed: &Parsed) -> Result<Limits> {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let pids = |text: &str| match text.parse::<i64>() {
        Ok(-1) => Ok(0),
        Ok(number) if number >= 0 => Ok(number as u64),
        _ => Err(Error::invalid(format!("invalid process limit `{text}`")).hint("give a number of processes, or -1 for no limit")),
    };
    Ok(Limits {
        cpus: parsed.text("cpus")?.map(|text| parse_cpus(text, available())).transpose()?,
        memory: parsed.text("memory")?.map(parse_memory).transpose()?,
        pids: parsed.text("pids-limit")?.map(pids).transpose()?,
    })
}

fn network(parsed: &Parsed) -> Result<Mode> {
    Ok(match parsed.text("network")? {
        None => Mode::Bridge(network::DEFAULT.into()),
        Some("none") => Mode::None,
        Some("host") => Mode::Host,
        Some("default") => Mode::Bridge(network::DEFAULT.into()),
        Some(name) => Mode::Bridge(name.into()),
    })
}
