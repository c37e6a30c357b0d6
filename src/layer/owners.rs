//! Whose files are: what a tarball calls a user need not be who that is on this host.

use rustix::fs::Stat;

use crate::error::{Error, Result};

/// Ids that follow each other on the host; the first is a container's 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: u32,
    pub size: u32,
}

/// Who the owners are that a tarball names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// Those with the same ids.
    #[default]
    Same,
    /// A container's own users and groups, which have other ids here.
    Mapped { users: Span, groups: Span },
    /// Nobody else than whoever writes the files.
    Mine,
}

/// Who somebody is that a container has no name for (user_namespaces(7), `overflowuid`).
const NOBODY: u32 = 65534;

impl Span {
    fn outward(self, id: u32) -> u32 {
        let inside = id.checked_sub(self.first).filter(|inside| *inside < self.size);
        inside.unwrap_or(NOBODY)
    }

    fn inward(self, id: u32) -> Result<u32> {
        let there = self.first.checked_add(id).filter(|_| id < self.size);
        there.ok_or_else(|| Error::invalid(format!("belongs to {id}, and the container has no such user")))
    }
}

impl Owners {
    /// The user and the group that a tarball is to name for a file.
    pub fn outward(&self, stat: &Stat) -> (u32, u32) {
        match self {
            Owners::Same | Owners::Mine => (stat.st_uid, stat.st_gid),
            Owners::Mapped { users, groups } => (users.outward(stat.st_uid), groups.outward(stat.st_gid)),
        }
    }

    /// The user and the group that a file is given to which a tarball names. None are those that it has when it is made.
    pub fn inward(&self, user: u32, group: u32) -> Result<Option<(u32, u32)>> {
        Ok(match self {
            Owners::Same => Some((user, group)),
            Owners::Mapped { users, groups } => Some((users.inward(user)?, groups.inward(group)?)),
            Owners::Mine => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_both_ways() {
        let span = Span { first: 1000, size: 10 };
        let owners = Owners::Mapped {
            users: span,
            groups: span,
        };
        assert_eq!(owners.inward(0, 9).unwrap(), Some((1000, 1009)));
        assert!(owners.inward(10, 0).is_err());
        assert_eq!(
            (span.outward(1009), span.outward(999), span.outward(1010)),
            (9, NOBODY, NOBODY)
        );
        assert_eq!(Owners::Mine.inward(7, 7).unwrap(), None);
        assert_eq!(Owners::Same.inward(7, 8).unwrap(), Some((7, 8)));
    }
}
