//! Copying between file systems, as a tarball in between: what one side sends, the other receives, and either may be a stream.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use super::owners::Owners;
use super::place::Found;
use super::tarball::{Tarball, is_kernels, names_in};
use super::unpack::{Tree, malformed, write_entries};
use crate::error::{Doing, Result};

pub use super::unpack::Manner;

/// Writes what was found as a tarball, in which it is called `name`; `.` is for what is in a directory.
pub fn send(found: &Found, name: &[u8], owners: Owners, into: impl Write) -> Result<()> {
    let mut tarball = Tarball::new(into, owners, u64::MAX);
    send_entry(&mut tarball, &found.parent, &found.name, name)?;
    tarball.finish()?.flush().doing(|| "write the tarball")
}

fn send_entry<W: Write>(tarball: &mut Tarball<W>, from: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
    let Some(directory) = tarball.entry(from, name, path)? else {
        return Ok(());
    };
    if is_kernels(&directory)? {
        return Ok(());
    }
    for name in names_in(&directory)? {
        let full = [path, b"/", &name].concat();
        send_entry(tarball, &directory, &name, &full).doing(|| format!("copy `{}`", String::from_utf8_lossy(&name)))?;
    }
    Ok(())
}

/// Writes the entries of a tarball to a directory, and reads to the end what they come from.
pub fn receive(directory: OwnedFd, manner: Manner, mut from: impl Read) -> Result<()> {
    let mut tree = Tree::of(directory, manner);
    write_entries(&mut from, &mut tree, |_| Ok(()))?;
    std::io::copy(&mut from, &mut std::io::sink()).map_err(malformed)?;
    tree.finish()
}
