//! What a container is shown of the host: clones of parts of the host's tree of mounts.
//!
//! They are made first, while init can still reach the host's files with the host's power. Where they go is thought of later.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::config::{Config, Mount, wrong};
use super::mount_options::Options;
use super::tree::Tree;
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::layer::MountPoint;
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};

/// One mount of the configuration, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its index, which errors name.
    pub n: usize,
    /// The path in the container, as it was given, and the place that it means.
    pub target: Vec<u8>,
    pub at: MountPoint,
    pub kind: String,
    pub source: String,
    pub options: Options,
    /// Of a bind: whether the source is a directory.
    pub directory: bool,
    /// The ids of the container and of the host that are exchanged in it.
    pub users: Option<Input>,
    /// What whoever starts init has made of it already.
    pub made: Option<Input>,
}

impl Planned {
    pub fn is_bind(&self) -> bool {
        self.options.bind.is_some()
    }

    pub fn field(&self, name: &str) -> String {
        format!("mounts[{}].{name}", self.n)
    }

    /// Understands a mount. A relative source is below the bundle.
    pub fn read(n: usize, mount: &Mount, bundle: &Path) -> Result<Planned> {
        let mut planned = Planned {
            n,
            target: mount.destination.as_bytes().to_vec(),
            at: MountPoint::existing(b""),
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            options: Options::parse(&mount.options),
            directory: true,
            users: None,
            made: None,
        };
        if mount.kind == "bind" && !planned.is_bind() {
            planned.options.bind = Some(false);
        }
        if planned.is_bind() {
            let path = bundle.join(&mount.source);
            let found = fs::metadata(&path).doing(|| format!("find `{}`", path.display()));
            planned.directory = found.map_err(|error| wrong(&planned.field("source"), error))?.is_dir();
            planned.source = path.to_string_lossy().into_owned();
        } else if mount.kind.is_empty() {
            return Err(wrong(&planned.field("type"), "is missing"));
        }
        Ok(planned)
    }
}

/// All mounts of a configuration in their order, each with its place. The tree knows them afterwards.
pub fn read_mounts(config: &Config, bundle: &Path, tree: &mut Tree) -> Result<Vec<Planned>> {
    let mut all = Vec::new();
    for (n, mount) in config.mounts.iter().enumerate() {
        let mut planned = Planned::read(n, mount, bundle)?;
        planned.at = place(tree, &planned).map_err(|error| wrong(&planned.field("destination"), error))?;
        tree.cover(&planned);
        all.push(planned);
    }
    Ok(all)
}

/// The place of a mount, if it may be there. `/proc` is what programs, and those who secure them, learn the truth from
/// (CVE-2019-16884).
fn place(tree: &Tree, planned: &Planned) -> Result<MountPoint> {
    let at = tree.place(&planned.target, planned.directory)?;
    let path = at.path();
    let literal = String::from_utf8_lossy(&planned.target).trim_matches('/').to_string();
    if ["proc", "sysfs"].contains(&planned.kind.as_str()) && path != literal.as_bytes() {
        // A link would lead the mount elsewhere, and leave something else in its place (CVE-2019-19921, CVE-2023-27561).
        return Err(Error::invalid(format!(
            "`{}` must be mounted on ordinary directory, and this is a link",
            planned.kind
        )));
    }
    let is_proc = path == b"proc" && (planned.kind == "proc" || is_kernels(planned));
    if !is_proc {
        isolation::check_cover(&path)?;
    }
    Ok(at)
}

/// Whether a bind shows the kernel's processes.
fn is_kernels(planned: &Planned) -> bool {
    planned.is_bind() && rustix::fs::statfs(planned.source.as_str()).is_ok_and(|found| found.f_type == libc::PROC_SUPER_MAGIC)
}

/// The clones that were made, by what they are of.
#[derive(Default)]
pub struct Sources {
    root: Option<Register>,
    binds: HashMap<usize, Fd>,
    files: Vec<(PathBuf, Vec<Register>)>,
}

impl Sources {
    /// Writes the steps that clone the root; and all binds, where they cannot be cloned later. Otherwise each is cloned when it is
    /// mounted, so that tables of mounts have them in the order of the configuration.
    pub fn open(program: &mut Program, root: &Path, mounts: &[Planned], now_or_never: bool) -> Sources {
        program.concept(Concept::FileSystemLayering);
        let path = root.as_os_str().as_encoded_bytes();
        let mut sources = Sources {
            root: Some(program.open_tree(Fd::Cwd, path, true, "the container's root: a directory of the host")),
            ..Sources::default()
        };
        for mount in mounts.iter().filter(|_| now_or_never) {
            if let Some(clone) = clone(program, mount) {
                sources.binds.insert(mount.n, clone);
            }
        }
        sources
    }

    /// Writes the steps that clone a file of the host as often as it is needed.
    pub fn add_file(&mut self, program: &mut Program, path: &Path, count: usize, why: &str) {
        program.concept(Concept::ProcessIsolation);
        let clone = |program: &mut Program| program.open_tree(Fd::Cwd, path.as_os_str().as_encoded_bytes(), false, why.to_string());
        let clones = (0..count).map(|_| clone(program)).collect();
        self.files.push((path.into(), clones));
    }

    pub fn root(&self) -> Register {
        self.root.expect("opened first")
    }

    /// The clone for a mount that is one, which is made now if it was not made before.
    pub fn bind(&self, program: &mut Program, mount: &Planned) -> Option<Fd> {
        self.binds.get(&mount.n).copied().or_else(|| clone(program, mount))
    }

    /// One more clone of a file.
    pub fn take_file(&mut self, path: &Path) -> Register {
        // A file can be needed for several reasons, and then is there several times.
        let file = self
            .files
            .iter_mut()
            .find(|(known, clones)| known == path && !clones.is_empty());
        file.and_then(|(_, clones)| clones.pop()).expect("as many were counted")
    }
}

/// Writes the steps that clone what a mount shows of the host, and give it the container's ids.
fn clone(program: &mut Program, mount: &Planned) -> Option<Fd> {
    let fd = match (mount.made, mount.options.bind) {
        (Some(made), _) => Fd::Given(made),
        (None, Some(recursive)) => {
            let why = "a part of the host's file system";
            Fd::Kept(program.open_tree(Fd::Cwd, mount.source.as_bytes(), recursive, why))
        }
        (None, None) => return None,
    };
    if let Some(users) = mount.users {
        let change = MountChange {
            users: Some(users),
            recursive: mount.options.id_mapped == Some(true),
            ..MountChange::default()
        };
        program.change_mount(
            fd,
            change,
            "files belong to the container's users, whatever they have on disk",
        );
    }
    Some(fd)
}

/// The host's `/dev/null`, with which files are hidden. It must be what it says it is (CVE-2025-31133).
pub fn check_null() -> Result<&'static Path> {
    let path = Path::new("/dev/null");
    let metadata = fs::symlink_metadata(path).doing(|| "find `/dev/null`")?;
    let device = std::os::unix::fs::MetadataExt::rdev(&metadata);
    if !metadata.file_type().is_char_device() || device != libc::makedev(1, 3) {
        return Err(Error::system(
            "the host's `/dev/null` is another file: nothing can be hidden with it",
        ));
    }
    Ok(path)
}
