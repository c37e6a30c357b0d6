//! A layer's tree while it is written. Every path is resolved below the layer's directory as if that were the root
//! (openat2(2), `RESOLVE_IN_ROOT`), and every last component is made or replaced relative to its open parent, so a link in
//! the tarball leads nowhere else.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxAttributes, StatxFlags, XattrFlags, fchmod, fsetxattr, futimens, linkat,
    mkdirat, mknodat, openat, statat, statx, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, Manner, times};
use super::path::{DIRECTORY, make_path, open_path, open_place};
use super::target::{Data, Target};
use super::told::{Told, join};
use crate::error::{Doing, Error, Result};
use crate::layer::implied::{self, Implied};
use crate::layer::owners::Owners;
use crate::layer::view::{OPAQUE, is_whiteout};

pub struct Tree {
    root: OwnedFd,
    /// The directory that was opened last. Entries of one directory usually follow each other, and those of a directory in it follow
    /// them. Nothing but what is in it was changed since, and nothing was taken away, which its name may have led through.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    manner: Manner,
    told: Told,
}

impl Tree {
    pub fn new(root: &Path) -> Result<Tree> {
        let root = openat(CWD, root, DIRECTORY, Mode::empty()).doing(|| format!("open `{}`", root.display()))?;
        Ok(Tree {
            told: Told::of_layer(),
            ..Tree::of(root, Manner::default())
        })
    }

    /// The tree below an open directory, which has its own time.
    pub fn of(root: OwnedFd, manner: Manner) -> Tree {
        Tree {
            root,
            last: None,
            manner,
            told: Told::default(),
        }
    }

    /// Makes a file and has `fill` write its content.
    pub fn fill_file(
        &mut self,
        path: &[Vec<u8>],
        name: &[u8],
        attributes: &Attributes,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<()> {
        let manner = self.manner;
        let parent = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(&parent, name, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(self.replacing(&parent, name, make)?);
        fill(&mut file).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::invalid("the tarball is truncated"),
            _ if error.raw_os_error().is_some() => Error::from(error),
            _ => Error::invalid(error),
        })?;
        attributes.set(&file, &manner, false)?;
        Ok(futimens(&file, &times(attributes.modified))?)
    }

    /// Marks the directories of a layer of which no entry has told anything, and finishes.
    pub fn finish_layer(mut self) -> Result<()> {
        let mut marks = Implied {
            root: self.told.implies_root(),
            below: false,
        };
        let told = std::mem::take(&mut self.told);
        for place in told.implied() {
            match self.open(place) {
                Ok(directory) => {
                    implied::mark(&directory)?;
                    marks.below = true;
                }
                // A later entry replaced it, perhaps by a link that leads in a circle.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        marks.write(&self.root)?;
        self.told = told;
        self.finish()
    }

    /// Sets the times of directories.
    pub fn finish(mut self) -> Result<()> {
        let told = std::mem::take(&mut self.told);
        for (place, modified) in told.times() {
            match self.open(place) {
                Ok(directory) => futimens(&directory, &times(modified))?,
                // A later entry replaced it, perhaps by a link that leads in a circle.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Opens the directory that an entry is made in, making what no entry made.
    fn parent(&mut self, path: &[Vec<u8>]) -> Result<Rc<OwnedFd>> {
        let place = path.join(&b'/');
        match self.open(&place) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let directory = match self.manner.is_copy {
                    true => self.make_path(path)?,
                    false => make_path(&self.root, path, |made, is_new| self.told.made(made, is_new))?,
                };
                self.told.check()?;
                Ok(self.last.insert((place, directory.into())).1.clone())
            }
            result => Ok(result?),
        }
    }

    /// Opens a directory below the root.
    fn open(&mut self, place: &[u8]) -> rustix::io::Result<Rc<OwnedFd>> {
        if let Some((_, directory)) = self.last.as_ref().filter(|(last, _)| last == place) {
            return Ok(directory.clone());
        }
        let directory = match self.in_last(place) {
            Some(directory) => directory,
            None => open_place(&self.root, place)?,
        };
        Ok(self.last.insert((place.to_vec(), directory.into())).1.clone())
    }

    /// Opens a directory in the one that was opened last, since looking for it from the root takes the longer the deeper it is. A link
    /// may lead anywhere, so it is no such directory.
    fn in_last(&self, place: &[u8]) -> Option<OwnedFd> {
        let slash = place.iter().rposition(|letter| *letter == b'/')?;
        let (_, directory) = self.last.as_ref().filter(|(last, _)| *last == place[..slash])?;
        openat(directory, &place[slash + 1..], DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).ok()
    }

    /// Makes something, after removing what has its name already: of two entries with one name, the later one counts.
    fn replacing<T>(&mut self, parent: &OwnedFd, name: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {}
            result => return Ok(result?),
        }
        self.last = None;
        match self.manner.is_copy {
            true => give_way(parent, name)?,
            false => remove(parent, name)?,
        }
        Ok(make()?)
    }

    /// Makes the directories of the path of a copy one by one.
    fn make_path(&self, path: &[Vec<u8>]) -> Result<OwnedFd> {
        let mut directory = open_path(&self.root, &[])?;
        for depth in 0..path.len() {
            directory = match open_path(&self.root, &path[..=depth]) {
                Err(Errno::NOTDIR) => return Err(no_directory(&path[depth])),
                Err(Errno::NOENT) => {
                    let name = path[depth].as_slice();
                    match mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                        Err(Errno::EXIST) => return Err(no_directory(name)),
                        result => result?,
                    }
                    let made = open_path(&self.root, &path[..=depth])?;
                    // mkdir applies our umask.
                    fchmod(&made, Mode::from_raw_mode(0o755))?;
                    made
                }
                result => result?,
            };
        }
        Ok(directory)
    }
}

impl Target for Tree {
    fn has_whiteouts(&self) -> bool {
        !self.manner.is_copy
    }

