//! The users that a container has for itself: `--userns`, and the ids that they are on the host.

use std::fs;

use serde::{Deserialize, Serialize};

use super::IdMapping;
use crate::error::{Error, Result};

/// Whose users a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespace {
    #[default]
    Host,
    /// As many of its own, which no other container has while it runs.
    Auto { size: u32 },
    /// Those that all containers with this wish have.
    Remapped,
}

/// Ids that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub first: u32,
    pub size: u32,
}

/// The users and groups of a container, on the host. Its root is the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    pub users: IdRange,
    pub groups: IdRange,
}

/// How many ids are given out together: what an image may use.
pub const UNIT: u32 = 1 << 16;
/// The ids that are given out: those that systemd's table of ids has nobody for (its `UIDS-GIDS`), below 2^31.
pub const POOL: IdRange = IdRange {
    first: 0x7000_0000,
    size: 0x0fff_0000,
};

/// As whose Docker's ids are noted in subuid(5) and subgid(5).
const REMAPPED: &str = "dockremap";

impl UserNamespace {
    /// Reads `host`, `remap`, `auto` or `auto:size=N`.
    pub fn parse(text: &str) -> Result<UserNamespace> {
        let wrong = |what: &str| {
            let hint = "there are `host`, `auto`, `auto:size=NUMBER` and `remap`";
            Error::invalid(what.to_string())
                .doing(format!("`--userns {text}`"))
                .hint(hint)
        };
        match text {
            "" | "host" => Ok(UserNamespace::Host),
            "remap" => Ok(UserNamespace::Remapped),
            "auto" => Ok(UserNamespace::Auto { size: UNIT }),
            _ => {
                let size = text.strip_prefix("auto:size=").ok_or_else(|| wrong("unknown mode"))?;
                let size = size.parse().ok().filter(|size| (1..=POOL.size - UNIT).contains(size));
                let size = size.ok_or_else(|| wrong("that is no number of users that there are"))?;
                Ok(UserNamespace::Auto { size })
            }
        }
    }
}

impl Ids {
    /// The same range of users and of groups.
    pub fn of(first: u32, size: u32) -> Ids {
        let range = IdRange { first, size };
        Ids {
            users: range,
            groups: range,
        }
    }

    /// What the host has for remapped containers, or else the first unit of the pool.
    pub fn remapped() -> Ids {
        let read = |path: &str| noted(&fs::read_to_string(path).unwrap_or_default());
        match (read("/etc/subuid"), read("/etc/subgid")) {
            (Some(users), Some(groups)) => Ids { users, groups },
            _ => Ids::of(POOL.first, UNIT),
        }
    }

    /// The mappings of users and of groups.
    pub fn mappings(&self) -> [IdMapping; 2] {
        [self.users, self.groups].map(|range| IdMapping {
            container_id: 0,
            host_id: range.first,
            size: range.size,
        })
    }
}

/// The first range of a table, `NAME:FIRST:SIZE` in each line, for remapped containers.
fn noted(table: &str) -> Option<IdRange> {
    let read = |line: &str| {
        let mut parts = line.trim().split(':');
        let is_it = parts.next()? == REMAPPED;
        let (first, size) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (is_it && first > 0 && size > 0).then_some(IdRange { first, size })
    };
    table.lines().find_map(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        for (text, expected) in [
            ("host", UserNamespace::Host),
            ("remap", UserNamespace::Remapped),
            ("auto", UserNamespace::Auto { size: 65536 }),
            ("auto:size=10", UserNamespace::Auto { size: 10 }),
        ] {
            assert_eq!(UserNamespace::parse(text).unwrap(), expected);
        }
        for text in ["x", "auto:", "auto:size=0", "auto:size=4294967295", "auto:size=x"] {
            assert!(UserNamespace::parse(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }

    #[test]
    fn the_hosts_tables_are_read() {
        let table = "me:100000:65536\ndockremap:bad\ndockremap:231072:65536\ndockremap:1:2\n";
        let expected = IdRange {
            first: 231_072,
            size: 65536,
        };
        assert_eq!(noted(table), Some(expected));
        assert_eq!(noted("me:100000:65536\n"), None);
    }
}
