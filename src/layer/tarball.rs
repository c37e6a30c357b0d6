//! Files as entries of a tarball: what `commit`, `export` and `cp` write.
//!
//! Whoever else can write to the directory that is read may exchange a name for another file at any time. So a name is opened once,
//! in a way that has no effect on what it is (open(2), `O_PATH`), and everything that is said about it is true of what was opened.
//! No device and no pipe is ever opened for reading, and no link is followed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, fstatfs, getxattr, listxattr, openat, readlinkat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use super::implied::is_marked;
use super::owners::Owners;
use super::proc_path;
use super::view::{OPAQUE, is_whiteout};
use crate::error::Result;

pub const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How a file is opened that is only looked at.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Names and values of extended attributes.
pub type Extended = Vec<(Vec<u8>, Vec<u8>)>;

/// File systems in which the kernel shows itself (statfs(2)): there is no content in them that could be kept.
const KERNELS: [i64; 5] = [
    libc::PROC_SUPER_MAGIC,
    libc::SYSFS_MAGIC,
    libc::CGROUP_SUPER_MAGIC,
    libc::CGROUP2_SUPER_MAGIC,
    libc::DEVPTS_SUPER_MAGIC,
];

/// Writes a tarball.
pub struct Tarball<W: Write> {
    tar: Builder<W>,
    /// Where the first name of each file with several names went.
    linked: HashMap<(u64, u64), Vec<u8>>,
    owners: Owners,
    /// The latest time that a file may have, in seconds since 1970.
    latest: u64,
    /// The latest time so far.
    found: u64,
}

impl<W: Write> Tarball<W> {
    pub fn new(into: W, owners: Owners, latest: u64) -> Tarball<W> {
        Tarball {
            tar: Builder::new(into),
            linked: HashMap::new(),
            owners,
            latest,
            found: 0,
        }
    }

    /// Writes what an open directory itself is. `path` ends with a slash.
    pub fn directory(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<()> {
        let header = self.header(&fstat(directory)?, FileType::Directory);
        self.extended(&extended(directory)?)?;
        self.append(path, header, io::empty())
    }

    /// Writes what a directory has under a name as the entry `path`. A directory is returned: what is in it is not written yet.
    pub fn entry(&mut self, from: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<OwnedFd>> {
        let file = match openat(from, name, LOOK, Mode::empty()) {
            // It was removed just now.
            Err(Errno::NOENT) => return Ok(None),
            file => file?,
        };
        let stat = fstat(&file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let directory = openat(&file, c".", DIRECTORY, Mode::empty())?;
            if !is_marked(&directory, false) {
                self.directory(&directory, &[path, b"/"].concat())?;
            }
            return Ok(Some(directory));
        }
        // A container that runs has removed it just now: this says so to overlayfs, and to nobody else.
        if is_whiteout(&stat) {
            return Ok(None);
        }
        // A socket means nothing without the process that listens on it.
        if kind == FileType::Socket || stat.st_nlink > 1 && self.link(path, &stat)? {
            return Ok(None);
        }
        self.extended(&extended(&file)?)?;
        let mut header = self.header(&stat, kind);
        match kind {
            FileType::RegularFile => {
                header.set_size(stat.st_size as u64);
                let source = File::open(proc_path(&file))?;
                self.append(path, header, Steadfast(source.take(stat.st_size as u64)))?;
            }
            FileType::Symlink => {
                let target = readlinkat(&file, c"", Vec::new())?;
                self.append_link(path, header, target.to_bytes())?;
            }
            _ => self.append(path, header, io::empty())?,
        }
        Ok(None)
    }

    /// Writes a further name of a file as a link to its first one. Returns false if this is its first name.
    fn link(&mut self, path: &[u8], stat: &Stat) -> Result<bool> {
        let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)).cloned() else {
            self.linked.insert((stat.st_dev, stat.st_ino), path.to_vec());
            return Ok(false);
        };
        let mut header = self.header(stat, FileType::RegularFile);
        header.set_entry_type(EntryType::Link);
        self.append_link(path, header, &first)?;
        Ok(true)
    }

