//! Directories that a layer only passes through: its tarball has `a/b/file`, and nothing about `a` and `a/b`.
//!
//! Such a directory is what the layers below make of it. But a layer is unpacked alone, since many images share it, and overlayfs
//! shows a directory as the topmost layer has it. So a layer gets usual attributes for it and a mark, and an image that has such
//! directories gets one more layer, on top of its own: nothing but these directories, each with the attributes that it has where
//! somebody has told them. It is named by the layers that it is for. An image whose layers name all their directories, as most do,
//! has none.
//!
//! ```text
//!   on top    a 711   a/b 2775             nothing but directories
//!   layer 2   a 755*  a/b 755*  a/b/file   * told by nobody
//!   layer 1   a 711   a/b 2775
//! ```

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, XattrFlags, fgetxattr, fsetxattr, lgetxattr, statat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::fill::attributes;
use super::stack::open_layer;
use super::unpack::{Target, Tree};
use super::view::{Directory, is_opaque, open_directory};
use super::{Content, Draft, path, seal};
use crate::error::{Doing, Result};
use crate::store::{Digest, Store};

/// The extended attribute of a directory that nobody has told anything of. overlayfs keeps names that begin like this to itself.
const MARK: &str = "trusted.overlay.tinydock.implied";

/// How many layers overlayfs stacks.
const MOST: usize = 500;

/// What the mark of a layer's root says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Implied {
    /// Whether nobody has told anything of the root itself.
    pub root: bool,
    /// Whether that is so of any directory below it.
    pub below: bool,
}

impl Implied {
    pub fn write(self, root: &OwnedFd) -> Result<()> {
        match self.value() {
            None => Ok(()),
            Some(value) => fsetxattr(root, MARK, value, XattrFlags::empty()).doing(|| "mark the root of a layer"),
        }
    }

    fn value(self) -> Option<&'static [u8]> {
        match (self.root, self.below) {
            (false, false) => None,
            (true, false) => Some(b"/"),
            (false, true) => Some(b"*"),
            (true, true) => Some(b"/*"),
        }
    }

    /// The mark as an extended attribute of a layer's root.
    pub fn of_root(self) -> Option<(&'static str, &'static [u8])> {
        self.value().map(|value| (MARK, value))
    }

    /// The extended attribute of a marked directory below the root.
    pub fn of_directory() -> (&'static str, &'static [u8]) {
        (MARK, b"")
    }

    /// Reads the mark of a layer, if there is such a layer.
    fn of(store: &Store, layer: &Digest) -> rustix::io::Result<Implied> {
        Implied::at(&path(store, layer))
    }

    /// Reads the mark of the layer in a directory.
    pub fn at(directory: &Path) -> rustix::io::Result<Implied> {
        let mut value = [0; 4];
        let length = match lgetxattr(directory, MARK, &mut value) {
            Err(Errno::NODATA) => 0,
            length => length?,
        };
        let has = |mark| value[..length].contains(&mark);
        Ok(Implied {
            root: has(b'/'),
            below: has(b'*'),
        })
    }
}

/// Marks a directory below a layer's root.
pub fn mark(directory: &OwnedFd) -> Result<()> {
    fsetxattr(directory, MARK, b"", XattrFlags::empty()).doing(|| "mark a directory")
}

pub fn is_marked(directory: &OwnedFd, is_root: bool) -> bool {
    let mut value = [0; 4];
    fgetxattr(directory, MARK, &mut value).is_ok_and(|length| !is_root || value[..length].contains(&b'/'))
}

/// The directories to stack for the layers of an image, which are named bottom first. The topmost comes first.
pub fn stack(store: &Store, layers: &[Digest]) -> Vec<PathBuf> {
    let top = (layers.len() > 1).then(|| path(store, &top_of(layers)));
    let own = layers.iter().rev().map(|layer| path(store, layer));
    top.filter(|top| top.is_dir()).into_iter().chain(own).collect()
}

/// The name of the layer on top of these.
pub fn top_of(layers: &[Digest]) -> Digest {
    let mut hasher = Sha256::new_with_prefix("the directories of\n");
    layers.iter().for_each(|layer| hasher.update(format!("{layer}\n")));
    Digest::of(hasher)
}

/// Whether all layers are there, and what belongs on top of them.
pub fn is_complete(store: &Store, layers: &[Digest]) -> bool {
    let marks: rustix::io::Result<Vec<Implied>> = layers.iter().map(|layer| Implied::of(store, layer)).collect();
    marks.is_ok_and(|marks| !needs_top(store, layers, &marks) || path(store, &top_of(layers)).is_dir())
}

