//! Where something is mounted in the container: a path that leads nowhere but into its root.

use rustix::fs::FileType;

use super::View;
use crate::error::Result;
use crate::program::flags::open;
use crate::program::{Fd, Program, Register};

/// A place in the container's root, whose missing directories are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The path from the root, symbolic links resolved as far as they could be known.
    path: Vec<Vec<u8>>,
    /// How many of the last components are to be made.
    missing: usize,
    /// Whether it is to be a directory or a file.
    directory: bool,
    /// Whether symbolic links on the way are followed, within the root.
    follows: bool,
}

impl MountPoint {
    /// The place that `path` means in the image that `view` shows.
    pub fn find(view: &View, path: &[u8], directory: bool) -> Result<MountPoint> {
        let resolved = view.resolve(path)?;
        // A dangling link was followed to what it names; what is there of another kind than needed fails when it is mounted on.
        let missing = if resolved.kind.is_some_and(|kind| kind != FileType::Symlink) {
            0
        } else {
            resolved.missing
        };
        Ok(MountPoint {
            path: resolved.path,
            missing,
            directory,
            follows: true,
        })
    }

    /// A place on a file system that only the container has, where all directories may have to be made.
    pub fn unknown(path: &[u8], directory: bool) -> MountPoint {
        let path: Vec<Vec<u8>> = path
            .split(|c| *c == b'/')
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        MountPoint {
            missing: path.len(),
            path,
            directory,
            follows: true,
        }
    }

    /// The same place, if no symbolic link is on the way to it. Who can write to what is mounted there could set one.
    pub fn without_links(self) -> MountPoint {
        MountPoint { follows: false, ..self }
    }

    /// The path from the root.
    pub fn path(&self) -> Vec<u8> {
        self.path.join(&b'/')
    }

    /// A directory that must be there.
    pub fn existing(path: &[u8]) -> MountPoint {
        MountPoint {
            missing: 0,
            ..MountPoint::unknown(path, true)
        }
    }

    /// Whether this place is below `other`.
    pub fn is_below(&self, other: &MountPoint) -> bool {
        self.path.starts_with(&other.path)
    }

    /// How deep the place is.
    pub fn depth(&self) -> usize {
        self.path.len()
    }

    /// Writes the steps that make what is missing and open the place below `root`.
    pub fn open(&self, program: &mut Program, root: Register, why: &'static str) -> Register {
        let look_up = if self.follows {
            Program::open_in_root
        } else {
            Program::open_without_links
        };
        let mut parent = root;
        for depth in self.path.len() - self.missing..self.path.len() {
            let name = &self.path[depth];
            let last = depth + 1 == self.path.len();
            if depth > 0 && parent == root {
                parent = look_up(
                    program,
                    root,
                    &self.path[..depth].join(&b'/'),
                    open::PATH,
                    "where directories are missing",
                );
            }
            if last && !self.directory {
                break;
            }
            program.mkdir_missing(Fd::Kept(parent), name, "the image does not have it");
            if !last {
                let path = self.path[..=depth].join(&b'/');
                parent = look_up(program, root, &path, open::PATH, "go on below it");
            }
        }
        let flags = if self.missing > 0 && !self.directory {
            open::CREAT | open::NONBLOCK
        } else if self.directory {
            open::PATH | open::DIRECTORY
        } else {
            open::PATH
        };
        look_up(program, root, &self.path(), flags, why)
    }
}
