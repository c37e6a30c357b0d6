//! `process` of `config.json`: who runs what, and what it may do (runtime-spec, `config.md`, "Process").

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::{parse, wrong};
use crate::error::{Doing, Result};

/// What runs in the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    pub terminal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    pub user: User,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    pub rlimits: Vec<Rlimit>,
    pub no_new_privileges: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apparmor_profile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selinux_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<Affinity>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSize {
    pub height: u16,
    pub width: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    pub additional_gids: Vec<u32>,
}

/// Sets of capabilities, by their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub bounding: Vec<String>,
    pub effective: Vec<String>,
    pub inheritable: Vec<String>,
    pub permitted: Vec<String>,
    pub ambient: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_…`
    #[serde(rename = "type")]
    pub kind: String,
    pub soft: u64,
    pub hard: u64,
}

/// The priority of a process's disk accesses (ioprio_set(2)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_…`
    pub class: String,
    pub priority: i64,
}

/// How a process is scheduled (sched(7)); times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scheduler {
    /// `SCHED_…`
    pub policy: String,
    pub nice: i32,
    pub priority: u32,
    /// `SCHED_FLAG_…`
    pub flags: Vec<String>,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// Which processors an `exec` may run on, as lists such as `0-3,7`: before it is in its cgroup, and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Affinity {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub initial: String,
    #[serde(rename = "final", skip_serializing_if = "String::is_empty")]
    pub last: String,
}

/// What setresuid(2) and its like take for "as it is": the process would stay root.
const UNCHANGED: u32 = u32::MAX;
/// The most groups that setgroups(2) takes.
const MOST_GROUPS: usize = 65536;

impl User {
    fn check(&self) -> Result<()> {
        for (field, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id == UNCHANGED {
                return Err(wrong(&format!("process.user.{field}"), format!("there is no {id}")));
            }
        }
        if let Some(n) = self.additional_gids.iter().position(|id| *id == UNCHANGED) {
            return Err(wrong(
                &format!("process.user.additionalGids[{n}]"),
                format!("there is no {UNCHANGED}"),
            ));
        }
        if self.additional_gids.len() > MOST_GROUPS {
            return Err(wrong("process.user.additionalGids", format!("are more than {MOST_GROUPS}")));
        }
        Ok(())
    }
}

impl Process {
    /// Reads and checks the description of a process, as `exec` is given one.
    pub fn read(path: &Path) -> Result<Process> {
        let bytes = fs::read(path).doing(|| format!("read `{}`", path.display()))?;
        let read = || {
            let process: Process = parse(&bytes)?;
            process.check().map(|()| process)
        };
        read().doing(|| format!("`{}`", path.display()))
    }

    pub fn check(&self) -> Result<()> {
        if self.args.first().is_none_or(String::is_empty) {
            return Err(wrong("process.args", "has no command"));
        }
        if !self.cwd.starts_with('/') {
            return Err(wrong("process.cwd", format!("`{}` is no absolute path", self.cwd)));
        }
        // The words of a command line come here without having been JSON.
        for (field, texts) in [("process.args", &self.args), ("process.env", &self.env)] {
            if let Some(n) = texts.iter().position(|text| text.contains('\0')) {
                return Err(wrong(&format!("{field}[{n}]"), "has a NUL in it"));
            }
        }
        self.user.check()?;
        let mut kinds: Vec<&str> = self.rlimits.iter().map(|limit| limit.kind.as_str()).collect();
        kinds.sort_unstable();
        if let Some(twice) = kinds.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong("process.rlimits", format!("has `{}` twice", twice[0])));
        }
        Ok(())
    }
}