/// Whether these layers need one on top, as far as their marks and roots tell.
fn needs_top(store: &Store, layers: &[Digest], marks: &[Implied]) -> bool {
    if layers.len() < 2 || layers.len() >= MOST {
        return false;
    }
    let told = marks.iter().rposition(|mark| !mark.root);
    let is_unusual = |n: usize| {
        let stat = statat(CWD, path(store, &layers[n]), AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) != (0o755, 0, 0))
    };
    // That only the root's time is another one is not worth a layer: a container's root has a time of its own.
    marks[1..].iter().any(|mark| mark.below) || told.is_some_and(|n| n + 1 < layers.len() && is_unusual(n))
}

/// Makes what belongs on top of these layers, if anything does and nobody has. `keep` is told its name before.
pub fn complete(store: &Store, layers: &[Digest], keep: impl FnOnce(&Digest) -> Result<()>) -> Result<()> {
    let doing = |layer: &Digest| format!("look at layer `{layer}`");
    let mark = |layer| Implied::of(store, layer).doing(|| doing(layer));
    let marks: Vec<Implied> = layers.iter().map(mark).collect::<Result<_>>()?;
    if !needs_top(store, layers, &marks) {
        return Ok(());
    }
    let top = top_of(layers);
    keep(&top)?;
    if path(store, &top).is_dir() {
        return Ok(());
    }
    let draft = Draft::begin(store, top.hex())?;
    if path(store, &top).is_dir() {
        return Ok(());
    }
    seal(store, vec![draft.fill(|into| fill(store, layers, into))?])
}

/// Writes the layer on top of these into an empty directory.
pub fn fill(store: &Store, layers: &[Digest], into: &Path) -> Result<Content> {
    let mut roots: Directory = Vec::new();
    let mut passed = BTreeSet::new();
    for layer in layers.iter().rev() {
        let root = open_layer(store, layer)?;
        if Implied::of(store, layer)?.below {
            find_marked(&root, &mut Vec::new(), &mut passed)?;
        }
        roots.push(Rc::new(root));
    }
    let mut tree = Tree::new(into)?;
    if let Some(told) = roots.iter().find(|root| !is_marked(root, true)).or(roots.first()) {
        tree.set_root(&attributes(told, b".")?)?;
    }
    let mut made = BTreeSet::new();
    for place in &passed {
        let Some(chain) = told_on_the_way(&roots, place)? else {
            continue;
        };
        for (depth, told) in chain.iter().enumerate() {
            if made.insert(&place[..=depth]) {
                tree.directory(&place[..depth], &place[depth], &attributes(told, b".")?)?;
            }
        }
    }
    tree.finish()?;
    Ok(Content {
        diff_id: top_of(layers),
        size: 0,
    })
}

/// Adds the places of all marked directories below one of a layer.
fn find_marked(directory: &OwnedFd, place: &mut Vec<Vec<u8>>, found: &mut BTreeSet<Vec<Vec<u8>>>) -> Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        // Some file systems leave it to others to find out what an entry is.
        if name == b"." || name == b".." || !matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            continue;
        }
        let Ok(below) = open_directory(directory, name) else {
            continue;
        };
        place.push(name.to_vec());
        if is_marked(&below, false) {
            found.insert(place.clone());
        }
        find_marked(&below, place, found)?;
        place.pop();
    }
    Ok(())
}

/// For each directory on the way to a place, the one whose attributes it has. There is nothing to tell if the image has no such
/// directory, or if nobody has told anything of the last one.
fn told_on_the_way(roots: &Directory, place: &[Vec<u8>]) -> Result<Option<Vec<Rc<OwnedFd>>>> {
    let (mut directory, mut told) = (roots.clone(), Vec::new());
    let mut is_told = false;
    for name in place {
        let all = all_of(&directory, name)?;
        let Some(first) = all.first() else { return Ok(None) };
        let source = all.iter().find(|one| !is_marked(one, false));
        is_told = source.is_some() && is_marked(first, false);
        told.push(source.unwrap_or(first).clone());
        // What a directory hides cannot be seen below it, but says what it is itself.
        let seen = all.iter().position(|one| is_opaque(one)).map_or(all.len(), |last| last + 1);
        directory = all[..seen].to_vec();
    }
    Ok(is_told.then_some(told))
}

/// The directories of a name, down to where it is no directory or gone.
fn all_of(directory: &Directory, name: &[u8]) -> Result<Directory> {
    let mut all = Vec::new();
    for layer in directory {
        match statat(&**layer, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                all.push(Rc::new(open_directory(&**layer, name)?));
            }
            stat => {
                stat?;
                break;
            }
        }
    }
    Ok(all)
}
