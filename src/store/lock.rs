//! Locks between processes, which the kernel releases when their holder dies.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::record::open_to_read;
use crate::error::{Doing, Result};
use crate::kernel::filelock::{self, Part};

/// A lock on a file, exclusive unless it is said to be shared, held until it is dropped and by every process that inherited the descriptor.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> Result<Lock> {
        Lock::wait(path, Part::All)
    }

    /// Waits for the lock, which nobody else has then, and takes only a part of it: others see the difference.
    pub fn acquire_part(path: &Path) -> Result<Lock> {
        Lock::wait(path, Part::First)
    }

    fn wait(path: &Path, part: Part) -> Result<Lock> {
        loop {
            let file = open(path)?;
            filelock::acquire(&file, part).doing(|| format!("lock `{}`", path.display()))?;
            if is_in_place(&file)? {
                return Ok(Lock { file });
            }
        }
    }

    /// Waits for a lock that others may share, but nobody who holds it exclusively.
    pub fn share(path: &Path) -> Result<Lock> {
        loop {
            let file = open(path)?;
            filelock::share(&file).doing(|| format!("lock `{}`", path.display()))?;
            if is_in_place(&file)? {
                return Ok(Lock { file });
            }
        }
    }

    /// Takes the lock if it is free.
    pub fn try_acquire(path: &Path) -> Result<Option<Lock>> {
        loop {
            let file = open(path)?;
            if !filelock::try_acquire(&file).doing(|| format!("lock `{}`", path.display()))? {
                return Ok(None);
            }
            if is_in_place(&file)? {
                return Ok(Some(Lock { file }));
            }
        }
    }

    /// Whether somebody holds the lock. Asking does not disturb those who try to take it.
    pub fn is_held(path: &Path) -> bool {
        look(path, Part::All).unwrap_or(false)
    }

    /// The same, or nothing if there is no such lock.
    pub fn look(path: &Path) -> Option<bool> {
        look(path, Part::All)
    }

    /// Whether somebody holds all of the lock, not only a part of it.
    pub fn is_wholly_held(path: &Path) -> bool {
        look(path, Part::AllButFirst).unwrap_or(false)
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<File> for Lock {
    /// The lock that an inherited descriptor holds.
    fn from(file: File) -> Lock {
        Lock { file }
    }
}

fn look(path: &Path, part: Part) -> Option<bool> {
    let file = open_to_read(path).ok()?;
    Some(filelock::is_held(&file, part).unwrap_or(false))
}

/// Whether a lock that was taken still means something: whoever had it may have removed the file at last.
fn is_in_place(file: &File) -> Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

fn open(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    opened.doing(|| format!("open lock `{}`", path.display()))
}
