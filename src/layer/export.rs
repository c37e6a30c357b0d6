//! A whole file system as a tarball: all that a container sees of its layers, and nothing that is mounted there.
//!
//! The layers are read as a [`View`], so it takes no mount, the container may run, and owners are those that the image has, whoever
//! the container's users are on the host.

use std::io::Write;

use super::owners::Owners;
use super::tarball::Tarball;
use super::view::{Directory, Entry, View, lookup, names};
use crate::error::{Doing, Result};

/// Writes all that a view has, in the order of its names.
pub fn export(view: &View, into: impl Write) -> Result<()> {
    let mut tarball = Tarball::new(into, Owners::Same, u64::MAX);
    if let Some(root) = view.directory(b"")? {
        export_directory(&mut tarball, &root, b"")?;
    }
    tarball.finish()?.flush().doing(|| "write the tarball")
}

fn export_directory<W: Write>(tarball: &mut Tarball<W>, directory: &Directory, path: &[u8]) -> Result<()> {
    for name in names(directory)? {
        let full = [path, &name].concat();
        export_entry(tarball, directory, &name, &full).doing(|| format!("export `/{}`", String::from_utf8_lossy(&full)))?;
    }
    Ok(())
}

fn export_entry<W: Write>(tarball: &mut Tarball<W>, directory: &Directory, name: &[u8], path: &[u8]) -> Result<()> {
    match lookup(directory, name)? {
        Entry::Missing => Ok(()),
        Entry::Directory(below) => {
            let inside = [path, b"/"].concat();
            tarball.directory(&below[0], &inside)?;
            export_directory(tarball, &below, &inside)
        }
        Entry::Link(_, layer) | Entry::Other(_, layer) => tarball.entry(&layer, name, path).map(|_| ()),
    }
}
