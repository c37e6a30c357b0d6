//! What a container is to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LogConfig;
use super::health;
use super::restart::Policy;
use crate::cgroup::{self, DeviceRule, Resources};
use crate::error::{Error, Result};
use crate::isolation::{Device, Namespaces, Processes, Security, Sysctl, Ulimit};
use crate::layer::Mount;
use crate::network::{Mode, Port};
use crate::program::flags::clone;
use crate::store::{Digest, Id, Text};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    pub image: String,
    /// What is executed, with the command as its further arguments; none means the image's own.
    #[serde(default)]
    pub entrypoint: Option<Vec<Text>>,
    /// The command and its arguments; empty means the image's own.
    pub command: Vec<Text>,
    /// Lines `NAME=VALUE`; one without `=` removes the name.
    pub environment: Vec<Text>,
    /// The working directory; empty means the root.
    pub directory: Text,
    /// `NAME|UID[:GROUP|GID]`; empty means root.
    pub user: String,
    /// Further groups of the user, by name or number.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the command has a terminal.
    pub terminal: bool,
    /// Whether its standard input can be written to.
    pub interactive: bool,
    /// Whether its standard input stays open when somebody leaves who has written to it.
    #[serde(default)]
    pub keeps_input: bool,
    /// Whether the container is removed when it ends.
    pub auto_remove: bool,
    /// Whether a process of ours is the container's first, passes on signals and reaps.
    #[serde(default)]
    pub init: bool,
    #[serde(default)]
    pub restart: Policy,
    /// What asks the command to end: SIGTERM, if nothing else is said.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// How many seconds it has for that, 10 if nothing is said; negative is forever.
    #[serde(default)]
    pub stop_timeout: Option<i64>,
    /// What is asked for about its health, and what follows from that and the image.
    #[serde(default)]
    pub health: health::Asked,
    #[serde(default)]
    pub check: Option<health::Check>,
    #[serde(default)]
    pub log: LogConfig,
    /// What users note about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The NIS domain, empty for none.
    #[serde(default)]
    pub domain: String,
    /// What it may use at most. What is not said is as [`Resources::with_usual`] has it.
    #[serde(deserialize_with = "cgroup::recorded")]
    pub limits: Resources,
    /// The directory that its cgroups are made in, below each tree's mount; empty means the store's own.
    #[serde(default)]
    pub cgroup_parent: String,
    /// How soon the kernel kills its processes when memory is short, from -1000 to 1000.
    #[serde(default)]
    pub oom_score: Option<i32>,
    #[serde(default)]
    pub security: Security,
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    /// In the order in which they are set.
    #[serde(default)]
    pub sysctls: Vec<Sysctl>,
    #[serde(default)]
    pub devices: Vec<Device>,
    /// What the container may do with devices, beside what all may and what it takes to use its own.
    #[serde(default)]
    pub device_rules: Vec<DeviceRule>,
    #[serde(default)]
    pub namespaces: Namespaces,
    /// What it sees besides its image.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Containers whose volumes and directories of the host it sees, too: `NAME[:ro]`.
    #[serde(default)]
    pub volumes_from: Vec<String>,
    /// Whether nothing but its mounts can be written to.
    #[serde(default)]
    pub read_only: bool,
    /// How many bytes of shared memory it has, if that was asked for.
    #[serde(default)]
    pub shared_memory: Option<u64>,
    pub network: Mode,
    pub ports: Vec<Port>,
    /// Where it listens, as the user or the image says. No port of the host is meant.
    #[serde(default)]
    pub exposed: Vec<Port>,
    /// Whether all of these are published, each at a port of the host that is free.
    #[serde(default)]
    pub publish_all: bool,
}

/// A container's specification. It is written when the container is created and never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub id: Id,
    pub name: String,
    pub hostname: String,
    /// The image's layers, bottom first.
    pub layers: Vec<Digest>,
    /// The image's id.
    #[serde(default)]
    pub image_id: Option<Digest>,
    /// In seconds since 1970.
    pub created: u64,
    /// And in nanoseconds after that.
    #[serde(default)]
    pub created_nanos: u32,
    #[serde(flatten)]
    pub options: Options,
}

