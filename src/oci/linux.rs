//! The part of `config.json` that is about Linux (`config-linux.md`).

use std::collections::BTreeMap;

use crate::isolation::IdMapping;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::wrong;
use super::mount_options::propagation_of;
use crate::cgroup::Resources;
use crate::error::Result;
use crate::isolation;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    pub namespaces: Vec<Namespace>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroups_path: String,
    pub resources: Resources,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_propagation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<isolation::Profile>,
    pub sysctl: BTreeMap<String, String>,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mount_label: String,
    /// By how much the clocks of a new time namespace differ from the host's: `monotonic`, `boottime`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Not kept: see [`Linux::check`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net_devices: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    pub secs: i64,
    pub nanosecs: u32,
}

/// How the kernel appears to programs (personality(2)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personality {
    pub domain: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// Which nodes memory comes from (set_mempolicy(2)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryPolicy {
    /// `MPOL_…`
    pub mode: String,
    /// A list such as `0-1,3`.
    pub nodes: String,
    /// `MPOL_F_…`
    pub flags: Vec<String>,
}

/// A namespace: a new one, or the one that a path refers to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A device node of the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    pub path: String,
    pub major: i64,
    pub minor: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

impl Linux {
    /// Whether the container has a namespace that is not the runtime's.
    pub fn has(&self, kind: &str) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind)
    }

    pub fn check(&self) -> Result<()> {
        self.check_namespaces()?;
        self.check_what_needs_them()?;
        if !self.rootfs_propagation.is_empty() && propagation_of(&self.rootfs_propagation).is_none() {
            let unknown = format!("there is no `{}`", self.rootfs_propagation);
            return Err(wrong("linux.rootfsPropagation", unknown));
        }
        for (n, device) in self.devices.iter().enumerate() {
            device.check(&format!("linux.devices[{n}]."))?;
        }
        for (field, paths) in [("maskedPaths", &self.masked_paths), ("readonlyPaths", &self.readonly_paths)] {
            if let Some(n) = paths.iter().position(|path| !is_plain(path)) {
                let wanted = format!("`{}` is no absolute path without `..`", paths[n]);
                return Err(wrong(&format!("linux.{field}[{n}]"), wanted));
            }
        }
        self.check_users()?;
        self.check_unsupported()?;
        self.resources.check()?;
        let seccomp = self.seccomp.as_ref();
        seccomp.map_or(Ok(()), |profile| profile.check("linux.seccomp."))
    }

    fn check_namespaces(&self) -> Result<()> {
        for (n, namespace) in self.namespaces.iter().enumerate() {
            let field = |name: &str| format!("linux.namespaces[{n}].{name}");
            if !KINDS.contains(&namespace.kind.as_str()) {
                return Err(wrong(&field("type"), format!("there is no namespace `{}`", namespace.kind)));
            }
            if self.namespaces[..n].iter().any(|other| other.kind == namespace.kind) {
                return Err(wrong(&field("type"), format!("`{}` is there twice", namespace.kind)));
            }
            if namespace.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
                return Err(wrong(&field("path"), "is no absolute path"));
            }
        }
        Ok(())
    }

    /// What would change the runtime's own namespaces, if the container had none of the kind.
    fn check_what_needs_them(&self) -> Result<()> {
        let any = |kinds: &[&str]| kinds.iter().any(|kind| self.has(kind));
        for (field, needed, is_used, is_there) in [
            ("timeOffsets", "time", !self.time_offsets.is_empty(), any(&["time"])),
            (
                "sysctl",
                "network or ipc",
                !self.sysctl.is_empty(),
                any(&["network", "ipc", "uts"]),
            ),
            ("uidMappings", "user", !self.uid_mappings.is_empty(), any(&["user"])),
            ("gidMappings", "user", !self.gid_mappings.is_empty(), any(&["user"])),
        ] {
            if is_used && !is_there {
                return Err(wrong(&format!("linux.{field}"), format!("needs a {needed} namespace")));
            }
        }
        Ok(())
    }

    /// Who the users of a new user namespace are must be said, and its root has no power over the host's mounts.
    fn check_users(&self) -> Result<()> {
        let Some(n) = self.namespaces.iter().position(|namespace| namespace.kind == "user") else {
            return Ok(());
        };
        if !self.has("mount") {
            return Err(wrong(
                &format!("linux.namespaces[{n}]"),
                "a user namespace needs a mount namespace",
            ));
        }
        let is_new = self.namespaces[n].path.as_ref().is_none_or(String::is_empty);
        for (field, mappings) in [
            ("linux.uidMappings", &self.uid_mappings),
            ("linux.gidMappings", &self.gid_mappings),
        ] {
            if is_new && mappings.is_empty() {
                return Err(wrong(field, "is missing, and a user namespace needs it"));
            }
            check_mappings(field, mappings)?;
        }
        Ok(())
    }

    /// What cannot be left out without a word, and is not there.
    fn check_unsupported(&self) -> Result<()> {
        if self.intel_rdt.is_some() {
            return Err(wrong("linux.intelRdt", "is not supported"));
        }
        if !self.net_devices.is_empty() {
            return Err(wrong("linux.netDevices", "is not supported"));
        }
        for clock in self.time_offsets.keys() {
            if !["monotonic", "boottime"].contains(&clock.as_str()) {
                return Err(wrong("linux.timeOffsets", format!("there is no clock `{clock}`")));
            }
        }
        Ok(())
    }
}

/// The largest numbers of devices that Linux has (makedev(3)).
const NUMBERS: [i64; 2] = [(1 << 12) - 1, (1 << 20) - 1];

impl Device {
    fn check(&self, prefix: &str) -> Result<()> {
        let field = |name: &str| format!("{prefix}{name}");
        if !["c", "u", "b", "p"].contains(&self.kind.as_str()) {
            return Err(wrong(&field("type"), format!("there is no kind of device `{}`", self.kind)));
        }
        if !is_plain(&self.path) || self.path.ends_with('/') || self.path.ends_with("/.") {
            return Err(wrong(
                &field("path"),
                format!("`{}` is no absolute path of a file", self.path),
            ));
        }
        for (name, number, largest) in [("major", self.major, NUMBERS[0]), ("minor", self.minor, NUMBERS[1])] {
            if self.kind != "p" && !(0..=largest).contains(&number) {
                return Err(wrong(&field(name), format!("{number} is not one of 0 to {largest}")));
            }
        }
        Ok(())
    }
}

/// Whether a path is absolute and leads nowhere but down.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|name| name != "..")
}

/// Checks mappings of ids, as far as the kernel would not say what is wrong (user_namespaces(7)).
pub fn check_mappings(field: &str, mappings: &[IdMapping]) -> Result<()> {
    for (n, map) in mappings.iter().enumerate() {
        let fits = |first: u32| first.checked_add(map.size).is_some();
        if map.size == 0 || !fits(map.container_id) || !fits(map.host_id) {
            return Err(wrong(&format!("{field}[{n}]"), "is empty, or has more ids than there are"));
        }
    }
    Ok(())
}

const KINDS: [&str; 8] = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];
