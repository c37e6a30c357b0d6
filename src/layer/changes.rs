//! What a container has changed: its upper directory, beside what is below it.
//!
//! A file that is there and below is changed if it differs in anything that stat(2) tells of its content or its attributes; a
//! directory if its owner or its mode differ, or if something in it has changed. So Docker sees it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::tarball::{DIRECTORY, extended_at, names_in};
use super::view::{Directory, Entry, View, is_opaque, is_whiteout, lookup, names};
use crate::error::{Doing, Result};

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Changed,
    Deleted,
}

impl Change {
    /// Docker's letter for it.
    pub fn letter(self) -> char {
        match self {
            Change::Added => 'A',
            Change::Changed => 'C',
            Change::Deleted => 'D',
        }
    }
}

/// Compares an upper directory with the layers below it. Paths begin with a slash; a directory comes before what is in it, and names
/// are in order. What is added at one of the paths `made` was there before the container was, and so were the directories above it.
pub fn changes(upper: &Path, below: &View, made: &[&str]) -> Result<Vec<(Change, Vec<u8>)>> {
    let root = openat(CWD, upper, DIRECTORY, Mode::empty()).doing(|| format!("open `{}`", upper.display()))?;
    let mut walk = Walk { made, found: Vec::new() };
    walk.directory(&root, below.directory(b"")?.unwrap_or_default(), b"")?;
    Ok(walk.found)
}

struct Walk<'a> {
    made: &'a [&'a str],
    found: Vec<(Change, Vec<u8>)>,
}

/// What the layers below have under a name that the upper directory has as well.
struct Below {
    directory: Directory,
    stat: Stat,
    capability: Option<Vec<u8>>,
}

impl Walk<'_> {
    fn directory(&mut self, upper: &OwnedFd, below: Directory, path: &[u8]) -> Result<()> {
        let mut all = names_in(upper)?;
        if is_opaque(upper) {
            all.extend(names(&below)?);
            all.sort();
            all.dedup();
        }
        for name in all {
            let full = [path, b"/", &name].concat();
            self.entry(upper, &below, &name, &full)
                .doing(|| format!("compare `{}`", String::from_utf8_lossy(&full)))?;
        }
        Ok(())
    }

    fn entry(&mut self, upper: &OwnedFd, below: &Directory, name: &[u8], path: &[u8]) -> Result<()> {
        let lower = find_below(below, name)?;
        let stat = match statat(upper, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_whiteout(&stat) => stat,
            // Hidden one by one, or with the whole directory.
            Ok(_) | Err(Errno::NOENT) => {
                self.found.extend(lower.map(|_| (Change::Deleted, path.to_vec())));
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let at = self.found.len();
        let own = match &lower {
            None if self.was_made(path) => None,
            None => Some(Change::Added),
            Some(lower) if differs(lower, &stat, &capability(upper, name)?) => Some(Change::Changed),
            Some(_) => None,
        };
        if is_directory {
            let inside = match openat(upper, name, DIRECTORY, Mode::empty()) {
                // It was removed, or replaced, just now.
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                inside => inside?,
            };
            self.directory(&inside, lower.map(|lower| lower.directory).unwrap_or_default(), path)?;
        }
        let of_content = (self.found.len() > at).then_some(Change::Changed);
        if let Some(change) = own.or(of_content) {
            self.found.insert(at, (change, path.to_vec()));
        }
        Ok(())
    }

    /// Whether a path was there before the container, or is above one that was.
    fn was_made(&self, path: &[u8]) -> bool {
        let is_it = |made: &&str| {
            made.as_bytes()
                .strip_prefix(path)
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
        };
        self.made.iter().any(is_it)
    }
}

fn find_below(below: &Directory, name: &[u8]) -> Result<Option<Below>> {
    Ok(match lookup(below, name)? {
        Entry::Missing => None,
        Entry::Directory(directory) => Some(Below {
            stat: fstat(&directory[0])?,
            directory,
            capability: None,
        }),
        Entry::Link(_, layer) | Entry::Other(_, layer) => Some(Below {
            directory: Directory::new(),
            stat: statat(&*layer, name, AtFlags::SYMLINK_NOFOLLOW)?,
            capability: capability(&layer, name)?,
        }),
    })
}

fn differs(lower: &Below, stat: &Stat, capability: &Option<Vec<u8>>) -> bool {
    let of_all = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let of_files = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    of_all(&lower.stat) != of_all(stat)
        || !is_directory && (of_files(&lower.stat) != of_files(stat) || lower.capability != *capability)
}

/// What a file gives to whoever executes it.
fn capability(directory: &OwnedFd, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let all = match extended_at(directory, name) {
        // It was removed just now.
        Err(Errno::NOENT) => return Ok(None),
        all => all?,
    };
    let own = all.into_iter().find(|(name, _)| name == b"security.capability");
    Ok(own.map(|(_, value)| value))
}
