//! `push`: an image to its registry. What the registry has already, in this repository or in another one, is not sent.

use std::collections::BTreeMap;

use super::Engine;
use super::layers::at_once;
use super::pull::{Progress, Step};
use crate::error::{Doing, Error, Result};
use crate::image::registry::{Registries, Repository, Upload};
use crate::image::{Blobs, Descriptor, Document, Layout, Lease, Manifest, Platform, Reference, read_document, read_manifest};
use crate::store::Digest;

/// An image that a registry has.
#[derive(Debug)]
pub struct Pushed {
    pub digest: Digest,
    /// The manifest's length.
    pub size: u64,
}

impl Engine {
    /// Brings an image to its registry, under its tag.
    pub fn push(&self, name: &Reference, progress: Progress) -> Result<Pushed> {
        self.push_all(name, progress).doing(|| format!("push `{}`", name.familiar()))
    }

    /// The names that are here in the repository of a name, of which there must be one.
    pub fn tags_to_push(&self, repository: &Reference) -> Result<Vec<Reference>> {
        let names = self.tags_of(repository)?;
        match names.is_empty() {
            true => Err(no_such_image().doing(format!("push all tags of `{}`", repository.familiar_repository()))),
            false => Ok(names),
        }
    }

    fn push_all(&self, name: &Reference, progress: Progress) -> Result<Pushed> {
        let Some(tag) = name.tag().filter(|_| name.digest().is_none()) else {
            return Err(Error::invalid("an image is pushed under a tag, not under a digest"));
        };
        let (layout, blobs) = (Layout::new(&self.store), Blobs::new(&self.store));
        let entry = layout.find(name)?.ok_or_else(no_such_image)?;
        // Of an index only what is for this host is sure to be here as a whole.
        let (descriptor, manifest, _) = read_manifest(&blobs, &entry.manifest, &Platform::host())?;
        let lease = Lease::begin(&self.store)?;
        lease.keep(parts(&manifest).map(|part| &part.digest))?;
        let registries = Registries::open()?;
        let home = registries.home(name)?;
        let elsewhere = self.elsewhere(name)?;
        let mut wanted: Vec<&Descriptor> = manifest.layers.iter().collect();
        wanted.sort_by(|one, other| one.digest.cmp(&other.digest));
        wanted.dedup_by(|one, other| one.digest == other.digest);
        wanted.sort_by_key(|part| manifest.layers.iter().position(|layer| layer.digest == part.digest));
        wanted.iter().for_each(|part| progress(&part.digest, Step::Waiting));
        let bring = |part: &&Descriptor| bring(&blobs, &home, part, elsewhere.get(&part.digest).map(String::as_str), progress);
        at_once(&wanted, bring, || registries.stop())?;
        // The configuration is small, and not what anybody calls a layer.
        bring_silently(&blobs, &home, &manifest.config)?;
        home.put_manifest(tag, &descriptor.media_type, &blobs.read(&descriptor)?)?;
        layout.note_source(&entry.manifest.digest, &name.at(&descriptor.digest))?;
        Ok(Pushed {
            digest: descriptor.digest,
            size: descriptor.size,
        })
    }

    /// In which other repository of the same registry blobs were seen.
    fn elsewhere(&self, name: &Reference) -> Result<BTreeMap<Digest, String>> {
        let (layout, blobs) = (Layout::new(&self.store), Blobs::new(&self.store));
        let mut found = BTreeMap::new();
        for entry in layout.entries()? {
            let is_near = |source: &Reference| source.registry() == name.registry() && source.repository() != name.repository();
            let Some(source) = entry.sources().into_iter().find(is_near) else {
                continue;
            };
            // An image that cannot be read is no reason not to push this one.
            if let Ok(Document::Manifest(manifest)) = read_document(&blobs, &entry.manifest) {
                found.extend(parts(&manifest).map(|part| (part.digest.clone(), source.repository().to_string())));
            }
        }
        Ok(found)
    }
}

fn no_such_image() -> Error {
    Error::not_found("no such image").hint("`tinydock images` lists what there is, and `tinydock tag` gives it other names")
}

/// The blobs of an image.
fn parts(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    [&manifest.config].into_iter().chain(&manifest.layers)
}

fn bring_silently(blobs: &Blobs, home: &Repository, part: &Descriptor) -> Result<()> {
    bring(blobs, home, part, None, &|_, _| ())
}

fn bring(blobs: &Blobs, home: &Repository, part: &Descriptor, from: Option<&str>, progress: Progress) -> Result<()> {
    if home.has_blob(part)? {
        progress(&part.digest, Step::Exists);
        return Ok(());
    }
    let file = blobs.open(part)?;
    let sent = |bytes| progress(&part.digest, Step::Moving(bytes, part.size));
    let step = match home.upload(part, &file, from, &sent)? {
        Upload::Sent => Step::Done,
        Upload::Mounted => Step::Mounted,
    };
    progress(&part.digest, step);
    Ok(())
}
