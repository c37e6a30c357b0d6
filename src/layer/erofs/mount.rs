//! Mounting a layer's image where nobody sees it but who has it open.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fgetxattr, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use super::{Generation, INDEX, Mounted, TAR};
use crate::error::{Doing, Result};
use crate::layer::proc_path;

/// Mounts the image in a layer's directory. The mount is attached nowhere, and ends with the last descriptor that leads to it.
///
/// The directory is opened once: a tree may take its place at any time, whose files of these names are anybody's.
pub fn mount(directory: &Path) -> Result<Mounted> {
    let mounted = || -> rustix::io::Result<Mounted> {
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let layer = openat(CWD, directory, how | OFlags::DIRECTORY, Mode::empty())?;
        let generation = Generation::read(|name, value| fgetxattr(&layer, name, value))?;
        let open = |name: &str| {
            let file = openat(&layer, name, how | OFlags::NONBLOCK, Mode::empty())?;
            match FileType::from_raw_mode(fstat(&file)?.st_mode) {
                FileType::RegularFile => Ok(File::from(file)),
                _ => Err(Errno::INVAL),
            }
        };
        mount_open(&open(INDEX)?, &open(TAR)?).map(|mount| Mounted { mount, generation })
    };
    mounted().doing(|| format!("mount layer `{}`", directory.display()))
}

/// Mounts an index and its tarball, which are open.
pub fn mount_open(index: &File, tar: &File) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", proc_path(index))?;
    fsconfig_set_string(&fs, "device", proc_path(tar))?;
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
