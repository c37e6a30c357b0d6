//! `tmpcopyup`: a file system in memory that begins with what the root has at its place.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, lchown, symlink};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::sources::Planned;
use crate::error::{Doing, Result};

/// Makes the file system, which is attached nowhere, and fills it.
pub fn copy_up(root: &Path, planned: &Planned) -> Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in &planned.options.data {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        if value.is_empty() {
            fsconfig_set_flag(&fs, text(name))
        } else {
            fsconfig_set_string(&fs, text(name), text(value))
        }
        .doing(|| format!("option `{name}`"))?;
    }
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::from_bits_retain(planned.options.attributes() as u32) - MountAttrFlags::MOUNT_ATTR_RDONLY;
    let mount = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let place = String::from_utf8_lossy(&planned.at.path()).into_owned();
    let from = root.join(place);
    if from.is_dir() {
        let to = format!("/proc/self/fd/{}", mount.as_raw_fd());
        copy_directory(&from, Path::new(&to)).doing(|| format!("copy `{}`", from.display()))?;
    }
    Ok(mount)
}

/// Copies what is in a directory: directories, files and links, with their modes and owners. Devices and sockets stay where they are.
fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    let own = fs::metadata(from)?;
    let directory = fs::File::open(to)?;
    fchown(&directory, Some(own.uid()), Some(own.gid()))?;
    directory.set_permissions(Permissions::from_mode(own.mode()))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_directory(&source, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            lchown(&target, Some(metadata.uid()), Some(metadata.gid()))?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
            lchown(&target, Some(metadata.uid()), Some(metadata.gid()))?;
            fs::set_permissions(&target, Permissions::from_mode(metadata.mode()))?;
        }
    }
    Ok(())
}
