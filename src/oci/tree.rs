//! What is at a path of the container, as far as that can be known before there is a container: the root and the parts of the host
//! that are shown in it are there, `/proc` and `/sys` are the same kernel's, and what else is mounted is empty.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::sources::Planned;
use crate::error::{Error, Result};
use crate::layer::{MountPoint, View};

pub struct Tree {
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

    /// Whether a path is, or is below, something that was mounted; and what kind of file is there.
    pub fn kind(&self, path: &[u8]) -> Result<Option<FileType>> {
        let path = self.walk(path)?;
        let Some(place) = self.covering(&path) else {
            return Ok(self.root.resolve(&path.join(&b'/'))?.kind);
        };
        let rest = path[place.path.len()..].join(&b'/');
        match &place.content {
            Content::Empty => Ok(None),
            Content::Copy => Ok(self.root.resolve(&path.join(&b'/'))?.kind),
            Content::Host(source, true) => Ok(View::new(&[source.clone()])?.resolve(&rest)?.kind),
            Content::Host(..) => Ok(rest.is_empty().then_some(FileType::RegularFile)),
            Content::Kernel(at) => {
                let path = Path::new(at).join(String::from_utf8_lossy(&rest).as_ref());
                Ok(fs::metadata(path)
                    .ok()
                    .map(|metadata| FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(&metadata))))
            }
        }
    }

    /// The last mount that a path is below.
    fn covering(&self, path: &[Vec<u8>]) -> Option<&Place> {
        self.mounts.iter().rev().find(|place| path.starts_with(&place.path))
    }
}
