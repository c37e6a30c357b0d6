//! A layer that is mounted without being unpacked.
//!
//! Such a layer has its tarball, byte for byte, and an index of it: an EROFS image of nothing but directories, attributes and links,
//! in which the content of a file is a place in the tarball. The kernel mounts both together, from plain files (Linux 6.12), as a file
//! system that nobody can write to.
//!
//! ```text
//!   layer/sha256/<diff id>/    the root's owner, mode and mark (see `implied.rs`), and another mark: which image this is
//!     tar                      the layer's tarball; its digest is the diff id. It is the same file as a blob that is not compressed
//!     erofs                    the index, which follows from the tarball
//!                  │
//!                  ▼ fsopen("erofs") source=erofs device=tar, fsmount
//!   a mount that is attached nowhere, for as long as somebody has it open
//! ```
//!
//! What an index cannot say, such as where a file has holes, or what is better left to the kernel to judge, makes the layer a tree
//! as always.

mod draw;
mod form;
mod format;
mod mount;
pub mod share;
mod sketch;
#[cfg(test)]
pub mod tests;
mod write;

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::fs::{CWD, Gid, Mode, Uid, XattrFlags, chmod, chownat, lgetxattr, lsetxattr, statat};
use rustix::rand::{GetRandomFlags, getrandom};

use super::Content;
use super::implied::Implied;
use super::unpack::{Limits, read_into, unpack};
use crate::error::{Doing, Error, Result};
pub use form::{Form, form, only_trees};
pub use mount::mount;
use mount::mount_open;
use sketch::{ROOT, Sketch};

/// The extended attribute of a layer's directory that has an image in it. Tarballs bring no such attribute.
const MARK: &str = "trusted.overlay.tinydock.image";

/// The two files.
const TAR: &str = "tar";
const INDEX: &str = "erofs";

