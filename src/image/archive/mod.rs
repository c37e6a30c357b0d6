//! Archives: images in a file, as `docker save`, `podman save` and `skopeo` write them.
//!
//! ```text
//!   OCI archive                          Docker archive
//!   oci-layout                           manifest.json     configurations, names, layers
//!   index.json    manifests, names       <…>.json          a configuration
//!   blobs/sha256/<digest>                <…>/layer.tar     a layer
//! ```
//!
//! Newer versions of Docker write both into one file, and so does `save`. What is read is told by what is there, and an archive may
//! be compressed as a whole. The names of its files are only names: nothing is written where they say.

mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use read::{Loaded, load};
pub use write::{Format, Saved, save};

/// An image in `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}
