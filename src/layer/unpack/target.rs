//! What the entries of a tarball are written to. What an entry means is decided in one place (`entry.rs`), whatever it becomes.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::FileType;

use super::attributes::Attributes;
use super::sparse::Sparse;
use crate::error::Result;

/// A tree that grows entry by entry. Each is named by the directory that it is in, as the tarball spells it, and its name there. Of
/// two entries with one name, the later one counts.
pub trait Target {
    /// Whether names say that something is gone.
    fn has_whiteouts(&self) -> bool;

    /// Sets the attributes of the root directory itself.
    fn set_root(&mut self, attributes: &Attributes) -> Result<()>;

    fn directory(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes) -> Result<()>;

    fn file(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes, data: Data) -> Result<()>;

    fn symlink(&mut self, path: &[Vec<u8>], name: &[u8], target: &[u8], attributes: &Attributes) -> Result<()>;

    fn node(&mut self, path: &[Vec<u8>], name: &[u8], kind: FileType, device: u64, attributes: &Attributes) -> Result<()>;

    /// Hides what the layers below have under a name, if this layer brings nothing of that name itself.
    fn whiteout(&mut self, path: &[Vec<u8>], name: &[u8]) -> Result<()>;

    /// Hides all that the layers below have in a directory.
    fn opaque(&mut self, path: &[Vec<u8>]) -> Result<()>;

    /// Links `name` to what the entry `target` made.
    fn hard_link(&mut self, path: &[Vec<u8>], name: &[u8], target: &[Vec<u8>]) -> Result<()>;
}

/// The content of a file, as a tarball has it. What is not read of it is skipped.
pub struct Data<'a> {
    pub reader: &'a mut dyn Read,
    /// Where it begins in the tarball, and how long it is there.
    pub offset: u64,
    pub length: u64,
    /// Where it goes, if the file has holes.
    pub sparse: Option<&'a Sparse>,
}

impl Data<'_> {
    /// Writes it to a file.
    pub fn copy(self, file: &mut File) -> io::Result<()> {
        let Data { mut reader, sparse, .. } = self;
        match sparse {
            Some(sparse) => sparse.copy(&mut reader, file),
            None => io::copy(&mut reader, file).map(|_| ()),
        }
    }
}
