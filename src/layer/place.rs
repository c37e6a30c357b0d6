//! A file system in which others may change what names mean while we look them up: a container's, or the host's own.
//!
//! Whatever path is asked for in a container, the kernel resolves it with the container's root as its root (openat2(2),
//! `RESOLVE_IN_ROOT`): no link and no `..` leads out, whoever exchanges them when (CVE-2018-15664). What was found is a name in an open
//! directory; if something else has the name by then, that is in the container as well. Links of `/proc` that lead to what a process has open are not followed, and files in which the
//! kernel shows itself are not there.
//!
//! Paths are understood as Docker understands them: `..` takes away the name before it, whatever that leads to; and a slash or `/.`
//! at the end says that it is a directory.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::tarball::is_kernels;

/// A file system, by its root.
pub struct Place {
    root: OwnedFd,
    /// Whether links must not lead out of it, and what is the kernel's is not there.
    confined: bool,
}

/// What a path leads to; the last link is not followed.
pub struct Found {
    /// The directory that has it.
    pub parent: OwnedFd,
    /// Its name there, which is `.` for what is said to be a directory.
    pub name: Vec<u8>,
    pub stat: Stat,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<Vec<u8>>,
}

impl Found {
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

/// How many symbolic links one path may lead through (path_resolution(7)).
const MAX_LINKS: u32 = 40;

impl Place {
    /// The file system of a container.
    pub fn confined(root: OwnedFd) -> Place {
        Place { root, confined: true }
    }

    /// The host's, as whoever asks sees it.
    pub fn host() -> rustix::io::Result<Place> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, c"/", how, Mode::empty())?;
        Ok(Place { root, confined: false })
    }

    /// Finds what a path leads to.
    pub fn find(&self, path: &[u8]) -> rustix::io::Result<Found> {
        let (directory, name) = split(path);
        let parent = self.open(&directory, OFlags::PATH | OFlags::DIRECTORY)?;
        let how = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name.as_slice(), how, Mode::empty())?;
        if self.confined && is_kernels(&file)? {
            return Err(Errno::NOENT);
        }
        let stat = fstat(&file)?;
        let link = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Some(readlinkat(&file, c"", Vec::new())?.into_bytes()),
            _ => None,
        };
        Ok(Found {
            parent,
            name,
            stat,
            link,
        })
    }

    /// Finds what a path leads to in the end. Returns the path without a link at its end, and what is there, if there is something.
    pub fn follow(&self, path: &[u8]) -> rustix::io::Result<(Vec<u8>, Option<Found>)> {
        let mut path = path.to_vec();
        for _ in 0..MAX_LINKS {
            match self.find(&path) {
                Ok(Found { link: Some(target), .. }) => path = join(&path, &target),
                Ok(found) => return Ok((path, Some(found))),
                Err(Errno::NOENT) => return Ok((path, None)),
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::LOOP)
    }

    /// Opens a directory, wherever links lead.
    pub fn directory(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let directory = self.open(&clean(path), OFlags::RDONLY | OFlags::DIRECTORY)?;
        if self.confined && is_kernels(&directory)? {
            return Err(Errno::NOENT);
        }
        Ok(directory)
    }

    fn open(&self, names: &[&[u8]], how: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = [b".".as_slice()]
            .into_iter()
            .chain(names.iter().copied())
            .collect::<Vec<_>>()
            .join(&b'/');
        let how = how | OFlags::CLOEXEC;
        if !self.confined {
            return openat(&self.root, path.as_slice(), how, Mode::empty());
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(&self.root, path.as_slice(), how, Mode::empty(), resolve) {
                // A rename elsewhere on the system made the kernel unsure of a `..` in a link.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
    }
}

/// The names of a path, without `.` and `..`.
fn clean(path: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    for name in path.split(|c| *c == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names
}

/// Whether a path says by itself that it is a directory.
pub fn says_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || is_content(path)
}

/// Whether a path means what is in a directory: its last name is `.`.
fn is_content(path: &[u8]) -> bool {
    path == b"." || path.ends_with(b"/.")
}

/// The directories of a path, and the name in the last of them; that is `.` where the path says that it is a directory.
fn split(path: &[u8]) -> (Vec<&[u8]>, Vec<u8>) {
    let mut names = clean(path);
    let name = if says_directory(path) { None } else { names.pop() };
    let name = name.map_or_else(|| b".".to_vec(), <[u8]>::to_vec);
    (names, name)
}

/// The name that a path gives to what it leads to: `.` for what is in a directory.
pub fn base(path: &[u8]) -> Vec<u8> {
    let name = clean(path).pop().filter(|_| !is_content(path));
    name.map_or_else(|| b".".to_vec(), <[u8]>::to_vec)
}

/// The directory that a path's [`base`] is in.
pub fn parent(path: &[u8]) -> Vec<u8> {
    let mut names = clean(path);
    if !is_content(path) {
        names.pop();
    }
    [b"/", names.join(&b'/').as_slice()].concat()
}

/// The path that a symbolic link at the end of `path` leads to.
fn join(path: &[u8], target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        return target.to_vec();
    }
    [&parent(path), b"/".as_slice(), target].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood_as_docker_does() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        for (path, directory, name, base_name, parent_path) in [
            ("/a/b", "a", "b", "b", "/a"),
            ("/a/b/", "a/b", ".", "b", "/a"),
            ("/a/b/.", "a/b", ".", ".", "/a/b"),
            ("a/../../b", "", "b", "b", "/"),
            ("/", "", ".", ".", "/"),
            (".", "", ".", ".", "/"),
            ("/a/..", "", ".", ".", "/"),
        ] {
            let (names, found) = split(path.as_bytes());
            assert_eq!(
                (text(names.join(&b'/')), text(found)),
                (directory.into(), name.into()),
                "{path}"
            );
            assert_eq!(text(base(path.as_bytes())), base_name, "{path}");
            assert_eq!(text(parent(path.as_bytes())), parent_path, "{path}");
        }
        assert_eq!(text(join(b"/a/b", b"../c")), "/a/../c");
        assert_eq!(text(join(b"/a/b", b"/c")), "/c");
    }
}
