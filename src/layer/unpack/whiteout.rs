//! Whiteouts: how a layer says that something of the layers below is gone (OCI image specification, `layer.md`).
//!
//! A tarball has an empty file `.wh.NAME` where `NAME` is to vanish, and `.wh..wh..opq` in a directory of which nothing
//! below is to be seen. Both become what overlayfs knows: a character device 0:0, and an extended attribute.
//!
//! A whiteout is about the layers below and not about its own, in whichever order they come: what the same layer brings
//! under that name stays, but nothing below shows through it.

use super::target::Target;
use crate::error::{Error, Result};

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// How an older kind of layered file system begins the names of its own books.
const BOOKS: &[u8] = b".wh..wh.";

#[derive(Debug, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// This name is gone.
    Name(&'a [u8]),
    /// All that is below in this directory is gone.
    Opaque,
    /// It means nothing to us.
    Ignored,
}

impl Whiteout<'_> {
    /// What the last component of an entry's name says, if it says that something is gone.
    pub fn of(name: &[u8]) -> Result<Option<Whiteout<'_>>> {
        if name == OPAQUE {
            return Ok(Some(Whiteout::Opaque));
        }
        if name.starts_with(BOOKS) {
            return Ok(Some(Whiteout::Ignored));
        }
        match name.strip_prefix(PREFIX) {
            None => Ok(None),
            Some(b"" | b"." | b"..") => Err(Error::invalid("is a whiteout of nothing that could be in its directory")),
            Some(name) => Ok(Some(Whiteout::Name(name))),
        }
    }

    /// Writes it to the tree. `path` is the directory that it is in.
    pub fn apply(&self, tree: &mut impl Target, path: &[Vec<u8>]) -> Result<()> {
        match self {
            Whiteout::Name(name) => tree.whiteout(path, name),
            Whiteout::Opaque => tree.opaque(path),
            Whiteout::Ignored => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_same_directory_are_whited_out() {
        let of = |name: &'static str| Whiteout::of(name.as_bytes());
        assert_eq!(of("file"), Ok(None));
        assert_eq!(of(".wh.file"), Ok(Some(Whiteout::Name(b"file"))));
        assert_eq!(of(".wh..hidden"), Ok(Some(Whiteout::Name(b".hidden"))));
        assert_eq!(of(".wh..wh..opq"), Ok(Some(Whiteout::Opaque)));
        assert_eq!(of(".wh..wh.plnk"), Ok(Some(Whiteout::Ignored)));
        for name in [".wh.", ".wh..", ".wh..."] {
            assert!(of(name).is_err(), "{name}");
        }
    }
}
