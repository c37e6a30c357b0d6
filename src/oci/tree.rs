//! What is at a path of the container, as far as that can be known before there is a container: the root and the parts of the host
//! that are shown in it are there, `/proc` and `/sys` are the same kernel's, and what else is mounted is empty.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::sources::Planned;
use crate::error::{Error, Result};
use crate::layer::{MountPoint, View};

pub struct Tree {
    path: PathBuf,
    root: View,
    mounts: Vec<Place>,
}

struct Place {
    path: Vec<Vec<u8>>,
    content: Content,
}

enum Content {
    /// A part of the host, by its path.
    Host(PathBuf, bool),
    /// A file system that every mount of its kind shows alike.
    Kernel(&'static str),
    /// A copy of what the root has at the same place.
    Copy,
    Empty,
}

/// The names that a path is made of, without what means nothing.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|c| *c == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

impl Tree {
    pub fn new(root: &Path) -> Result<Tree> {
        Ok(Tree {
            path: root.to_path_buf(),
            root: View::new(&[root.to_path_buf()])?,
            mounts: Vec::new(),
        })
    }

    /// The root, without what is mounted in it.
    pub fn root(&self) -> &View {
        &self.root
    }

    /// Where a path leads. Links of the root are followed; below what is mounted there is nothing to look at yet, and names are taken
    /// as they are. So nobody can say where a mount is to be in a way that hides where that is (CVE-2019-16884).
    fn walk(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        const LONGEST: usize = 4096;
        if path.len() > LONGEST {
            return Err(Error::invalid(format!("is longer than {LONGEST} bytes")));
        }
        let mut at: Vec<Vec<u8>> = Vec::new();
        for name in names(path) {
            if name == b".." {
                at.pop();
                continue;
            }
            at.push(name);
            if self.covering(&at).is_none() {
                at = self.root.resolve(&at.join(&b'/'))?.path;
            }
        }
        Ok(at)
    }

    /// The place where something is to be mounted. What others can write to could have links in it by then, which are not followed.
    pub fn place(&self, path: &[u8], directory: bool) -> Result<MountPoint> {
        let at = self.walk(path)?;
        let path = at.join(&b'/');
        Ok(match self.covering(&at).map(|place| &place.content) {
            None => MountPoint::find(&self.root, &path, directory)?.without_links(),
            Some(Content::Host(..) | Content::Copy) => MountPoint::unknown(&path, directory).without_links(),
            Some(Content::Kernel(_) | Content::Empty) => MountPoint::unknown(&path, directory),
        })
    }

    /// Remembers what is mounted at a place.
    pub fn cover(&mut self, mount: &Planned) {
        let content = match mount.kind.as_str() {
            _ if mount.is_bind() => Content::Host(PathBuf::from(&mount.source), mount.directory),
            "proc" => Content::Kernel("/proc"),
            "sysfs" => Content::Kernel("/sys"),
            "tmpfs" if mount.options.copy_up => Content::Copy,
            _ => Content::Empty,
        };
        self.mounts.push(Place {
            path: names(&mount.at.path()),
            content,
        });
    }

    /// What kind of file is at a path, if anything is.
    pub fn kind(&self, path: &[u8]) -> Result<Option<FileType>> {
        Ok(self.mode(path)?.map(FileType::from_raw_mode))
    }

    /// The mode of the file at a path, with its kind, if anything is there.
    pub fn mode(&self, path: &[u8]) -> Result<Option<u32>> {
        let path = self.walk(path)?;
        let Some(place) = self.covering(&path) else {
            return mode_below(&self.path, &self.root, &path.join(&b'/'));
        };
        let rest = path[place.path.len()..].join(&b'/');
        match &place.content {
            Content::Empty => Ok(None),
            Content::Copy => mode_below(&self.path, &self.root, &path.join(&b'/')),
            Content::Host(source, true) => mode_below(source, &View::new(std::slice::from_ref(source))?, &rest),
            Content::Host(source, false) if rest.is_empty() => Ok(mode_of(source)),
            Content::Host(..) => Ok(None),
            Content::Kernel(at) => Ok(mode_of(&Path::new(at).join(OsStr::from_bytes(&rest)))),
        }
    }

    /// The last mount that a path is below.
    fn covering(&self, path: &[Vec<u8>]) -> Option<&Place> {
        self.mounts.iter().rev().find(|place| path.starts_with(&place.path))
    }
}

/// The mode of what a path means in a directory that is taken for the root.
fn mode_below(directory: &Path, view: &View, path: &[u8]) -> Result<Option<u32>> {
    let resolved = view.resolve(path)?;
    let path = directory.join(OsStr::from_bytes(&resolved.path.join(&b'/')));
    Ok(resolved
        .kind
        .and_then(|_| fs::symlink_metadata(path).ok())
        .map(|metadata| metadata.mode()))
}

fn mode_of(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.mode())
}
