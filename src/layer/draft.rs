//! A layer while it is made: beside the finished ones, under a lock, and gone if its maker dies.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Content, erofs, path};
use crate::error::{Doing, Error, Result};
use crate::store::{Lock, Store, remove_if_present};

/// A directory that becomes a layer.
pub struct Draft<'a> {
    store: &'a Store,
    directory: PathBuf,
    lock: PathBuf,
    _held: Lock,
}

impl Drop for Draft<'_> {
    /// Removes the lock while it is held. Who waits for it finds that it is gone, and makes a new one.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

impl<'a> Draft<'a> {
    /// Waits until nobody else makes a layer from `key`, and takes its place. The caller looks now whether the layer is
    /// there already.
    pub fn begin(store: &'a Store, key: &str) -> Result<Draft<'a>> {
        let lock = lock_path(store, key)?;
        let held = Lock::acquire(&lock)?;
        let directory = store.directory_of_many("layer/draft")?.join(key);
        Ok(Draft {
            store,
            directory,
            lock,
            _held: held,
        })
    }

    /// Makes the layer's directory, empty, and has `fill` write it.
    pub fn fill(self, fill: impl FnOnce(&Path) -> Result<Content>) -> Result<Filled<'a>> {
        self.store.discard(&self.directory)?;
        fs::create_dir(&self.directory).doing(|| format!("make `{}`", self.directory.display()))?;
        // A layer whose tarball says nothing about its root gets what root directories have.
        fs::set_permissions(&self.directory, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let content = fill(&self.directory).inspect_err(|_| {
            // The error is what the caller wants to know; what is left is swept up by the next command.
            let _ = self.store.discard(&self.directory).and_then(|_| self.store.empty_trash());
        })?;
        Ok(Filled { draft: self, content })
    }
}

/// A draft that is complete, but not yet on disk.
pub struct Filled<'a> {
    draft: Draft<'a>,
    pub content: Content,
}

impl Filled<'_> {
    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.draft.directory
    }

    /// Throws it away.
    pub fn discard(self) -> Result<()> {
        self.draft.store.discard(&self.draft.directory).map(|_| ())
    }

    /// Takes the place of a layer that is damaged, or has another form, in one step. Containers that run keep what they have mounted.
    pub fn replace(self) -> Result<()> {
        let store = self.draft.store;
        let target = path(store, &self.content.diff_id);
        sync([&self])?;
        match renameat_with(CWD, &self.draft.directory, CWD, &target, RenameFlags::EXCHANGE) {
            Ok(()) => {
                store.discard(&self.draft.directory)?;
                sync_names(&store.directory("layer/sha256")?)
            }
            // It is gone, or the file system cannot exchange names.
            Err(_) => {
                store.discard(&target)?;
                seal(store, vec![self])
            }
        }
    }
}

/// Puts layers where layers are: first all their content is on disk, then each gets its name. Only then do they exist.
pub fn seal(store: &Store, filled: Vec<Filled>) -> Result<()> {
    let layers = store.directory("layer/sha256")?;
    sync(&filled)?;
    for Filled { draft, content } in filled {
        let target = path(store, &content.diff_id);
        if target.is_dir() {
            store.discard(&draft.directory)?;
        } else {
            fs::rename(&draft.directory, &target).doing(|| format!("seal layer `{}`", content.diff_id))?;
        }
    }
    sync_names(&layers)
}

fn sync_names(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .doing(|| format!("sync `{}`", directory.display()))
}

/// Seals layers as they come. Those that come while others are being brought to disk share the next go.
#[derive(Default)]
pub struct Sealer<'a> {
    waiting: Mutex<Vec<Filled<'a>>>,
    at_work: Mutex<()>,
}

impl<'a> Sealer<'a> {
    /// Returns when the layer is sealed, by whomever.
    pub fn seal(&self, store: &Store, filled: Filled<'a>) -> Result<()> {
        let held = |_| Error::system("a thread panicked");
        self.waiting.lock().map_err(|_| held(()))?.push(filled);
        let _at_work = self.at_work.lock().map_err(|_| held(()))?;
        let all = std::mem::take(&mut *self.waiting.lock().map_err(|_| held(()))?);
        seal(store, all)
    }
}

/// Writes layers to disk: images file by file, and for trees the whole file system, with one wait instead of one for each file.
fn sync<'a>(filled: impl IntoIterator<Item = &'a Filled<'a>>) -> Result<()> {
    let mut images = Vec::new();
    for filled in filled {
        let directory = filled.directory();
        if erofs::is_image(directory) {
            images.push(directory);
            continue;
        }
        let doing = || format!("sync `{}`", directory.display());
        let directory = File::open(directory).doing(doing)?;
        return rustix::fs::syncfs(&directory).doing(doing);
    }
    images.into_iter().try_for_each(erofs::sync)
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
        let lock = lock_path(store, &key.to_string_lossy())?;
        if let Some(_held) = Lock::try_acquire(&lock)? {
            store.discard(&draft.path())?;
            remove_if_present(&lock)?;
        }
    }
    Ok(())
}
