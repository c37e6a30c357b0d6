//! Which form new layers get. What the kernel can do is tried, not told from its version: a tiny layer is mounted, read, and put into
//! an overlay as a container's root is.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, lgetxattr, openat};
use rustix::mount::{FsOpenFlags, fsconfig_create, fsconfig_set_fd, fsopen};

use super::mount::mount_open;
use super::sketch::Sketch;
use super::write;
use crate::error::{Error, Result};
use crate::layer::unpack::{Limits, read_into};
use crate::layer::{Content, proc_path};

/// What a layer is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A tarball with an index, which are mounted.
    Image,
    /// A directory with all files, and why.
    Tree(String),
}

/// What forces a form.
const FORM: &str = "TINYDOCK_LAYERS";

/// The form that new layers get in a directory. It is found out once.
pub fn form(directory: &Path) -> Result<Form> {
    let probed = || {
        static PROBED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
        PROBED.get_or_init(|| probe(directory))
    };
    match env::var(FORM).as_deref() {
        Ok("tree") => Ok(Form::Tree(format!("{FORM} says so"))),
        Ok("image") => match probed() {
            Ok(()) => Ok(Form::Image),
            Err(reason) => Err(Error::system(reason).doing(format!("`{FORM}=image`"))),
        },
        Err(env::VarError::NotPresent) | Ok("") => Ok(match probed() {
            Ok(()) => Form::Image,
            Err(reason) => Form::Tree(reason.clone()),
        }),
        _ => Err(Error::invalid(format!("`{FORM}` is neither `tree` nor `image`"))),
    }
}

/// Whether images are not to be mounted, even where they can be.
pub fn only_trees() -> bool {
    env::var_os(FORM).is_some_and(|form| form == "tree")
}

/// A layer with one file.
fn tiny() -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(CONTENT.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, NAME, CONTENT)?;
    Ok(tar.into_inner()?)
}

const NAME: &str = "file";
const CONTENT: &[u8] = b"content";

/// Mounts a tiny layer from files that have no name. Returns why that fails.
fn probe(directory: &Path) -> std::result::Result<(), String> {
    let written = write_tiny(directory).map_err(|error| format!("a layer to try cannot be written: {error}"))?;
    let (index, tar) = written;
    let mount = mount_open(&index, &tar).map_err(|errno| format!("this kernel cannot mount EROFS from files: {errno}"))?;
    let read = read_tiny(&mount).map_err(|error| format!("this kernel cannot read EROFS: {error}"))?;
    if read != CONTENT {
        return Err("this kernel reads something else from EROFS than was written".into());
    }
    overlay(&mount, directory).map_err(|errno| format!("this kernel cannot stack mounts that are attached nowhere: {errno}"))
}

fn write_tiny(directory: &Path) -> Result<(File, File)> {
    let bytes = tiny()?;
    let (mut tar, mut index) = (nameless(directory)?, nameless(directory)?);
    let mut sketch = Sketch::new();
    let limits = Limits {
        bytes: u64::MAX,
        entries: 1,
    };
    let content: Content = read_into(bytes.as_slice(), None, &mut sketch, &limits)?;
    sketch.finish_layer();
    tar.write_all(&bytes)?;
    index.write_all(&write::write(&sketch, &content).map_err(Error::system)?)?;
    Ok((index, tar))
}

fn nameless(directory: &Path) -> Result<File> {
    let how = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, directory, how, Mode::from_raw_mode(0o600))?.into())
}

/// Reads the file, and checks that there are extended attributes: nobody has told anything of the root, which has a mark.
fn read_tiny(mount: &OwnedFd) -> Result<Vec<u8>> {
    let root = format!("{}/.", proc_path(mount));
    lgetxattr(&root, "trusted.overlay.tinydock.implied", &mut [0; 8])?;
    let mut content = Vec::new();
    File::open(format!("{root}/{NAME}"))?.read_to_end(&mut content)?;
    Ok(content)
}

/// Makes an overlay of the mount and a directory, as init does.
fn overlay(mount: &OwnedFd, directory: &Path) -> rustix::io::Result<()> {
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, how, Mode::empty())?;
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_fd(&fs, "lowerdir+", mount)?;
    fsconfig_set_fd(&fs, "lowerdir+", &directory)?;
    fsconfig_create(&fs)
}
