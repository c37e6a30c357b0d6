//! A directory as a layer's tarball: what a container changed, or a layer whose tarball is gone.
//!
//! In the upper directory of an overlay a deleted name is a character device 0:0 and a replaced directory has the attribute
//! `trusted.overlay.opaque`. The tarball spells them `.wh.NAME` and `.wh..wh..opq` (OCI image specification, "Layer:
//! Whiteouts"). Nothing below the directory is read.
//!
//! The same content gives the same tarball on any machine: entries are in the order of their names, users are numbers, and
//! times are whole seconds, none later than one that the caller names.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, openat, statat};
use sha2::{Digest as _, Sha256};

use super::Content;
use super::implied::is_marked;
use super::owners::Owners;
use super::tarball::{DIRECTORY, Tarball, names_in};
use super::view::{is_opaque, is_whiteout};
use crate::error::{Doing, Result};
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
    let mut tarball = Tarball::new(hasher, Owners::Same, latest);
    // What nobody has told is not told again.
    if !is_marked(&from, true) {
        tarball.directory(&from, b"./")?;
    }
    pack_directory(&mut tarball, &from, b"")?;
    let latest = tarball.latest_found();
    let hasher = tarball.finish()?;
    let content = Content {
        size: hasher.size,
        diff_id: Digest::of(hasher.hasher),
    };
    Ok(Packed { content, latest })
}

/// Packs all entries of a directory, in the order of their names.
fn pack_directory<W: Write>(tarball: &mut Tarball<W>, from: &OwnedFd, path: &[u8]) -> Result<()> {
    if is_opaque(from) {
        tarball.mark(&[path, b".wh..wh..opq"].concat())?;
    }
    for name in names_in(from)? {
        let full = [path, &name].concat();
        pack_entry(tarball, from, &name, &full).doing(|| format!("pack `/{}`", String::from_utf8_lossy(&full)))?;
    }
    Ok(())
}

fn pack_entry<W: Write>(tarball: &mut Tarball<W>, from: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
    if is_whiteout(&statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?) {
        let (parent, name) = path.split_at(path.len() - name.len());
        return tarball.mark(&[parent, b".wh.", name].concat());
    }
    match tarball.entry(from, name, path)? {
        Some(directory) => pack_directory(tarball, &directory, &[path, b"/"].concat()),
        None => Ok(()),
    }
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
