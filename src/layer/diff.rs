//! What a container changed, as a layer of its own: its upper directory, copied and hashed in one pass. Nothing below it
//! is read.
//!
//! In the upper directory a deleted name is a character device 0:0 and a replaced directory has the attribute
//! `trusted.overlay.opaque`. The copy keeps them, since it will be a lower layer of another overlay; the tarball that it
//! is named after spells them `.wh.NAME` and `.wh..wh..opq` (OCI image specification, "Layer: Whiteouts").

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, lgetxattr,
    linkat, llistxattr, lsetxattr, mkdirat, mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::Content;
use super::view::{OPAQUE, is_opaque, is_whiteout};
use crate::error::{Doing, Error, Result};
use crate::store::Digest;

/// Copies what the directory `upper` has into the empty directory `into`.
pub fn copy_changes(upper: &Path, into: &Path) -> Result<Content> {
    let open = |path: &Path| openat(CWD, path, DIRECTORY, Mode::empty()).doing(|| format!("open `{}`", path.display()));
    let (from, to) = (open(upper)?, open(into)?);
    let mut copy = Copy {
        tar: Builder::new(Hasher::default()),
        linked: HashMap::new(),
        root: open(into)?,
    };
    copy.directory(&from, &to, b"")?;
    let stat = rustix::fs::fstat(&from)?;
    set_attributes(&to, b".", &attributes(&from, b".")?, &stat)?;
    let hasher = copy.tar.into_inner().map_err(Error::from)?;
    Ok(Content {
        size: hasher.size,
        diff_id: Digest::of(hasher.hasher),
    })
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Names and values of extended attributes.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

struct Copy {
    tar: Builder<Hasher>,
    /// Where the first name of each file with several names went.
    linked: HashMap<(u64, u64), Vec<u8>>,
    root: OwnedFd,
}

impl Copy {
    /// Copies all entries of a directory, in the order of their names: the same content gives the same digest.
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, path: &[u8]) -> Result<()> {
        if is_opaque(from) {
            self.append(&[path, b".wh..wh..opq"].concat(), Header::new_gnu(), io::empty())?;
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
            self.entry(from, to, &name, &full)
                .doing(|| format!("copy `/{}`", String::from_utf8_lossy(&full)))?;
        }
        Ok(())
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if is_whiteout(&stat) {
            let (parent, name) = path.split_at(path.len() - name.len());
            self.append(&[parent, b".wh.", name].concat(), Header::new_gnu(), io::empty())?;
            return Ok(mknodat(to, name, FileType::CharacterDevice, Mode::empty(), 0)?);
        }
        if kind != FileType::Directory && stat.st_nlink > 1 && self.link(to, name, path, &stat)? {
            return Ok(());
        }
        let attributes = attributes(from, name)?;
        let mut header = header(&stat, kind);
        let extended = attributes.iter().filter(|(name, _)| name != OPAQUE.as_bytes());
        let extended: Vec<(String, &[u8])> = extended
            .map(|(name, value)| (format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.as_slice()))
            .collect();
        if !extended.is_empty() {
            self.tar
                .append_pax_extensions(extended.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
        match kind {
            FileType::Directory => {
                self.append(&[path, b"/"].concat(), header, io::empty())?;
                mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let (from, to) = (
                    openat(from, name, DIRECTORY, Mode::empty())?,
                    openat(to, name, DIRECTORY, Mode::empty())?,
                );
                self.directory(&from, &to, &[path, b"/"].concat())?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let source = File::from(openat(from, name, flags, Mode::empty())?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let target = File::from(openat(to, name, flags, Mode::from_raw_mode(0o600))?);
                header.set_size(stat.st_size as u64);
                self.append(
                    path,
                    header,
                    Tee {
                        source: source.take(stat.st_size as u64),
                        target,
                    },
                )?;
            }
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new())?;
                header.set_link_name_literal(target.to_bytes()).ok();
                self.append_link(path, header, target.to_bytes())?;
                symlinkat(&target, to, name)?;
            }
            // A socket means nothing without the process that listens on it.
            FileType::Socket => return Ok(()),
            _ => {
                self.append(path, header, io::empty())?;
                mknodat(to, name, kind, Mode::empty(), stat.st_rdev)?;
            }
        }
        set_attributes(to, name, &attributes, &stat)
    }

    /// Links `name` to what another name of the same file became. Returns false if this is its first name.
    fn link(&mut self, to: &OwnedFd, name: &[u8], path: &[u8], stat: &Stat) -> Result<bool> {
        let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)).cloned() else {
            self.linked.insert((stat.st_dev, stat.st_ino), path.to_vec());
            return Ok(false);
        };
        linkat(&self.root, first.as_slice(), to, name, AtFlags::empty())?;
        let mut header = header(stat, FileType::RegularFile);
        header.set_entry_type(EntryType::Link);
        self.append_link(path, header, &first)?;
        Ok(true)
    }

    fn append(&mut self, path: &[u8], mut header: Header, data: impl Read) -> Result<()> {
        Ok(self.tar.append_data(&mut header, as_path(path), data)?)
    }

    fn append_link(&mut self, path: &[u8], mut header: Header, target: &[u8]) -> Result<()> {
        Ok(self.tar.append_link(&mut header, as_path(path), as_path(target))?)
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// A tar header that says of a file what every machine would say of it.
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
    header.set_mtime(stat.st_mtime.max(0) as u64);
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

/// Gives a copy the owner, mode, extended attributes and times of the original, in the order in which none undoes another.
fn set_attributes(directory: &OwnedFd, name: &[u8], attributes: &Attributes, stat: &Stat) -> Result<()> {
    chownat(
        directory,
        name,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        chmodat(directory, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
    }
    for (key, value) in attributes {
        lsetxattr(
            magic_path(directory, name).as_slice(),
            key.as_slice(),
            value,
            XattrFlags::empty(),
        )?;
    }
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    Ok(utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Hashes what is written to it.
#[derive(Default)]
struct Hasher {
    hasher: Sha256,
    size: u64,
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to the copy what is read from the original. A file that shrinks meanwhile ends in zeros, since its length was
/// already said.
struct Tee {
    source: io::Take<File>,
    target: File,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = self.source.read(buffer)?;
        if length == 0 && self.source.limit() > 0 {
            length = buffer.len().min(self.source.limit() as usize);
            buffer[..length].fill(0);
            self.source.set_limit(self.source.limit() - length as u64);
        }
        self.target.write_all(&buffer[..length])?;
        Ok(length)
    }
}
