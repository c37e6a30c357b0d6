//! Unpacking: a tarball becomes a layer's tree.
//!
//! A tarball is what somebody else made, so it is unpacked as if the layer's directory were the root of a system of its
//! own: no name, symbolic link or hard link in it reaches anything outside (`tree.rs`). What it cannot mean is an error
//! that names the entry.
//!
//! ```text
//!   a thread: read, inflate, hash ──chunks──▶ this thread: parse, write the tree
//! ```

mod entry;
mod stream;
mod tree;

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::thread;

use tar::Archive;

use super::Content;
use crate::error::{Doing, Error, Result};

use stream::{Chunks, Tail, inflate};
pub use tree::{Attributes, Tree};

/// Unpacks a tarball, plain or compressed with gzip or zstd, into the empty directory `into`.
pub fn unpack(source: impl Read + Send, into: &Path) -> Result<Content> {
    thread::scope(|scope| {
        let (sender, receiver) = Chunks::channel();
        let producer = scope.spawn(move || inflate(source, &sender));
        let mut reader = Tail::new(receiver);
        let unpacked = write_tree(&mut reader, into);
        let rest = unpacked.and_then(|()| finish(reader));
        let produced = producer.join().map_err(|_| Error::system("the inflating thread panicked"))?;
        // Where inflating failed, the parser only saw a tarball that ends too early.
        let (diff_id, size) = produced?;
        rest.map(|()| Content { diff_id, size })
    })
}

fn write_tree(reader: &mut impl Read, into: &Path) -> Result<()> {
    let mut archive = Archive::new(reader);
    let mut tree = Tree::new(into)?;
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        entry::write(&mut entry, &mut tree).doing(|| format!("entry `{}`", name.escape_debug()))?;
    }
    tree.finish()
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

fn malformed(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::invalid("the tarball is truncated"),
        _ => Error::invalid(format!("not a valid tarball: {error}")),
    }
}
