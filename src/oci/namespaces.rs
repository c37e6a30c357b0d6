//! `linux.namespaces`: which of them the container has for itself, and which it shares with others.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::config::wrong;
use super::linux::Linux;
use crate::error::{Doing, Result};
use crate::program::flags::clone;

/// The kinds by their names in the configuration, in the order in which they are joined.
const KINDS: [(&str, u64); 8] = [
    ("cgroup", clone::NEWCGROUP),
    ("ipc", clone::NEWIPC),
    ("uts", clone::NEWUTS),
    ("network", clone::NEWNET),
    ("pid", clone::NEWPID),
    ("time", clone::NEWTIME),
    ("mount", clone::NEWNS),
    ("user", clone::NEWUSER),
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Those that are made, as `CLONE_NEW…` flags.
    pub new: u64,
    /// Those that are joined, each with the field that names it.
    pub joined: Vec<(u64, PathBuf, String)>,
}

impl Namespaces {
    pub fn of(linux: &Linux) -> Namespaces {
        let mut found = Namespaces::default();
        for (kind, flag) in KINDS {
            let Some(n) = linux.namespaces.iter().position(|namespace| namespace.kind == kind) else {
                continue;
            };
            match linux.namespaces[n].path.as_ref().filter(|path| !path.is_empty()) {
                None => found.new |= flag,
                Some(path) => found.joined.push((flag, path.into(), format!("linux.namespaces[{n}].path"))),
            }
        }
        found
    }

    /// Whether the container has its own, or one that it joins.
    pub fn has(&self, flag: u64) -> bool {
        self.makes(flag) || self.joins(flag)
    }

    pub fn makes(&self, flag: u64) -> bool {
        self.new & flag != 0
    }

    pub fn joins(&self, flag: u64) -> bool {
        self.joined.iter().any(|(joined, ..)| *joined == flag)
    }

    /// All of them, as flags.
    pub fn all(&self) -> u64 {
        self.joined.iter().fold(self.new, |all, (flag, ..)| all | flag)
    }

    /// Whether the network namespace is made before the container's first process is. That of users of the container's own must be
    /// made by them.
    pub fn network_is_made_ahead(&self, privileged: bool) -> bool {
        privileged && self.makes(clone::NEWNET) && !self.forks()
    }

    /// Opens those that are joined.
    pub fn open(&self) -> Result<Vec<OwnedFd>> {
        let open = |(_, path, field): &(u64, PathBuf, String)| {
            let opened = File::open(path).doing(|| format!("open `{}`", path.display()));
            opened.map(OwnedFd::from).map_err(|error| wrong(field, error))
        };
        self.joined.iter().map(open).collect()
    }
}
