//! The images of a store: an OCI image layout, which other tools read as `oci:/var/lib/tinydock/image:NAME`.
//!
//! ```text
//!   image/oci-layout               the layout's version
//!   image/index.json               all images: a descriptor of a manifest for each name
//!   image/blobs/sha256/<digest>    manifests, configurations, layers
//! ```
//!
//! A name is an annotation of a descriptor, as others write it too. An image that has lost its last name stays, without one,
//! until it is pruned.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::manifest::{Descriptor, Index};
use super::{Reference, media};
use crate::error::{Doing, Result};
use crate::store::{Digest, Lock, Store, read_if_present, write_durably};

/// The full name of an image, as containerd has it.
const FULL: &str = "io.containerd.image.name";
/// The name that the layout's readers ask for: the familiar one.
const SHORT: &str = "org.opencontainers.image.ref.name";
/// At which digests the image can be pulled again, separated by spaces.
const SOURCES: &str = "io.tinydock.image.sources";

/// When a commit was made, in seconds since 1970: its configuration says nothing that differs from machine to machine.
const COMMITTED: &str = "io.tinydock.image.committed";

/// One entry of the layout's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub manifest: Descriptor,
}

impl Entry {
    /// The entry's name, if it has one that can be read.
    pub fn name(&self) -> Option<Reference> {
        let name = self.manifest.annotation(FULL).or_else(|| self.manifest.annotation(SHORT))?;
        Reference::parse(name).ok()
    }

    /// At which digests the image can be pulled again.
    pub fn sources(&self) -> Vec<Reference> {
        let sources = self.manifest.annotation(SOURCES).unwrap_or_default();
        sources
            .split(' ')
            .filter_map(|source| Reference::parse(source).ok())
            .collect()
    }

    /// All that users can call it: its name, and the digests at which it can be pulled again.
    pub fn references(&self) -> Vec<Reference> {
        let name = self.name().map(|name| name.essential());
        name.into_iter().chain(self.sources()).collect()
    }

    /// When a commit was made.
    pub fn committed(&self) -> Option<u64> {
        self.manifest.annotation(COMMITTED)?.parse().ok()
    }

    fn set_name(&mut self, name: Option<&Reference>) {
        match name {
            Some(name) => {
                self.manifest.annotate(FULL, &name.to_string());
                self.manifest.annotate(SHORT, &name.familiar());
            }
            None => {
                let annotations = self.manifest.annotations.get_or_insert_default();
                annotations.remove(FULL);
                annotations.remove(SHORT);
            }
        }
    }

    fn add_source(&mut self, source: &Reference) {
        let mut sources = self.sources();
        if !sources.contains(source) {
            sources.push(source.clone());
            self.set_sources(&sources);
        }
    }

    fn set_sources(&mut self, sources: &[Reference]) {
        let text: Vec<String> = sources.iter().map(ToString::to_string).collect();
        if text.is_empty() {
            self.manifest.annotations.get_or_insert_default().remove(SOURCES);
        } else {
            self.manifest.annotate(SOURCES, &text.join(" "));
        }
    }

    /// Leaves nothing of some references.
    fn forget(&mut self, gone: &[Reference]) {
        if self.name().is_some_and(|name| gone.contains(&name.essential())) {
            self.set_name(None);
        }
        let mut sources = self.sources();
        sources.retain(|source| !gone.contains(source));
        self.set_sources(&sources);
    }
}

/// The layout of a store.
#[derive(Clone, Copy)]
pub struct Layout<'a> {
    store: &'a Store,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

