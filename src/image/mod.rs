//! Base image management: where a container's root file system comes from.
//!
//! An image is a list of layers and what its maker wants run with them. There are these sources:
//!
//! - images of the OCI's and Docker's format, pulled from a registry, loaded from an archive, imported or committed: they are
//!   kept in an OCI image layout ([`Layout`], [`Blobs`]);
//! - a tarball in the registry folder, `image/registry/NAME.tar.gz` (or `.tar`, `.tar.zst`): put there by hand, unpacked
//!   when it is first used, and again when the file has changed ([`Catalog`]);
//! - `busybox`, which is part of tinydock and needs no file.
//!
//! ```text
//!   reference ──▶ index ──▶ manifest ──▶ config ──▶ diff ids ──▶ layers, unpacked: what a container is made of
//!                              └───────▶ blobs of layers, compressed: what is pulled, pushed, saved
//! ```

mod archive;
mod blobs;
mod builtin;
mod catalog;
mod changes;
mod compress;
mod config;
pub mod credentials;
#[cfg(test)]
mod fuzz;
mod held;
mod layout;
mod lease;
mod manifest;
pub mod media;
mod name;
mod pack;
mod platform;
mod reference;
pub mod registry;
mod unpack;

use serde::{Deserialize, Serialize};

use crate::store::Text;

pub use archive::{Format as SaveFormat, Loaded, Saved, load as load_archive, save as save_archive};
pub use blobs::{Blobs, Ingest, digest_of, digest_of_stream, sweep_blob_drafts};
pub use builtin::BUSYBOX;
pub use catalog::{Catalog, Found, Listed, Stamp, Tarball};
pub use config::{Config, Execution, Healthcheck, History, RootFs, Set};
pub use held::{Image, layer_type, read_config, read_document, read_manifest};
pub use layout::{Entry, Layout, note_commit};
pub use lease::{Collecting, Lease, Steady};
pub use manifest::{Annotations, Descriptor, Document, Index, LARGEST_DOCUMENT, Manifest, parse_json, parse_object};
pub use name::Name;
pub use pack::pack_layer;
pub use platform::Platform;
pub use reference::Reference;
pub use unpack::{make_layer, unpack_layers, unpack_stream, unpack_unknown};

pub use crate::store::Digest;

/// What is known of a tarball that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The layers' diff ids, bottom first.
    pub layers: Vec<Digest>,
    /// What runs if the user names no command.
    pub command: Vec<Text>,
    /// When the image was made, in seconds since 1970.
    pub created: u64,
    /// The length of all layers as tarballs, in bytes.
    pub size: u64,
    /// The tarball that the image was unpacked from. Older versions of tinydock made records of commits, which have none.
    pub source: Option<Stamp>,
}

impl Record {
    /// What a configuration would say of it. It says nothing of where and when it was unpacked, so equal tarballs are equal
    /// images.
    pub fn config(&self) -> Config {
        let platform = Platform::host();
        let layer = History {
            created_by: Some("a tarball".into()),
            ..History::default()
        };
        Config {
            architecture: platform.architecture,
            variant: platform.variant,
            os: platform.os,
            config: Execution {
                cmd: Some(self.command.iter().map(ToString::to_string).collect()).filter(|cmd: &Vec<String>| !cmd.is_empty()),
                ..Execution::default()
            },
            rootfs: RootFs {
                diff_ids: self.layers.clone(),
                ..RootFs::default()
            },
            history: vec![layer; self.layers.len()],
            ..Config::default()
        }
    }
}