    fn set_root(&mut self, attributes: &Attributes) -> Result<()> {
        if self.manner.owners == Owners::Mine {
            return Ok(());
        }
        attributes.set(&self.root, &self.manner, true)?;
        self.told.directory(b"", attributes.modified);
        Ok(())
    }

    fn directory(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes) -> Result<()> {
        let manner = self.manner;
        let parent = self.parent(path)?;
        let mut hides = false;
        match mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
            // A directory of the user's stays as open as it was.
            Err(Errno::EXIST) if is_directory(&parent, name)? && manner.owners == Owners::Mine => return Ok(()),
            Err(Errno::EXIST) if is_directory(&parent, name)? => {}
            Err(Errno::EXIST) if manner.is_copy => return Err(no_directory(name)),
            Err(Errno::EXIST) => {
                hides = is_whiteout(&statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?);
                self.last = None;
                remove(&parent, name)?;
                mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
            }
            result => result?,
        }
        let directory = openat(&parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        attributes.set(&directory, &manner, true)?;
        if hides {
            make_opaque(&directory)?;
        }
        self.told.directory(&join(path, name), attributes.modified);
        self.told.check()?;
        Ok(())
    }

    fn file(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes, data: Data) -> Result<()> {
        self.fill_file(path, name, attributes, |file| data.copy(file))
    }

    fn symlink(&mut self, path: &[Vec<u8>], name: &[u8], target: &[u8], attributes: &Attributes) -> Result<()> {
        let manner = self.manner;
        let parent = self.parent(path)?;
        self.replacing(&parent, name, || symlinkat(target, &parent, name))?;
        attributes.set_at(&parent, name, FileType::Symlink, &manner)
    }

    fn node(&mut self, path: &[Vec<u8>], name: &[u8], kind: FileType, device: u64, attributes: &Attributes) -> Result<()> {
        let manner = self.manner;
        let parent = self.parent(path)?;
        self.replacing(&parent, name, || mknodat(&parent, name, kind, Mode::empty(), device))?;
        attributes.set_at(&parent, name, kind, &manner)
    }

    fn whiteout(&mut self, path: &[Vec<u8>], name: &[u8]) -> Result<()> {
        let parent = self.parent(path)?;
        match mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) if is_directory(&parent, name)? => {
                make_opaque(&openat(&parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)?;
                self.told.begins_anew(&join(path, name));
                Ok(())
            }
            Err(Errno::EXIST) => Ok(()),
            result => Ok(result?),
        }
    }

    fn opaque(&mut self, path: &[Vec<u8>]) -> Result<()> {
        let directory = self.parent(path)?;
        make_opaque(&directory)
    }

    fn hard_link(&mut self, path: &[Vec<u8>], name: &[u8], target: &[Vec<u8>]) -> Result<()> {
        let Some((target_name, target_path)) = target.split_last() else {
            return Err(Error::invalid("is a hard link to the root directory"));
        };
        let shown = String::from_utf8_lossy(&target.join(&b'/')).into_owned();
        let doing = || format!("hard link to `{}`", shown.escape_debug());
        let source = open_path(&self.root, target_path).doing(doing)?;
        let parent = self.parent(path)?;
        if (target_path, target_name.as_slice()) == (path, name) {
            return Err(Error::invalid("is a hard link to itself"));
        }
        let make = || linkat(&source, target_name.as_slice(), &parent, name, AtFlags::empty());
        self.replacing(&parent, name, make).doing(doing)
    }
}

/// Removes what a copied file takes the place of. What is mounted stays: the kernel would only care if it were mounted in our own
/// namespace, and take it away from the container.
fn give_way(parent: &OwnedFd, name: &[u8]) -> Result<()> {
    let look = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let there = statx(parent, name, look, StatxFlags::TYPE)?;
    if FileType::from_raw_mode(there.stx_mode.into()) == FileType::Directory {
        let name = String::from_utf8_lossy(name);
        return Err(Error::conflict(format!(
            "cannot overwrite directory `{name}` with non-directory"
        )));
    }
    if there.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(Errno::BUSY).doing(|| format!("replace `{}`", String::from_utf8_lossy(name)));
    }
    Ok(unlinkat(parent, name, AtFlags::empty())?)
}

fn no_directory(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::conflict(format!("cannot overwrite non-directory `{name}` with directory"))
}

/// Removes a file, or a directory with all below it.
pub fn remove(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result,
    }
    let directory = openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            remove(&directory, name)?;
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

pub fn make_opaque(directory: &OwnedFd) -> Result<()> {
    fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty()).doing(|| "hide what is below a directory")
}

fn is_directory(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<bool> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