impl Layout<'_> {
    pub fn new(store: &Store) -> Layout<'_> {
        Layout { store }
    }

    /// All entries, in the order in which they were made.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let index: Option<Index> = read_if_present(&self.index())?;
        let manifests = index.map(|index| index.manifests).unwrap_or_default();
        Ok(manifests.into_iter().map(|manifest| Entry { manifest }).collect())
    }

    /// The entry of a name, or for a name with a digest any entry that was pulled or can be pulled at it.
    pub fn find(&self, name: &Reference) -> Result<Option<Entry>> {
        let entries = self.entries()?;
        if let Some(found) = entries.iter().find(|entry| entry.name().as_ref() == Some(name)) {
            return Ok(Some(found.clone()));
        }
        let Some(digest) = name.digest() else { return Ok(None) };
        let at = name.at(digest);
        let mut found = entries.into_iter();
        Ok(found.find(|entry| {
            entry.sources().contains(&at)
                || (entry.manifest.digest == *digest
                    && entry
                        .name()
                        .is_some_and(|own| own.familiar_repository() == name.familiar_repository()))
        }))
    }

    /// Gives a name to a manifest, whose blobs are in place and kept by a lease. Whatever had the name has it no longer.
    /// `source` is where it was pulled from, at its digest.
    pub fn tag(&self, name: &Reference, manifest: &Descriptor, source: Option<&Reference>) -> Result<()> {
        self.add(Some(name), manifest, source)
    }

    /// Notes where a manifest was pushed to, at its digest. What has lost its name meanwhile, or is gone, stays so.
    pub fn note_source(&self, manifest: &Digest, source: &Reference) -> Result<()> {
        self.update(|entries| {
            let same = entries.iter_mut().filter(|entry| entry.manifest.digest == *manifest);
            same.for_each(|entry| entry.add_source(source));
        })
    }

    /// Adds a manifest that has no name, unless there is an entry of it.
    pub fn add_nameless(&self, manifest: &Descriptor) -> Result<()> {
        self.add(None, manifest, None)
    }

    fn add(&self, name: Option<&Reference>, manifest: &Descriptor, source: Option<&Reference>) -> Result<()> {
        self.update(|entries| {
            let same = |entry: &Entry| entry.manifest.digest == manifest.digest;
            let mut sources: Vec<Reference> = entries.iter().filter(|entry| same(entry)).flat_map(Entry::sources).collect();
            sources.extend(source.cloned());
            if let Some(name) = name {
                for entry in entries.iter_mut().filter(|entry| entry.name().as_ref() == Some(name)) {
                    entry.set_name(None);
                }
            }
            let mut entry = Entry {
                manifest: Descriptor::new(&manifest.media_type, manifest.digest.clone(), manifest.size),
            };
            entry.manifest.platform.clone_from(&manifest.platform);
            if let Some(committed) = manifest.annotation(COMMITTED) {
                entry.manifest.annotate(COMMITTED, committed);
            }
            entry.set_name(name);
            entries.push(entry);
            for entry in entries.iter_mut().filter(|entry| same(entry)) {
                sources.iter().for_each(|source| entry.add_source(source));
            }
        })
    }

    /// Takes references from an image, whose manifests these are. Entries to which no reference leads are removed. Their blobs stay
    /// until they are collected.
    pub fn forget(&self, manifests: &[&Digest], gone: &[Reference]) -> Result<()> {
        self.update(|entries| {
            entries.retain_mut(|entry| {
                let is_other = !manifests.contains(&&entry.manifest.digest);
                is_other || {
                    entry.forget(gone);
                    !entry.references().is_empty()
                }
            });
        })
    }

    /// Removes all entries that are meant. Their blobs stay until they are collected.
    pub fn remove(&self, is_meant: impl Fn(&Entry) -> bool) -> Result<()> {
        self.update(|entries| entries.retain(|entry| !is_meant(entry)))
    }

    /// Changes the index, which is the old one or the new one whatever happens. What it leads to is on disk before.
    fn update<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> T) -> Result<T> {
        let directory = self.store.directory("image")?;
        let _lock = Lock::acquire(&self.store.run_directory("")?.join("index"))?;
        let mut entries = self.entries()?;
        let old = entries.clone();
        let result = change(&mut entries);
        tidy(&mut entries);
        if entries == old {
            return Ok(result);
        }
        let blobs = self.store.directory("image/blobs/sha256")?;
        std::fs::File::open(&blobs)
            .and_then(|blobs| blobs.sync_all())
            .doing(|| format!("sync `{}`", blobs.display()))?;
        let version = directory.join("oci-layout");
        if !version.exists() {
            let image_layout_version = "1.0.0".into();
            write_durably(&version, &Version { image_layout_version })?;
        }
        let mut index = Index::new(entries.into_iter().map(|entry| entry.manifest).collect());
        index.media_type = Some(media::INDEX.into());
        write_durably(&self.index(), &index).map(|()| result)
    }

    fn index(&self) -> PathBuf {
        self.store.root().join("image/index.json")
    }
}

/// Notes when a commit was made.
pub fn note_commit(manifest: &mut Descriptor, seconds: u64) {
    manifest.annotate(COMMITTED, &seconds.to_string());
}

/// Leaves out entries without a name where the same image has one, or is there twice.
fn tidy(entries: &mut Vec<Entry>) {
    let all = entries.clone();
    let mut n = 0;
    entries.retain(|entry| {
        n += 1;
        let same = |other: &Entry| other.manifest.digest == entry.manifest.digest;
        entry.name().is_some() || {
            let named = all.iter().any(|other| same(other) && other.name().is_some());
            !named && !all[n..].iter().any(same)
        }
    });
}
