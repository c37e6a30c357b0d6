//! The trash: what is renamed into it is deleted, even if nobody has got round to unlinking it yet.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};
use crate::kernel::directory::names;
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
        let below = |trash| names(trash).into_iter().flatten().map(move |name| Path::join(trash, name));
        let entries: Vec<PathBuf> = folders.iter().map(PathBuf::as_path).flat_map(below).collect();
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

/// How deep a tree is removed in one go. Each level takes a descriptor, and a container may nest more directories than those that
/// a process may have open.
const LEVELS: usize = 128;

/// Removes a directory with everything in it. What is deep in it becomes a neighbour of it first.
fn remove_tree(path: &Path) -> io::Result<()> {
    let trash = open_directory(CWD, path.parent().unwrap_or(path))?;
    let mut waiting = vec![path.file_name().unwrap_or_default().to_os_string()];
    while let Some(name) = waiting.pop() {
        empty(open_directory(&trash, &name)?, &trash, LEVELS, &mut waiting)?;
        unlinkat(&trash, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn open_directory(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Removes everything in a directory. What is further down than `levels` goes to the trash, under the names in `moved`.
fn empty(directory: OwnedFd, trash: &OwnedFd, levels: usize, moved: &mut Vec<OsString>) -> io::Result<()> {
    let mut entries = Dir::new(directory)?;
    let names: rustix::io::Result<Vec<_>> = entries
        .by_ref()
        .map(|entry| entry.map(|entry| (entry.file_name().to_owned(), entry.file_type())))
        .collect();
    let directory = entries.fd()?;
    for (name, kind) in names? {
        if [c".", c".."].contains(&name.as_c_str()) {
            continue;
        }
        let removed = match kind {
            FileType::Directory => Err(Errno::ISDIR),
            _ => unlinkat(directory, &name, AtFlags::empty()),
        };
        match removed {
            Err(Errno::ISDIR) if levels == 0 => {
                let id = Id::generate().map_err(io::Error::other)?;
                renameat(directory, &name, trash, id.as_str())?;
                moved.push(id.as_str().into());
            }
            Err(Errno::ISDIR) => {
                empty(open_directory(directory, &name)?, trash, levels - 1, moved)?;
                unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
            }
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn unlink(path: &Path) -> Result<()> {
    let removed = if path.is_symlink() || !path.is_dir() {
        fs::remove_file(path)
    } else {
        remove_tree(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::from(error).doing(format!("empty the trash `{}`", path.display())))
        }
        _ => Ok(()),
    }
}
