//! A layer while it is made: beside the finished ones, under a lock, and gone if its maker dies.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Content, path};
use crate::error::{Doing, Result};
use crate::store::{Lock, Store};

/// A directory that becomes a layer.
pub struct Draft<'a> {
    store: &'a Store,
    directory: PathBuf,
    _lock: Lock,
}

impl Draft<'_> {
    /// Waits until nobody else makes a layer from `key`, and takes its place. The caller looks now whether the layer is
    /// there already.
    pub fn begin<'a>(store: &'a Store, key: &str) -> Result<Draft<'a>> {
        let lock = Lock::acquire(&lock_path(store, key)?)?;
        let directory = store.directory("layer/draft")?.join(key);
        Ok(Draft {
            store,
            directory,
            _lock: lock,
        })
    }

    /// Makes the layer's directory, empty, and has `fill` write it. Then puts the layer where layers are: first its content
    /// is on disk, then its name.
    pub fn fill(self, fill: impl FnOnce(&Path) -> Result<Content>) -> Result<Content> {
        self.store.discard(&self.directory)?;
        fs::create_dir(&self.directory).doing(|| format!("make `{}`", self.directory.display()))?;
        // A layer whose tarball says nothing about its root gets what root directories have.
        fs::set_permissions(&self.directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let content = fill(&self.directory).inspect_err(|_| {
            // The error is what the caller wants to know; what is left is swept up by the next command.
            let _ = self.store.discard(&self.directory).and_then(|_| self.store.empty_trash());
        })?;
        let target = path(self.store, &content.diff_id);
        let layers = self.store.directory("layer/sha256")?;
        if target.is_dir() {
            self.store.discard(&self.directory)?;
        } else {
            sync(&self.directory)?;
            fs::rename(&self.directory, &target).doing(|| format!("seal layer `{}`", content.diff_id))?;
            File::open(&layers)
                .and_then(|layers| layers.sync_all())
                .doing(|| format!("sync `{}`", layers.display()))?;
        }
        Ok(content)
    }
}

/// Writes a whole file system to disk: one wait for all files, instead of one for each.
fn sync(directory: &Path) -> Result<()> {
    let doing = || format!("sync `{}`", directory.display());
    let directory = File::open(directory).doing(doing)?;
    rustix::fs::syncfs(&directory).doing(doing)
}

fn lock_path(store: &Store, key: &str) -> Result<PathBuf> {
    Ok(store.run_directory("draft")?.join(key))
}

/// Discards the drafts whose makers died.
pub fn sweep_drafts(store: &Store) -> Result<()> {
    let Ok(drafts) = fs::read_dir(store.root().join("layer/draft")) else {
        return Ok(());
    };
    for draft in drafts.flatten() {
        let key = draft.file_name();
        if let Some(_lock) = Lock::try_acquire(&lock_path(store, &key.to_string_lossy())?)? {
            store.discard(&draft.path())?;
        }
    }
    Ok(())
}
