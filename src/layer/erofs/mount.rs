//! Mounting a layer's image where nobody sees it but who has it open.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use super::{INDEX, TAR};
use crate::error::{Doing, Result};

/// What the kernel takes as an option's value (fsconfig(2)).
const LONGEST: usize = 255;

/// Mounts the image in a layer's directory. The mount is attached nowhere, and ends with the last descriptor that leads to it.
pub fn mount(directory: &Path) -> Result<OwnedFd> {
    let (index, tar) = (directory.join(INDEX), directory.join(TAR));
    let doing = || format!("mount layer `{}`", directory.display());
    if index.as_os_str().len() <= LONGEST {
        return mount_files(&index, &tar).doing(doing);
    }
    let (index, tar) = (File::open(&index).doing(doing)?, File::open(&tar).doing(doing)?);
    mount_open(&index, &tar).doing(doing)
}

/// Mounts an index and its tarball, which are open.
pub fn mount_open(index: &File, tar: &File) -> rustix::io::Result<OwnedFd> {
    let path = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    mount_files(path(index).as_ref(), path(tar).as_ref())
}

fn mount_files(index: &Path, tar: &Path) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", index)?;
    fsconfig_set_string(&fs, "device", tar)?;
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
