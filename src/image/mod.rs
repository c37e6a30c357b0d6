//! Base image management: where a container's root file system comes from.
//!
//! An image is a list of layers and what its maker wants run in it. There are three sources:
//!
//! - a tarball in the registry folder, `image/registry/NAME.tar.gz` (or `.tar`, `.tar.zst`): put there by hand, unpacked
//!   when it is first used, and again when the file has changed;
//! - `busybox`, which is part of tinydock and needs no file;
//! - a commit of a container, which adds a layer to the image that the container came from.
//!
//! What is known of an image is kept in `image/record/NAME`.

mod blobs;
mod builtin;
mod catalog;
mod config;
mod layout;
mod lease;
mod manifest;
pub mod media;
mod name;
mod platform;
mod reference;

use serde::{Deserialize, Serialize};

use crate::store::Text;

pub use blobs::{Blobs, Ingest, digest_of, sweep_blob_drafts};
pub use builtin::BUSYBOX;
pub use catalog::{Catalog, Found, Listed, Stamp, Tarball};
pub use config::{Config, Execution, Healthcheck, History, RootFs};
pub use layout::{Entry, Layout};
pub use lease::{Collecting, Lease, Steady};
pub use manifest::{Annotations, Descriptor, Document, Index, LARGEST_DOCUMENT, Manifest, parse_json};
pub use name::Name;
pub use platform::Platform;
pub use reference::Reference;

pub use crate::store::Digest;

/// An image whose layers are unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The layers' diff ids, bottom first.
    pub layers: Vec<Digest>,
    /// What runs if the user names no command.
    pub command: Vec<Text>,
    /// When the image was made, in seconds since 1970.
    pub created: u64,
    /// The length of all layers as tarballs, in bytes.
    pub size: u64,
    /// The tarball that the image was unpacked from.
    pub source: Option<Stamp>,
}
