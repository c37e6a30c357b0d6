//! Copying what an image has at a path, as a container would see it: the tree of all layers, with owners, modes, times and
//! extended attributes.
//!
//! The layers are read as a [`View`], so no link in the image leads out of it; what is in the tree is copied as it is, and links are
//! copied as links. The copy is written as a layer is.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, openat, statat};

use super::View;
use super::tarball::{DIRECTORY, extended_at};
use super::unpack::{Attributes, Target, Tree};
use super::view::{Directory, Entry, OPAQUE, lookup, names};
use crate::error::{Doing, Result};

/// Copies what is in the directory `path` of an image into the empty directory `into`. Returns whether there is such a directory.
pub fn copy_tree(view: &View, path: &[u8], into: &Path) -> Result<bool> {
    let Some(directory) = view.directory(path)? else {
        return Ok(false);
    };
    let mut copy = Copy {
        tree: Tree::new(into)?,
        linked: HashMap::new(),
    };
    copy.tree.set_root(&attributes(&directory[0], b".")?)?;
    copy.directory(&directory, &[])?;
    copy.tree.finish()?;
    Ok(true)
}

struct Copy {
    tree: Tree,
    /// Files of several names, by device and number, with the name that was copied.
    linked: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Copy {
    fn directory(&mut self, directory: &Directory, path: &[Vec<u8>]) -> Result<()> {
        for name in names(directory)? {
            let full: Vec<Vec<u8>> = path.iter().cloned().chain([name.clone()]).collect();
            self.entry(directory, path, &name, &full)
                .doing(|| format!("copy `{}` of the image", String::from_utf8_lossy(&full.join(&b'/'))))?;
        }
        Ok(())
    }

    fn entry(&mut self, directory: &Directory, path: &[Vec<u8>], name: &[u8], full: &[Vec<u8>]) -> Result<()> {
        match lookup(directory, name)? {
            Entry::Missing => Ok(()),
            Entry::Directory(below) => {
                self.tree.directory(path, name, &attributes(&below[0], b".")?)?;
                self.directory(&below, full)
            }
            Entry::Link(target, layer) => self.tree.symlink(path, name, &target, &attributes(&layer, name)?),
            Entry::Other(kind, layer) => self.other(kind, &layer, path, name, full),
        }
    }

    fn other(&mut self, kind: FileType, layer: &OwnedFd, path: &[Vec<u8>], name: &[u8], full: &[Vec<u8>]) -> Result<()> {
        let stat = statat(layer, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&key) {
            return self.tree.hard_link(path, name, &first.clone());
        }
        let attributes = attributes(layer, name)?;
        match kind {
            FileType::RegularFile => {
                let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let mut from = File::from(openat(layer, name, how, Mode::empty())?);
                let fill = |to: &mut File| io::copy(&mut from, to).map(|_| ());
                self.tree.fill_file(path, name, &attributes, fill)?;
            }
            // Nobody listens at a socket of an image.
            FileType::Socket => return Ok(()),
            kind => self.tree.node(path, name, kind, stat.st_rdev, &attributes)?,
        }
        if stat.st_nlink > 1 {
            self.linked.insert(key, full.to_vec());
        }
        Ok(())
    }
}

pub fn attributes(directory: &OwnedFd, name: &[u8]) -> Result<Attributes> {
    let stat: Stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut extended = extended_at(directory, name)?;
    extended.retain(|(name, _)| name != OPAQUE.as_bytes());
    Ok(Attributes {
        mode: stat.st_mode & 0o7777,
        user: stat.st_uid,
        group: stat.st_gid,
        modified: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec as i64,
        },
        extended,
    })
}

/// The attributes of a directory itself.
pub fn root_attributes(directory: &Path) -> Result<Attributes> {
    attributes(&openat(CWD, directory, DIRECTORY, Mode::empty())?, b".")
}

/// Gives a directory itself the attributes of another one.
pub fn set_root_attributes(directory: &Path, attributes: &Attributes) -> Result<()> {
    let mut tree = Tree::new(directory)?;
    tree.set_root(attributes)?;
    tree.finish()
}

/// How many bytes the files below a directory have. One with several names counts once.
pub fn size(directory: &Path) -> Result<u64> {
    size_below(openat(CWD, directory, DIRECTORY, Mode::empty())?)
}

/// The same of an open directory.
pub fn size_below(root: OwnedFd) -> Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let mut left = vec![root];
    let mut size = 0;
    while let Some(directory) = left.pop() {
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            // Containers may be writing there.
            let Ok(stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => left.extend(openat(&directory, name, DIRECTORY, Mode::empty())),
                _ if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) => {}
                _ => size += stat.st_size as u64,
            }
        }
    }
    Ok(size)
}
