//! Paths below a layer's directory, resolved as if that were the root.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::tree::{make_opaque, remove};
use crate::error::Result;
use crate::layer::view::is_whiteout;

pub const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How many symbolic links one path may lead through (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Opens a directory below the root, following links as a process with that root would.
pub fn open_path(root: &OwnedFd, path: &[Vec<u8>]) -> rustix::io::Result<OwnedFd> {
    open_place(root, &path.join(&b'/'))
}

/// The same for a path in one piece.
pub fn open_place(root: &OwnedFd, place: &[u8]) -> rustix::io::Result<OwnedFd> {
    if place.is_empty() {
        return openat(root, c".", DIRECTORY, Mode::empty());
    }
    loop {
        match openat2(
            root,
            place,
            DIRECTORY,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) {
            // A rename elsewhere on the system made the kernel unsure of a `..` in a link.
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
}

/// Makes the directories of a path one by one. A link leads on even if this layer has nothing where it leads: the layers below
/// may. What is in the way and no directory is replaced. `made` is told the place of each directory that was made, and whether
/// nothing was in its way.
pub fn make_path(root: &OwnedFd, path: &[Vec<u8>], mut made: impl FnMut(&[Vec<u8>], bool)) -> Result<OwnedFd> {
    let mut left: VecDeque<Vec<u8>> = path.iter().cloned().collect();
    let mut place: Vec<Vec<u8>> = Vec::new();
    let mut directory = open_path(root, &place)?;
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == b".." {
            place.pop();
            directory = open_path(root, &place)?;
            continue;
        }
        let stat = match statat(&directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => None,
            stat => Some(stat?),
        };
        match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Some(FileType::Directory) => {
                directory = openat(&directory, name.as_slice(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
                place.push(name);
            }
            Some(FileType::Symlink) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = readlinkat(&directory, name.as_slice(), Vec::new())?.into_bytes();
                if target.starts_with(b"/") {
                    place.clear();
                    directory = open_path(root, &place)?;
                }
                let names = target.split(|c| *c == b'/').filter(|name| !name.is_empty() && *name != b".");
                names.rev().for_each(|name| left.push_front(name.to_vec()));
            }
            _ => {
                if stat.is_some() {
                    remove(&directory, &name)?;
                }
                mkdirat(&directory, name.as_slice(), Mode::from_raw_mode(0o755))?;
                directory = openat(&directory, name.as_slice(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
                place.push(name);
                // mkdir applies our umask.
                fchmod(&directory, Mode::from_raw_mode(0o755))?;
                if stat.is_some_and(|stat| is_whiteout(&stat)) {
                    make_opaque(&directory)?;
                }
                made(&place, stat.is_none());
            }
        }
    }
    Ok(directory)
}
