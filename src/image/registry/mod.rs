//! Registries: servers that images are fetched from and brought to (OCI distribution specification).
//!
//! ```text
//!   Registries ──▶ Repository ──▶ Endpoint ──▶ Web
//!   settings,      manifests,     authorized,  connections,
//!   credentials    blobs          redirected,  certificates
//!                                 repeated
//! ```
//!
//! A registry is not trusted. What it sends is checked against the digest and the size that led to it before anybody uses it, the
//! length of every answer is limited, and what authorizes us goes to nobody that the user has not logged in to.

mod authorization;
mod challenge;
mod dns;
mod download;
mod endpoint;
mod file;
mod refusal;
mod repository;
mod resolver;
mod settings;
mod tags;
mod upload;
mod url;
mod web;

pub use download::Download;
pub use file::{is_url, open_url};
pub use repository::{Fetched, Registries, Repository};
pub use upload::Upload;
