//! Where on the host what a container sees comes from.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::{Access, HostPath, Mount, Source};
use crate::error::{Doing, Error, Result};
use crate::layer::{Given, Lower, Stack, Volumes};
use crate::store::Store;

/// What is mounted, for those who write the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file or a directory, with what is mounted below it or without.
    Path { path: Vec<u8>, recursive: bool },
    /// What a path leads to below a directory, and nowhere else.
    Below { directory: Vec<u8>, path: Vec<u8> },
    /// A file system that is made: its type, what it is told, and `MOUNT_ATTR_…`.
    New {
        kind: String,
        data: Vec<(String, String)>,
        attributes: u64,
    },
    /// Directories of layers, topmost first, seen as one tree.
    Layers(Vec<Lower>),
}

/// Finds out what is to be mounted. Nothing need be there yet. Images that must be mounted before are added to what init is given.
pub fn locate(store: &Store, mount: &Mount, given: &mut Given) -> Result<Origin> {
    Ok(match &mount.source {
        Source::Bind(host) => Origin::Path {
            path: host.path.as_bytes().to_vec(),
            recursive: !host.alone,
        },
        Source::Volume(volume) => {
            let volumes = Volumes::new(store);
            let found = volumes.find_if_present(&volume.name)?;
            let options = found.map_or_else(|| volume.options.clone(), |found| found.options);
            match volumes.origin(&volume.name, &options)? {
                Origin::Path { path, .. } if !volume.subpath.as_bytes().is_empty() => Origin::Below {
                    directory: path,
                    path: volume.subpath.as_bytes().to_vec(),
                },
                Origin::New { .. } if !volume.subpath.as_bytes().is_empty() => {
                    return Err(Error::invalid(
                        "a part of a volume that is mounted by its options cannot be shown",
                    ));
                }
                origin => origin,
            }
        }
        Source::Tmpfs(tmpfs) => Origin::New {
            kind: "tmpfs".into(),
            data: tmpfs.data.clone(),
            attributes: tmpfs.attributes,
        },
        Source::Image(image) => {
            let stack = Stack::open(store, &image.layers)?;
            match &stack.give_part(image.subpath.as_bytes(), given, || store.run_directory("nothing"))?[..] {
                [Lower::Tree(path)] => Origin::Path {
                    path: path.as_os_str().as_bytes().to_vec(),
                    recursive: false,
                },
                layers => Origin::Layers(layers.to_vec()),
            }
        }
    })
}

impl Origin {
    /// Whether it is a directory, as far as that can be seen; what cannot is taken for one.
    pub fn is_directory(&self) -> bool {
        let kind = match self {
            Origin::Path { path, .. } => fs::metadata(Path::new(std::ffi::OsStr::from_bytes(path))).map(|found| found.is_dir()),
            Origin::Below { directory, path } => kind_below(directory, path)
                .map(|kind| kind == FileType::Directory)
                .map_err(Into::into),
            Origin::New { .. } | Origin::Layers(_) => Ok(true),
        };
        kind.unwrap_or(true)
    }
}

/// What kind of file a path leads to below a directory.
fn kind_below(directory: &[u8], path: &[u8]) -> rustix::io::Result<FileType> {
    let directory = openat(
        CWD,
        directory,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&directory, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    Ok(FileType::from_raw_mode(fstat(&found)?.st_mode))
}

impl HostPath {
    /// Checks that there is something to show, and makes a directory where that was asked for.
    pub fn prepare(&self) -> Result<()> {
        let path = Path::new(std::ffi::OsStr::from_bytes(self.path.as_bytes()));
        let doing = || format!("mount source `{}`", path.display());
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.create => fs::create_dir_all(path).doing(doing),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::from(error)
                .doing(doing())
                .hint("`-v` makes a directory that is missing, and so does `bind-create-src`")),
            found => found.map(|_| ()).doing(doing),
        }
    }
}

impl Mount {
    /// Checks what a container that is about to be started will see.
    pub fn prepare(&self, store: &Store) -> Result<()> {
        match &self.source {
            Source::Bind(host) => host.prepare(),
            Source::Volume(volume) => {
                let volumes = Volumes::new(store);
                volumes.find(&volume.name)?;
                volumes.settle(&volume.name)?;
                self.check_part(store)
            }
            Source::Image(_) => self.check_part(store),
            Source::Tmpfs(_) => Ok(()),
        }
    }

    /// Checks that the part that is shown is there, and is a part.
    fn check_part(&self, store: &Store) -> Result<()> {
        let Origin::Below { directory, path } = locate(store, self, &mut Given::default())? else {
            return Ok(());
        };
        let doing = || format!("subpath `{}`", String::from_utf8_lossy(&path));
        match kind_below(&directory, &path) {
            Err(rustix::io::Errno::XDEV) => Err(Error::invalid("leads out of what it is a part of").doing(doing())),
            found => found.map(|_| ()).doing(doing),
        }
    }

    /// What only an image's files are: nobody may write to them, since others share them.
    pub fn effective_access(&self) -> Access {
        match self.source {
            Source::Image(_) => Access::ReadOnly,
            _ => self.access,
        }
    }
}
