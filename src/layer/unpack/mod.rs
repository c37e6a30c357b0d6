//! Unpacking: a tarball becomes a layer's tree.
//!
//! A tarball is what somebody else made, so it is unpacked as if the layer's directory were the root of a system of its
//! own: no name, symbolic link or hard link in it reaches anything outside (`tree.rs`). What it cannot mean is an error
//! that names the entry.
//!
//! ```text
//!   a thread: read, inflate, hash ──chunks──▶ this thread: parse, write the tree, or the tarball and what is in it
//! ```

mod archive;
mod attributes;
mod entry;
mod limits;
mod path;
mod sparse;
mod stream;
mod target;
mod told;
mod tree;
mod whiteout;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::thread;

use archive::Archive;

use super::Content;
use crate::error::{Doing, Error, Result};

pub use attributes::{Attributes, Manner};
pub use limits::{Limits, too_long};
pub use stream::inflated;
use stream::{Chunks, Tail, inflate};
pub use target::{Data, Target};
pub use told::{EPOCH, Told, join, names};
pub use tree::Tree;

/// Unpacks a tarball, plain or compressed with gzip or zstd, into the empty directory `into`. The source is read to its end.
pub fn unpack(source: impl Read + Send, into: &Path, limits: &Limits) -> Result<Content> {
    let mut tree = Tree::new(into)?;
    let content = read_into(source, None, &mut tree, limits)?;
    tree.finish_layer()?;
    Ok(content)
}

/// Reads a tarball, plain or compressed with gzip or zstd, to its end, and writes its entries to a layer. The tarball itself is
/// written to `copy`.
pub fn read_into(source: impl Read + Send, copy: Option<File>, layer: &mut impl Target, limits: &Limits) -> Result<Content> {
    thread::scope(|scope| {
        let (sender, receiver) = Chunks::channel(copy);
        let producer = scope.spawn(move || inflate(source, limits.bytes, &sender));
        let mut reader = Tail::new(receiver);
        let written = write_entries(&mut reader, layer, |count| limits.check_entries(count));
        let rest = written.and_then(|()| finish(reader));
        let produced = producer.join().map_err(|_| Error::system("the inflating thread panicked"))?;
        // Where inflating failed, the parser only saw a tarball that ends too early.
        let (diff_id, size) = produced?;
        rest.map(|()| Content { diff_id, size })
    })
}

/// Writes all entries of a tarball, as long as their number is no reason not to.
pub fn write_entries(reader: impl Read, tree: &mut impl Target, check: impl Fn(u64) -> Result<()>) -> Result<()> {
    let mut archive = Archive::new(reader);
    let mut count = 0;
    while let Some(entry) = archive.next_entry()? {
        count += 1;
        check(count)?;
        let name = || format!("entry `{}`", String::from_utf8_lossy(&entry.name).escape_debug());
        entry::write(&entry, &mut archive, tree).doing(name)?;
    }
    Ok(())
}

/// Reads what follows the last entry, so that all of the tarball is hashed, and checks that it ends as tarballs do.
fn finish(mut reader: Tail<Chunks>) -> Result<()> {
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(malformed)?;
    if reader.is_terminated() {
        Ok(())
    } else {
        Err(Error::invalid("the tarball is truncated: it has no end mark"))
    }
}

pub fn malformed(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::invalid("the tarball is truncated"),
        // The disk's, where the tarball is kept.
        _ if error.raw_os_error().is_some() => error.into(),
        _ => Error::invalid(format!("not a valid tarball: {error}")),
    }
}
