//! Claims: things of which there is one each, such as a name or an address, as symbolic links to whoever has it.
//!
//! A link is made and removed in one step, and `ls -l` shows who has what. Claims are made while the store's lock is held;
//! whether an owner still exists is for the caller to know.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;

use crate::error::{Doing, Error, Result};
use crate::kernel::directory::names;
use crate::store::Id;

/// A directory of claims.
pub struct Claims {
    directory: PathBuf,
}

/// Who has something, and what was noted when it was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub owner: Id,
    pub note: String,
}

impl Claims {
    pub fn new(directory: PathBuf) -> Claims {
        Claims { directory }
    }

    /// Where the claim of `name` is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The claim of `name`.
    pub fn find(&self, name: &str) -> Option<Claim> {
        let target = fs::read_link(self.path(name)).ok()?;
        let (id, note) = target.to_str()?.split_once(':').unwrap_or((target.to_str()?, ""));
        Some(Claim {
            owner: Id::parse(id)?,
            note: note.to_string(),
        })
    }

    /// Who has `name`.
    pub fn owner(&self, name: &str) -> Option<Id> {
        self.find(name).map(|claim| claim.owner)
    }

    /// Gives `name`, which nobody has, to `owner`.
    pub fn claim(&self, name: &str, owner: &Id, note: &str) -> Result<()> {
        let link = self.path(name);
        let doing = || format!("claim `{}`", link.display());
        let target = if note.is_empty() {
            owner.to_string()
        } else {
            format!("{owner}:{note}")
        };
        match symlink(&target, &link) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.directory)
                    .doing(doing)?;
                symlink(&target, &link).doing(doing)
            }
            result => result.doing(doing),
        }
    }

    /// Frees `name` if `owner` has it.
    pub fn release(&self, name: &str, owner: &Id) -> Result<()> {
        if self.owner(name).as_ref() != Some(owner) {
            return Ok(());
        }
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::from(error).doing(format!("release `{}`", self.path(name).display())))
            }
            _ => Ok(()),
        }
    }

    /// All that is claimed, in no order.
    pub fn names(&self) -> Result<Vec<String>> {
        match names(&self.directory) {
            Ok(names) => Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::from(error).doing(format!("read `{}`", self.directory.display()))),
        }
    }
}