    /// Writes the extended attributes of the entry that comes next.
    fn extended(&mut self, attributes: &Extended) -> Result<()> {
        let extended = attributes.iter().filter(|(name, _)| name != OPAQUE.as_bytes());
        let extended: Vec<(String, &[u8])> = extended
            .map(|(name, value)| (format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.as_slice()))
            .collect();
        if !extended.is_empty() {
            self.tar
                .append_pax_extensions(extended.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
        Ok(())
    }

    /// Writes an empty file whose name alone says something.
    pub fn mark(&mut self, path: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.append(path, header, io::empty())
    }

    /// The latest time of a file so far, in seconds since 1970.
    pub fn latest_found(&self) -> u64 {
        self.found
    }

    /// Writes the end of the tarball.
    pub fn finish(self) -> Result<W> {
        Ok(self.tar.into_inner()?)
    }

    fn append(&mut self, path: &[u8], mut header: Header, data: impl Read) -> Result<()> {
        Ok(self.tar.append_data(&mut header, as_path(path), data)?)
    }

    fn append_link(&mut self, path: &[u8], mut header: Header, target: &[u8]) -> Result<()> {
        Ok(self.tar.append_link(&mut header, as_path(path), as_path(target))?)
    }

    fn header(&mut self, stat: &Stat, kind: FileType) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(match kind {
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
            FileType::CharacterDevice => EntryType::Char,
            FileType::BlockDevice => EntryType::Block,
            FileType::Fifo => EntryType::Fifo,
            _ => EntryType::Regular,
        });
        let (user, group) = self.owners.outward(stat);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(user.into());
        header.set_gid(group.into());
        header.set_size(0);
        let time = (stat.st_mtime.max(0) as u64).min(self.latest);
        self.found = self.found.max(time);
        header.set_mtime(time);
        if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            let only_old = "only old formats have no room for device numbers";
            header.set_device_major(major).expect(only_old);
            header.set_device_minor(minor).expect(only_old);
        }
        header
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// The names in a directory, in order.
pub fn names_in(directory: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a file is one in which the kernel shows itself.
pub fn is_kernels(file: impl AsFd) -> rustix::io::Result<bool> {
    Ok(KERNELS.contains(&fstatfs(file)?.f_type))
}

/// The extended attributes of an entry of a directory, as [`extended`] has them.
pub fn extended_at(directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<Extended> {
    extended(&openat(directory, name, LOOK, Mode::empty())?)
}

/// The extended attributes of an open file that belong to a layer: all but those with which overlayfs keeps its own books.
fn extended(file: &OwnedFd) -> rustix::io::Result<Extended> {
    let path = proc_path(file);
    let mut names = vec![0; 64 << 10];
    let length = match listxattr(&path, &mut names) {
        // Not every file system has them.
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let mut attributes = Vec::new();
    for key in names[..length].split(|c| *c == 0).filter(|key| !key.is_empty()) {
        if key.starts_with(b"trusted.overlay.") && key != OPAQUE.as_bytes() {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        let length = match getxattr(&path, key, &mut value) {
            Err(Errno::NODATA) => continue,
            length => length?,
        };
        value.truncate(length);
        attributes.push((key.to_vec(), value));
    }
    attributes.sort();
    Ok(attributes)
}

/// A file that shrinks while it is read ends in zeros, since its length was already said.
struct Steadfast(io::Take<File>);

impl Read for Steadfast {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = self.0.read(buffer)?;
        if length == 0 && self.0.limit() > 0 {
            length = buffer.len().min(self.0.limit() as usize);
            buffer[..length].fill(0);
            self.0.set_limit(self.0.limit() - length as u64);
        }
        Ok(length)
    }
}
