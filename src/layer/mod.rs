//! File system layering: a container's root is a stack of read-only layers, shared by all containers of an image, below
//! one writable directory of its own. overlayfs shows the stack as one tree.
//!
//! ```text
//!   merged    what the container sees; mounted nowhere but inside the container
//!   ───────
//!   upper     what the container changed            container/<id>/upper
//!   lower n   the image's topmost layer             layer/sha256/<diff id>
//!   …
//!   lower 1   the image's bottom layer
//! ```
//!
//! A layer is a directory named by the digest of the tarball that it was unpacked from (its diff id). It is made beside
//! ([`Draft`]) and renamed when it is complete and on disk, so a layer that is there is whole.

mod diff;
mod draft;
mod mountpoint;
mod overlay;
mod unpack;
mod view;
mod volume;

use std::path::PathBuf;

use crate::store::{Digest, Store};

pub use diff::pack;
pub use draft::{Draft, Filled, seal, sweep_drafts};
pub use mountpoint::MountPoint;
pub use overlay::{Overlay, attach_overlay, make_overlay, reuse};
pub use unpack::{Limits, inflated, unpack};
pub use view::View;
pub use volume::{Bind, Volume, bind, open_bind};

/// What identifies a layer, and how much there is of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    /// The digest of the layer as an uncompressed tarball.
    pub diff_id: Digest,
    /// That tarball's length in bytes.
    pub size: u64,
}

/// Where the layer `id` is, or would be.
pub fn path(store: &Store, id: &Digest) -> PathBuf {
    store.root().join("layer/sha256").join(id.hex())
}
