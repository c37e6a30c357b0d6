//! A directory as a layer's tarball: what a container changed, or a layer whose tarball is gone.
//!
//! In the upper directory of an overlay a deleted name is a character device 0:0 and a replaced directory has the attribute
//! `trusted.overlay.opaque`. The tarball spells them `.wh.NAME` and `.wh..wh..opq` (OCI image specification, "Layer:
//! Whiteouts"). Nothing below the directory is read.
//!
//! The same content gives the same tarball on any machine: entries are in the order of their names, users are numbers, and
//! times are whole seconds, none later than one that the caller names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, lgetxattr, llistxattr, openat, readlinkat, statat};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::Content;
use super::implied::is_marked;
use super::view::{OPAQUE, is_opaque, is_whiteout};
use crate::error::{Doing, Error, Result};
use crate::store::Digest;

/// A directory as a tarball.
#[derive(Debug)]
pub struct Packed {
    pub content: Content,
    /// The latest time of a file in it, in seconds since 1970.
    pub latest: u64,
}

/// Writes what a directory has as a tarball. No file in it is said to be younger than `latest`, in seconds since 1970.
pub fn pack(directory: &Path, latest: u64, into: impl Write) -> Result<Packed> {
    let from = openat(CWD, directory, DIRECTORY, Mode::empty()).doing(|| format!("open `{}`", directory.display()))?;
    let hasher = Hasher {
        into,
        hasher: Sha256::new(),
        size: 0,
    };
    let mut pack = Pack {
        tar: Builder::new(hasher),
        linked: HashMap::new(),
        latest,
        found: 0,
    };
    pack.itself(&from)?;
    pack.directory(&from, b"")?;
    let hasher = pack.tar.into_inner().map_err(Error::from)?;
    let content = Content {
        size: hasher.size,
        diff_id: Digest::of(hasher.hasher),
    };
    Ok(Packed {
        content,
        latest: pack.found,
    })
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Names and values of extended attributes.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

struct Pack<W: Write> {
    tar: Builder<Hasher<W>>,
    /// Where the first name of each file with several names went.
    linked: HashMap<(u64, u64), Vec<u8>>,
    latest: u64,
    /// The latest time so far.
    found: u64,
}

impl<W: Write> Pack<W> {
    /// Packs what the directory itself is.
    fn itself(&mut self, from: &OwnedFd) -> Result<()> {
        // What nobody has told is not told again.
        if is_marked(from, true) {
            return Ok(());
        }
        let header = self.header(&rustix::fs::fstat(from)?, FileType::Directory);
        self.extended(&attributes(from, b".")?)?;
        self.append(b"./", header, io::empty())
    }

    /// Packs all entries of a directory, in the order of their names.
    fn directory(&mut self, from: &OwnedFd, path: &[u8]) -> Result<()> {
        if is_opaque(from) {
            self.mark(&[path, b".wh..wh..opq"].concat())?;
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in Dir::read_from(from)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let full = [path, &name].concat();
            self.entry(from, &name, &full)
                .doing(|| format!("pack `/{}`", String::from_utf8_lossy(&full)))?;
        }
        Ok(())
    }

    fn entry(&mut self, from: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if is_whiteout(&stat) {
            let (parent, name) = path.split_at(path.len() - name.len());
            return self.mark(&[parent, b".wh.", name].concat());
        }
        if kind == FileType::Socket {
            // It means nothing without the process that listens on it.
            return Ok(());
        }
        if kind != FileType::Directory && stat.st_nlink > 1 && self.link(path, &stat)? {
            return Ok(());
        }
        if kind == FileType::Directory {
            let directory = openat(from, name, DIRECTORY, Mode::empty())?;
            let path = [path, b"/"].concat();
            if !is_marked(&directory, false) {
                self.extended(&attributes(from, name)?)?;
                let header = self.header(&stat, kind);
                self.append(&path, header, io::empty())?;
            }
            return self.directory(&directory, &path);
        }
        self.extended(&attributes(from, name)?)?;
        let mut header = self.header(&stat, kind);
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let source = File::from(openat(from, name, flags, Mode::empty())?);
                header.set_size(stat.st_size as u64);
                self.append(path, header, Steadfast(source.take(stat.st_size as u64)))
            }
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new())?;
                self.append_link(path, header, target.to_bytes())
            }
            _ => self.append(path, header, io::empty()),
        }
    }

    /// Packs a further name of a file as a link to its first one. Returns false if this is its first name.
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

    /// Packs the extended attributes of the entry that comes next.
    fn extended(&mut self, attributes: &Attributes) -> Result<()> {
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

    /// Packs an empty file whose name alone says something.
    fn mark(&mut self, path: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.append(path, header, io::empty())
    }

    fn append(&mut self, path: &[u8], mut header: Header, data: impl Read) -> Result<()> {
        Ok(self.tar.append_data(&mut header, as_path(path), data)?)
    }

    fn append_link(&mut self, path: &[u8], mut header: Header, target: &[u8]) -> Result<()> {
        Ok(self.tar.append_link(&mut header, as_path(path), as_path(target))?)
    }

    /// A header that says of a file what every machine would say of it.
    fn header(&mut self, stat: &Stat, kind: FileType) -> Header {
        let mut header = header(stat, kind);
        let time = (stat.st_mtime.max(0) as u64).min(self.latest);
        self.found = self.found.max(time);
        header.set_mtime(time);
        header
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

fn header(stat: &Stat, kind: FileType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(match kind {
        FileType::Directory => EntryType::Directory,
        FileType::Symlink => EntryType::Symlink,
        FileType::CharacterDevice => EntryType::Char,
        FileType::BlockDevice => EntryType::Block,
        FileType::Fifo => EntryType::Fifo,
        _ => EntryType::Regular,
    });
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_size(0);
    if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        // Only old formats have no room for device numbers.
        header
            .set_device_major(rustix::fs::major(stat.st_rdev))
            .expect("a GNU header");
        header
            .set_device_minor(rustix::fs::minor(stat.st_rdev))
            .expect("a GNU header");
    }
    header
}

/// A path that refers to an entry of an open directory, for the calls that take no directory.
fn magic_path(directory: &OwnedFd, name: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).as_bytes(), name].concat()
}

/// The extended attributes that belong to a layer: all but those with which overlayfs keeps its own books.
pub fn attributes(directory: &OwnedFd, name: &[u8]) -> Result<Attributes> {
    let path = magic_path(directory, name);
    let mut names = vec![0; 64 << 10];
    let length = llistxattr(path.as_slice(), &mut names)?;
    let mut attributes = Vec::new();
    for key in names[..length].split(|c| *c == 0).filter(|key| !key.is_empty()) {
        if key.starts_with(b"trusted.overlay.") && key != OPAQUE.as_bytes() {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        let length = lgetxattr(path.as_slice(), key, &mut value)?;
        value.truncate(length);
        attributes.push((key.to_vec(), value));
    }
    attributes.sort();
    Ok(attributes)
}

/// Hashes what is written through it.
struct Hasher<W> {
    into: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.into.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
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