impl Options {
    /// Checks what can be checked without looking at the system.
    pub fn check(&self) -> Result<()> {
        cgroup::check_limits(&self.limits)?;
        if let Some(score) = self.oom_score.filter(|score| !(-1000..=1000).contains(score)) {
            let wrong = format!("invalid value {score}, range for oom score adj is [-1000, 1000]");
            return Err(Error::invalid(wrong).doing("`--oom-score-adj`"));
        }
        self.check_texts()?;
        if self.auto_remove && self.restart != Policy::No {
            let wrong = Error::invalid("a container that is removed when it ends cannot be started again");
            return Err(wrong.hint("leave out `--rm` or `--restart`"));
        }
        self.check_what_is_shared()?;
        if self.namespaces.has_users() {
            self.check_users()?;
        } else if let Some(mount) = self.mounts.iter().find(|mount| mount.is_id_mapped()) {
            let wrong = Error::invalid("a container without users of its own has no ids to map");
            return Err(wrong
                .doing(format!("volume `{}`", mount.target))
                .hint("give it some with `--userns auto`"));
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<()> {
        let arguments = self.command.iter().chain(self.entrypoint.iter().flatten());
        let mut texts = arguments.chain(&self.environment).chain([&self.directory]);
        if texts.any(|text| text.as_bytes().contains(&0)) {
            return Err(Error::invalid("arguments, environment and paths cannot have NUL bytes"));
        }
        check_environment(&self.environment)?;
        if !matches!(self.directory.as_bytes(), [] | [b'/', ..]) {
            let wrong = format!("working directory `{}`: it must be an absolute path", self.directory);
            return Err(Error::invalid(wrong));
        }
        Ok(())
    }

    /// What would change the host's, or another container's, or needs what this one does not have.
    fn check_what_is_shared(&self) -> Result<()> {
        let of_ipc = |sysctl: &Sysctl| sysctl.namespace() == clone::NEWIPC;
        let namespaces = &self.namespaces;
        let wrong = if namespaces.host_uts && !self.domain.is_empty() {
            "a container with the host's name has no `--domainname` of its own"
        } else if self.network == Mode::Host && self.sysctls.iter().any(Sysctl::is_of_network) {
            "a container on the host's network has no `net.…` settings of its own to change"
        } else if namespaces.shares_ipc() && self.sysctls.iter().any(of_ipc) {
            "a container that shares its IPC namespace has no settings of it to change"
        } else if self.network == Mode::None && !self.ports.is_empty() {
            "a container without a network cannot publish ports"
        } else {
            return Ok(());
        };
        Err(Error::invalid(wrong))
    }
}

impl Options {
    /// What is executed: the entry point, and the command as its arguments, or the command alone.
    pub fn arguments(&self) -> Vec<Text> {
        self.entrypoint.iter().flatten().chain(&self.command).cloned().collect()
    }

    /// A container's users have power over what belongs to their namespace, and nothing of the host's does.
    fn check_users(&self) -> Result<()> {
        let namespaces = &self.namespaces;
        let conflicts = [
            (self.security.privileged, "be privileged"),
            (self.network == Mode::Host, "be on the host's network"),
            (namespaces.processes != Processes::Own, "share processes"),
            (namespaces.shares_ipc(), "share memory"),
            (namespaces.host_cgroups, "see the host's cgroups"),
        ];
        match conflicts.iter().find(|(is_so, _)| *is_so) {
            None => Ok(()),
            Some((_, what)) => {
                let wrong = Error::invalid(format!("a container with users of its own cannot {what}"));
                Err(wrong.hint("give it the host's users with `--userns host`"))
            }
        }
    }
}

/// Checks that each variable has a name, whoever sets it.
pub fn check_environment(lines: &[Text]) -> Result<()> {
    let is_nameless = |line: &&Text| matches!(line.as_bytes(), [] | [b'=', ..]);
    match lines.iter().find(is_nameless) {
        None => Ok(()),
        Some(line) => Err(Error::invalid(format!(
            "invalid environment variable `{line}`: its name is empty"
        ))),
    }
}

/// A name without the slash that `inspect` spells it with.
pub fn bare_name(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

/// Checks a container's name.
pub fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if (2..=128).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(valid) {
        return Ok(());
    }
    let hint = "a name has 2 to 128 letters, digits, `_`, `.` and `-`, and begins with a letter or a digit";
    Err(Error::invalid(format!("invalid container name `{name}`")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_docker_has_them() {
        for name in ["web", "a1", "My_web.1-x", "0web"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a", "-web", ".web", "web/1", "names/..", "web ", "wéb", &"x".repeat(129)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
