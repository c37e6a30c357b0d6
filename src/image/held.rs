//! An image that was found: its documents, read and checked.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Blobs, Config, Descriptor, Document, Entry, Manifest, Platform, Record};
use crate::error::{Doing, Error, Result};
use crate::layer;
use crate::store::{Digest, Store};

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    pub config: Config,
    /// What it is made of in the layout. An image from a tarball has none until somebody needs it.
    pub manifest: Option<(Descriptor, Manifest)>,
    /// Its names and sources, if it is in the layout.
    pub entry: Option<Entry>,
    /// When it was put here, or made, in seconds since 1970; 0 is nobody knows.
    pub created: u64,
}

impl Image {
    /// Reads what an entry of the layout leads to.
    pub fn read(store: &Store, entry: &Entry) -> Result<Image> {
        let (descriptor, manifest, config) = read_manifest(&Blobs::new(store), &entry.manifest, &Platform::host())?;
        let created = entry.committed().unwrap_or_else(|| config.created_seconds());
        Ok(Image {
            id: manifest.config.digest.clone(),
            config,
            manifest: Some((descriptor, manifest)),
            entry: Some(entry.clone()),
            created,
        })
    }

    /// The image that a tarball is.
    pub fn of_record(record: &Record) -> Result<Image> {
        let config = record.config();
        let id = Digest::of(Sha256::new_with_prefix(config.to_bytes()?));
        Ok(Image {
            id,
            config,
            manifest: None,
            entry: None,
            created: record.created,
        })
    }

    /// The diff ids of its layers, bottom first.
    pub fn layers(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// Whether all layers are unpacked, and what belongs on top of them is there.
    pub fn is_complete(&self, store: &Store) -> bool {
        layer::is_complete(store, self.layers())
    }

    /// How many bytes its layers have as they are transferred.
    pub fn size(&self) -> u64 {
        let layers = self.manifest.iter().flat_map(|(_, manifest)| &manifest.layers);
        layers.map(|layer| layer.size).sum()
    }

    /// All blobs and layers that it needs.
    pub fn needs(&self) -> impl Iterator<Item = &Digest> {
        let blobs = self.manifest.iter().flat_map(|(descriptor, manifest)| {
            let layers = manifest.layers.iter().map(|layer| &layer.digest);
            [&descriptor.digest, &manifest.config.digest].into_iter().chain(layers)
        });
        blobs.chain(self.layers())
    }
}

/// Reads the manifest that a descriptor leads to, of the wanted platform if that is an index, and its configuration.
pub fn read_manifest(blobs: &Blobs, descriptor: &Descriptor, wanted: &Platform) -> Result<(Descriptor, Manifest, Config)> {
    let mut descriptor = descriptor.clone();
    // An index may list indexes, but not forever.
    for _ in 0..4 {
        match read_document(blobs, &descriptor)? {
            Document::Index(index) => descriptor = index.select(wanted)?.clone(),
            Document::Manifest(manifest) => {
                let config = read_config(blobs, &manifest)?;
                config.check_against(&manifest)?;
                return Ok((descriptor, manifest, config));
            }
        }
    }
    Err(Error::invalid("an index lists an index that lists an index, and so on").doing(format!("blob `{}`", descriptor.digest)))
}

/// Reads the manifest or the index that a descriptor leads to.
pub fn read_document(blobs: &Blobs, descriptor: &Descriptor) -> Result<Document> {
    Document::parse(&blobs.read(descriptor)?).doing(|| format!("manifest `{}`", descriptor.digest))
}

/// Reads the configuration that a manifest leads to.
pub fn read_config(blobs: &Blobs, manifest: &Manifest) -> Result<Config> {
    Config::parse(&blobs.read(&manifest.config)?).doing(|| format!("image config `{}`", manifest.config.digest))
}

/// The media type of a layer by its first bytes.
pub fn layer_type(path: &Path) -> Result<&'static str> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(path).doing(|| format!("open `{}`", path.display()))?;
    file.take(4).read_to_end(&mut start)?;
    Ok(match start[..] {
        [0x1f, 0x8b, ..] => super::media::LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd] => super::media::LAYER_ZSTD,
        _ => super::media::LAYER,
    })
}
