//! The trash: what is renamed into it is deleted, even if nobody has got round to unlinking it yet.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::{Doing, Error, Result};
use crate::store::{Id, Store};

/// How many entries are many.
const MANY: usize = 4;

impl Store {
    /// Deletes a file or a directory in one step, by renaming. Returns whether there was anything to delete.
    pub fn discard(&self, path: &Path) -> Result<bool> {
        let trash = self.directory("trash")?.join(Id::generate()?.as_str());
        match fs::rename(path, &trash) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            result => result.doing(|| format!("remove `{}`", path.display())).map(|()| true),
        }
    }

    /// Removes a directory below the run directory, at once for everybody.
    pub fn discard_run(&self, path: &Path) -> Result<()> {
        let trash = self.run_directory("trash")?.join(Id::generate()?.as_str());
        match fs::rename(path, &trash) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result.doing(|| format!("remove `{}`", path.display()))?,
        }
        unlink(&trash)
    }

    /// Unlinks what is in the trash. Whoever does the same at the same time is no hindrance.
    pub fn empty_trash(&self) -> Result<()> {
        let folders = [self.root().join("trash"), self.run().join("trash")];
        let entries = folders
            .iter()
            .flat_map(|trash| fs::read_dir(trash).into_iter().flatten().flatten());
        let entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        // What one container leaves is not worth a thread; an image is.
        if entries.len() < MANY {
            return entries.iter().try_for_each(|entry| unlink(entry));
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut own = std::iter::from_fn(|| entries.get(next.fetch_add(1, Ordering::Relaxed)));
            own.try_for_each(|entry| unlink(entry))
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().map_err(|_| Error::system("a thread panicked"))?)
        })
    }
}

fn unlink(path: &Path) -> Result<()> {
    let removed = if path.is_symlink() || !path.is_dir() {
        fs::remove_file(path)
    } else {
        fs::remove_dir_all(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::from(error).doing(format!("empty the trash `{}`", path.display())))
        }
        _ => Ok(()),
    }
}