/// Which making of a layer's image this is, a random number: one that takes the place of another has the same diff id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    fn new() -> Result<Generation> {
        let mut number = [0; size_of::<u64>()];
        getrandom(&mut number, GetRandomFlags::empty()).doing(|| "make a generation number")?;
        Ok(Generation(u64::from_ne_bytes(number)))
    }

    /// Reads the mark of a layer's directory with a function that reads attributes.
    fn read(attribute: impl FnOnce(&str, &mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Generation> {
        let mut number = [0; size_of::<u64>()];
        attribute(MARK, &mut number).map(|_| Generation(u64::from_ne_bytes(number)))
    }
}

impl Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A layer's image, mounted, and which one that was.
pub struct Mounted {
    pub mount: OwnedFd,
    pub generation: Generation,
}

impl Mounted {
    pub fn try_clone(&self) -> std::io::Result<Mounted> {
        let generation = self.generation;
        self.mount.try_clone().map(|mount| Mounted { mount, generation })
    }
}

/// Which image is in a layer's directory, if that is not the layer's tree.
pub fn generation(directory: &Path) -> Option<Generation> {
    Generation::read(|name, value| lgetxattr(directory, name, value)).ok()
}

/// Whether a layer's directory has an image in it.
pub fn is_image(directory: &Path) -> bool {
    generation(directory).is_some()
}

/// The tarball of a layer, if it was kept.
pub fn tarball(directory: &Path) -> Option<PathBuf> {
    is_image(directory).then(|| directory.join(TAR))
}

/// Makes a layer of a tarball, plain or compressed with gzip or zstd, in the empty directory `into`: an image if the kernel can mount
/// it, and a tree otherwise. The source is read to its end. If it is the file `same` as that is, an image shares that file.
pub fn make(source: impl Read + Send, same: Option<&Path>, into: &Path, limits: &Limits) -> Result<Content> {
    match form(into)? {
        Form::Tree(_) => unpack(source, into, limits),
        Form::Image => make_image(source, same, into, limits),
    }
}

fn make_image(source: impl Read + Send, same: Option<&Path>, into: &Path, limits: &Limits) -> Result<Content> {
    let path = into.join(TAR);
    let is_shared = same.is_some_and(|same| fs::hard_link(same, &path).is_ok());
    let create = || File::create_new(&path).doing(|| format!("make `{}`", path.display()));
    let tar = if is_shared { None } else { Some(create()?) };
    let mut sketch = Sketch::new();
    let content = read_into(source, tar, &mut sketch, limits)?;
    if index(&mut sketch, &content, into)? {
        return Ok(content);
    }
    drop(sketch);
    unpack_instead(into, limits)
}

/// Writes the index beside the tarball, and marks their directory if both can be mounted. Returns false if they cannot.
fn index(sketch: &mut Sketch, content: &Content, into: &Path) -> Result<bool> {
    let marks = sketch.finish_layer();
    if sketch.unfit.is_some() {
        return Ok(false);
    }
    let Ok(bytes) = write::write(sketch, content) else {
        return Ok(false);
    };
    let path = into.join(INDEX);
    let doing = || format!("write `{}`", path.display());
    let mut file = File::create_new(&path).doing(doing)?;
    file.write_all(&bytes).doing(doing)?;
    if mount_open(&file, &open_tarball(into)?).is_err() {
        return Ok(false);
    }
    mark(sketch, marks, into)?;
    Ok(true)
}

/// Gives the layer's directory what is looked up without a mount.
fn mark(sketch: &Sketch, marks: Implied, directory: &Path) -> Result<()> {
    let root = &sketch.nodes[ROOT];
    let doing = || format!("mark `{}`", directory.display());
    let (user, group) = (Uid::from_raw(root.user), Gid::from_raw(root.group));
    chownat(CWD, directory, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).doing(doing)?;
    chmod(directory, Mode::from_raw_mode(root.mode)).doing(doing)?;
    let generation = Generation::new()?.0.to_ne_bytes();
    let attributes = [Some((MARK, generation.as_slice())), marks.of_root()];
    let mut attributes = attributes.into_iter().flatten();
    attributes
        .try_for_each(|(name, value)| lsetxattr(directory, name, value, XattrFlags::empty()))
        .doing(doing)
}

/// Unpacks the tarball that was written to a directory, in its place.
fn unpack_instead(into: &Path, limits: &Limits) -> Result<Content> {
    let source = open_tarball(into)?;
    let empty = || fs::read_dir(into)?.try_for_each(|entry| fs::remove_file(entry?.path()));
    empty().doing(|| format!("empty `{}`", into.display()))?;
    unpack(source, into, limits)
}

fn open_tarball(directory: &Path) -> Result<File> {
    let tar = directory.join(TAR);
    File::open(&tar).doing(|| format!("open `{}`", tar.display()))
}

/// Unpacks the tarball of an image into the empty directory `into`.
pub fn unpack_image(directory: &Path, into: &Path, limits: &Limits) -> Result<Content> {
    unpack(open_tarball(directory)?, into, limits)
}

/// Makes an image again from its tarball in the empty directory `into`.
pub fn make_again(directory: &Path, into: &Path, limits: &Limits) -> Result<Content> {
    make_image(open_tarball(directory)?, None, into, limits)
}

/// Checks that an image is whole: its tarball has the diff id, its index is what follows from that, and nothing else is there.
pub fn check(directory: &Path, limits: &Limits) -> Result<Content> {
    let mut sketch = Sketch::new();
    let content = read_into(open_tarball(directory)?, None, &mut sketch, limits)?;
    let marks = sketch.finish_layer();
    let unfit = |unfit: &str| Error::system(format!("its tarball cannot be indexed: {unfit}"));
    let expected = match sketch.unfit {
        None => write::write(&sketch, &content).map_err(unfit)?,
        Some(reason) => return Err(unfit(reason)),
    };
    let found = fs::read(directory.join(INDEX)).doing(|| "read its index")?;
    if found != expected {
        return Err(Error::system("its index is not what its tarball says"));
    }
    if fs::read_dir(directory)?.count() != 2 {
        return Err(Error::system("it has other files than its tarball and its index"));
    }
    let (root, stat) = (&sketch.nodes[ROOT], statat(CWD, directory, AtFlags::SYMLINK_NOFOLLOW)?);
    if (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) != (root.mode, root.user, root.group) || Implied::at(directory)? != marks {
        return Err(Error::system("its directory is not marked as its tarball says"));
    }
    Ok(content)
}

/// Brings an image to disk.
pub fn sync(directory: &Path) -> Result<()> {
    for path in [directory.join(TAR), directory.join(INDEX), directory.to_path_buf()] {
        let sync = File::open(&path).and_then(|file| file.sync_all());
        sync.doing(|| format!("sync `{}`", path.display()))?;
    }
    Ok(())
}
