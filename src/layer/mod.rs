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

mod changes;
mod copy;
mod diff;
mod draft;
mod erofs;
mod export;
mod fill;
mod implied;
mod mount;
mod mountpoint;
mod overlay;
mod owners;
mod place;
mod stack;
mod tarball;
mod unpack;
mod view;
mod volumes;

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use crate::store::{Digest, Store};

pub use changes::{Change as FileChange, changes};
pub use copy::{Manner, receive, send};
pub use diff::{Packed, pack};
pub use draft::{Draft, Filled, Sealer, seal, sweep_drafts};
pub use erofs::share::{forget as forget_mounts, take_back as take_back_mounts};
#[cfg(test)]
pub use erofs::tests::both as both_forms;
pub use erofs::{Form, check as check_image, form, is_image, make, make_again, tarball as tarball_of};
pub use export::export;
pub use fill::{copy_tree, size as size_of_tree};
pub use implied::{complete, fill as fill_top, is_complete, stack as stack_of_directories, top_of};
pub use mount::{
    Access, Bind, HostPath, ImageUse, Mount, Origin, Propagation, Source, Tmpfs, VolumeUse, bind, locate, open_bind, parse_size,
    protect,
};
pub use mountpoint::MountPoint;
pub use overlay::{Overlay, attach_overlay, make_overlay, make_overlay_here, reuse, take_overlay};
pub use owners::{Owners, Span};
pub use place::{Found, Place, base as base_of_path, parent as parent_of_path, says_directory};
pub use stack::{Given, Lower, Stack, become_tree, size};
pub use unpack::{Limits, inflated, too_long, unpack};
pub use view::View;
pub use volumes::{Volume, Volumes, check_driver, check_name as check_volume_name};

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

/// The path by which an open file can be named.
fn proc_path(file: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}
