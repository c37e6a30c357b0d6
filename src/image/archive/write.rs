//! Writing archives. The same images give the same archive, byte for byte.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::Listed;
use crate::error::{Doing, Error, Result};
use crate::image::{Blobs, Descriptor, Image, Index, Reference};
use crate::store::Digest;

/// Which kind of archive is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For both: an OCI layout, and the list that `docker load` reads.
    Docker,
    Oci,
}

/// An image to be saved, and under which names.
pub struct Saved {
    pub image: Image,
    pub names: Vec<Reference>,
}

/// Writes an archive of images, which have manifests. Each blob is checked while it is written.
pub fn save(blobs: &Blobs, images: &[Saved], format: Format, into: impl Write) -> Result<()> {
    let mut tar = Builder::new(into);
    directory(&mut tar, "blobs/")?;
    directory(&mut tar, "blobs/sha256/")?;
    let (mut written, mut index, mut listed) = (BTreeSet::new(), Vec::new(), Vec::new());
    for Saved { image, names } in images {
        let Some((descriptor, manifest)) = &image.manifest else {
            return Err(Error::system(format!("image `{}` has no manifest", image.id)));
        };
        for blob in [descriptor, &manifest.config].into_iter().chain(&manifest.layers) {
            if written.insert(blob.digest.clone()) {
                append(&mut tar, blobs, blob)?;
            }
        }
        index.extend(entries(descriptor, image, names));
        listed.push(Listed {
            config: path(&manifest.config.digest),
            repo_tags: Some(names.iter().map(Reference::familiar).collect()),
            layers: manifest.layers.iter().map(|layer| path(&layer.digest)).collect(),
        });
    }
    document(&mut tar, "index.json", &json(&Index::new(index))?)?;
    if format == Format::Docker {
        document(&mut tar, "manifest.json", &json(&listed)?)?;
    }
    document(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.into_inner()
        .and_then(|mut into| into.flush())
        .doing(|| "write the archive")
}

/// One entry for each name of an image, or one without.
fn entries(descriptor: &Descriptor, image: &Image, names: &[Reference]) -> Vec<Descriptor> {
    let mut plain = Descriptor::new(&descriptor.media_type, descriptor.digest.clone(), descriptor.size);
    plain.platform = Some(image.config.platform());
    let named = |name: &Reference| {
        let mut entry = plain.clone();
        entry.annotate("io.containerd.image.name", &name.to_string());
        entry.annotate("org.opencontainers.image.ref.name", &name.familiar());
        entry
    };
    if names.is_empty() {
        return vec![plain];
    }
    names.iter().map(named).collect()
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::system)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn directory(tar: &mut Builder<impl Write>, name: &str) -> Result<()> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, name, io::empty()).doing(|| "write the archive")
}

fn document(tar: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
    tar.append_data(&mut header, name, bytes).doing(|| "write the archive")
}

fn append(tar: &mut Builder<impl Write>, blobs: &Blobs, blob: &Descriptor) -> Result<()> {
    let doing = || format!("save blob `{}`", blob.digest);
    let file = blobs.open(blob).doing(doing)?;
    let mut reader = Hashed {
        reader: file.take(blob.size),
        hasher: Sha256::new(),
    };
    let mut header = header(EntryType::Regular, 0o644, blob.size);
    tar.append_data(&mut header, path(&blob.digest), &mut reader).doing(doing)?;
    let digest = Digest::of(reader.hasher);
    if digest == blob.digest {
        return Ok(());
    }
    let wrong = Error::system(format!("its content on disk has another digest, `{digest}`")).doing(doing());
    Err(wrong.hint("`tinydock system fsck` tells what else is damaged"))
}

/// Hashes what is read through it.
struct Hashed<R> {
    reader: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
