//! `tmpcopyup`: a file system in memory that begins with what the root has at its place.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chownat, fchmod, fchown, fstat, mkdirat, openat,
    openat2, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;
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
    if let Some(from) = open_place(root, &place).doing(|| format!("open `{place}` of the root"))? {
        // A mount as such can only be referred to.
        let to = openat(&mount, ".", DIRECTORY, Mode::empty())?;
        copy_directory(&from, &to).doing(|| format!("copy `{place}` of the root"))?;
    }
    Ok(mount)
}

/// Opens the directory whose content is copied, if there is one. Where it is was found out before; a link that is on the way by now
/// would lead to files of the host.
fn open_place(root: &Path, place: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let place = if place.is_empty() { "." } else { place };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(&root, place, DIRECTORY, Mode::empty(), resolve) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        opened => opened.map(Some),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Copies what is in a directory: directories, files and links, with their modes and owners. Devices and sockets stay where they are.
/// Everything is opened by its name in an open directory and by no link, since the root can change meanwhile.
fn copy_directory(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    own(to, &fstat(from)?)?;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                let below = openat(from, name, DIRECTORY, Mode::empty())?;
                mkdirat(to, name, Mode::RWXU)?;
                copy_directory(&below, &openat(to, name, DIRECTORY, Mode::empty())?)?;
            }
            FileType::Symlink => {
                symlinkat(&*readlinkat(from, name, Vec::new())?, to, name)?;
                let (user, group) = owners(&found);
                chownat(to, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::RegularFile => copy_file(from, name, to)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: &OwnedFd, name: &CStr, to: &OwnedFd) -> rustix::io::Result<()> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = openat(from, name, how, Mode::empty())?;
    let found = fstat(&source)?;
    // It may have become something else since it was looked at.
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = openat(to, name, how, Mode::RUSR | Mode::WUSR)?;
    std::io::copy(&mut File::from(source), &mut File::from(target.try_clone().map_err(errno)?)).map_err(errno)?;
    own(&target, &found)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Gives a copy the owners and then, since changing those takes it, the mode of the original.
fn own(copy: &OwnedFd, original: &Stat) -> rustix::io::Result<()> {
    let (user, group) = owners(original);
    fchown(copy, user, group)?;
    fchmod(copy, Mode::from_raw_mode(original.st_mode))
}

fn owners(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}
