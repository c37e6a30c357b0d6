//! Removing images: what nothing needs any more is collected.
//!
//! Needed are the blobs and layers of all images, the layers of all containers, and what a lease keeps. While these are found
//! out and the rest is renamed into the trash, nobody can begin to need anything (`image/lease.rs`). Unlinking comes after.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::create::CLEANED_UP;
use super::images::{Meant, folder_name, no_such_image};
use super::references::References;
use super::{Container, Engine, ImageFilter, recover};
use crate::error::{Error, Result};
use crate::image::{
    BUSYBOX, Blobs, Catalog, Collecting, Descriptor, Document, Entry, Image, Layout, Lease, Name, Record, Reference, read_config,
    read_document, sweep_blob_drafts,
};
use crate::layer;
use crate::store::{Digest, read_if_present};

/// Where layers are. Unlike blobs, they may be mounted.
const LAYERS: &str = "layer/sha256";

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub untagged: Vec<String>,
    /// The ids of images.
    pub deleted: Vec<Digest>,
    /// How many bytes that were on disk.
    pub bytes: u64,
}

impl Removed {
    /// Tells of references that are gone; of the one that was asked for as it was spelled.
    fn references(asked: Option<&Reference>, gone: &[Reference]) -> Removed {
        let spelled = |name: &Reference| asked.filter(|asked| asked.essential() == *name).unwrap_or(name).familiar();
        Removed {
            untagged: gone.iter().map(spelled).collect(),
            ..Removed::default()
        }
    }
}

impl Engine {
    /// Removes an image, or only what a text calls it if it has other names. One that a container was made of is only removed if
    /// that is forced, and never while such a container runs.
    pub fn remove_image(&self, text: &str, force: bool) -> Result<Removed> {
        let collecting = Collecting::begin(&self.store)?;
        let image = match self.meant(text)?.ok_or_else(|| no_such_image(&self.store, text))? {
            Meant::Image(image) if image.entry.is_some() => image,
            found => return self.remove_tarball(text, &found, force, &collecting),
        };
        let layout = Layout::new(&self.store);
        let same = self.entries_with(&image)?;
        let references = References::of(&same);
        let asked = self.name_in_layout(text)?;
        let gone = match &asked {
            Some(name) => references.gone_with(name)?,
            None => references.gone_at_once(&image.id, force)?,
        };
        let is_last = gone == references.all();
        let stays = is_last && self.in_folder(&image).is_some();
        if is_last && !stays {
            self.check_unused(&image, text, force)?;
        }
        let manifests: Vec<&Digest> = same.iter().map(|entry| &entry.manifest.digest).collect();
        layout.forget(&manifests, &gone)?;
        let mut removed = Removed::references(asked.as_ref(), &gone);
        if is_last {
            removed.deleted.extend((!stays).then_some(image.id));
            removed.bytes = self.collect(&collecting)?;
            drop(collecting);
            self.store.empty_trash()?;
        }
        Ok(removed)
    }

    /// What an image is called in the registry folder, if it is there as well.
    fn in_folder(&self, image: &Image) -> Option<Name> {
        let listed = Catalog::new(&self.store).list().ok()?;
        let is_same = |record: &Record| Image::of_record(record).is_ok_and(|other| other.id == image.id);
        let listed = listed
            .into_iter()
            .find(|listed| listed.record.as_ref().is_some_and(is_same))?;
        folder_name(&listed.name)
    }

    /// A text as the name of an image of the layout, if it is that and not an id.
    fn name_in_layout(&self, text: &str) -> Result<Option<Reference>> {
        let Ok(name) = Reference::parse(text) else { return Ok(None) };
        Ok(Layout::new(&self.store).find(&name)?.map(|_| name))
    }

    /// Removes what is recorded of a tarball, and if that is forced, the tarball.
    fn remove_tarball(&self, text: &str, found: &Meant, force: bool, collecting: &Collecting) -> Result<Removed> {
        let catalog = Catalog::new(&self.store);
        let name = match found {
            Meant::Packed(name, _) => Some(name.clone()),
            Meant::Image(image) => folder_name(text)
                .filter(|name| catalog.find(name).is_ok_and(|found| found.is_some()))
                .or_else(|| self.in_folder(image)),
        };
        let name = name.ok_or_else(|| no_such_image(&self.store, text))?;
        if catalog.has_tarball(&name) {
            let path = catalog.tarball(&name);
            if !force {
                return Err(Error::conflict(format!("image `{name}` is the tarball `{}`", path.display()))
                    .hint("remove that file, or have it removed with `-f`"));
            }
            if let Meant::Image(image) = found {
                self.check_unused(image, text, force)?;
            }
            self.store.discard(&path)?;
        } else if name.as_str() == BUSYBOX.name {
            return Err(Error::conflict(format!("image `{name}` is part of tinydock")));
        }
        catalog.forget(&name)?;
        let deleted = match found {
            Meant::Image(image) => vec![image.id.clone()],
            Meant::Packed(..) => Vec::new(),
        };
        let bytes = self.collect(collecting)?;
        self.store.empty_trash()?;
        Ok(Removed {
            untagged: vec![format!("{name}:latest")],
            deleted,
            bytes,
        })
    }

    /// Removes the images that no container was made of and that are meant; only those without a name unless `all`.
    pub fn prune_images(&self, filter: &ImageFilter, all: bool) -> Result<Removed> {
        let mut removed = Removed::default();
        let collecting = Collecting::begin(&self.store)?;
        let mut broken = None;
        let images = self.images(filter, |error| broken = Some(error))?;
        if let Some(error) = broken {
            return Err(error.hint("`tinydock system fsck --repair` removes images that are damaged"));
        }
        for listed in images {
            let Some(image) = listed.image.as_ref().filter(|image| image.entry.is_some()) else {
                continue;
            };
            if (listed.is_dangling() || all) && self.users_of(image)?.is_empty() {
                Layout::new(&self.store).remove(|entry| Some(entry) == image.entry.as_ref())?;
                removed.untagged.extend(listed.name());
                if !removed.deleted.contains(&image.id) && self.entries_with(image)?.is_empty() {
                    let sources = image.entry.iter().flat_map(Entry::sources);
                    removed.untagged.extend(sources.map(|source| source.familiar()));
                    removed.deleted.push(image.id.clone());
                }
            }
        }
        // They are listed by the second in which they were made.
        removed.untagged.sort();
        removed.bytes = self.collect(&collecting)?;
        drop(collecting);
        removed.bytes += sweep_blob_drafts(&self.store, true)?;
        self.store.empty_trash().map(|()| removed)
    }

    /// The entries of the layout that lead to the same image.
    fn entries_with(&self, image: &Image) -> Result<Vec<Entry>> {
        let mut entries = Layout::new(&self.store).entries()?;
        entries.retain(|entry| Image::read(&self.store, entry).is_ok_and(|other| other.id == image.id));
        Ok(entries)
    }

    /// Waits for a container that has ended and is being removed.
    fn is_gone_soon(&self, container: &Container) -> Result<bool> {
        let deadline = Instant::now() + CLEANED_UP;
        while container.is_vanishing(&container.state()?) && Instant::now() < deadline {
            if Container::load(&self.store, container.id())?.is_none() {
                return Ok(true);
            }
            recover::sweep(&self.store)?;
            thread::sleep(Duration::from_micros(200));
        }
        Ok(false)
    }

    fn check_unused(&self, image: &Image, text: &str, force: bool) -> Result<()> {
        for container in self.users_of(image)? {
            if self.is_gone_soon(&container)? {
                continue;
            }
            let runs = container.state()?.is_live();
            let (id, is) = (container.id().short(), if runs { "running " } else { "" });
            let used = || Error::conflict(format!("image `{text}` is used by {is}container `{id}`"));
            if runs {
                return Err(used().hint(format!("stop that container first, with `tinydock stop {id}`")));
            }
            if !force {
                return Err(used().hint("remove that container first, or the image all the same with `-f`"));
            }
        }
        Ok(())
    }

    /// Removes what a lease kept and nothing else needs.
    pub fn abandon(&self, lease: Lease) -> Result<()> {
        let kept = lease.end()?;
        let collecting = Collecting::begin(&self.store)?;
        self.collect_of(&collecting, |digest| kept.contains(digest))?;
        drop(collecting);
        self.store.empty_trash()
    }

    /// Moves into the trash what nothing needs. Returns how many bytes that is.
    pub fn collect(&self, collecting: &Collecting) -> Result<u64> {
        self.collect_of(collecting, |_| true)
    }

    fn collect_of(&self, collecting: &Collecting, is_meant: impl Fn(&Digest) -> bool) -> Result<u64> {
        let needed = self.needed(collecting)?;
        let mut bytes = 0;
        for directory in ["image/blobs/sha256", LAYERS] {
            for entry in fs::read_dir(self.store.root().join(directory))
                .into_iter()
                .flatten()
                .flatten()
            {
                let digest = Digest::parse(&format!("sha256:{}", entry.file_name().to_string_lossy()));
                // What is no digest is not ours to remove.
                if digest.is_some_and(|digest| is_meant(&digest) && !needed.contains(&digest)) {
                    bytes += disk_usage(&entry.path());
                    self.store.discard(&entry.path())?;
                    if directory == LAYERS {
                        layer::forget_mounts(&self.store, &entry.file_name().to_string_lossy())?;
                    }
                }
            }
        }
        Ok(bytes)
    }

    /// The digests of all blobs and layers that something needs.
    pub fn needed(&self, collecting: &Collecting) -> Result<BTreeSet<Digest>> {
        let mut needed = collecting.leased(&self.store)?;
        let damaged = |error: Error| error.hint("`tinydock system fsck --repair` removes images that are damaged");
        for entry in Layout::new(&self.store).entries()? {
            reach(&Blobs::new(&self.store), &entry.manifest, &mut needed).map_err(damaged)?;
        }
        needed.extend(Catalog::new(&self.store).layers()?);
        // Commands of `debug` use it for longer than whoever has started them is there.
        needed.extend(Record::builtin().layers);
        for id in Container::ids(&self.store)? {
            // Only digests are looked for, the image's and those of mounts: they must be kept whatever else is said.
            if let Some(spec) = read_if_present::<Value>(&self.store.container(&id).join("spec"))? {
                digests_in(&spec, &mut needed);
            }
        }
        Ok(needed)
    }
}

/// Adds everything that a descriptor leads to. Of an index for several platforms, not all need be here.
fn reach(blobs: &Blobs, descriptor: &Descriptor, found: &mut BTreeSet<Digest>) -> Result<()> {
    found.insert(descriptor.digest.clone());
    match read_document(blobs, descriptor)? {
        Document::Index(index) => {
            let mut here = index
                .manifests
                .iter()
                .filter(|entry| blobs.contains(&entry.digest) && !found.contains(&entry.digest));
            let here: Vec<_> = here.by_ref().collect();
            here.into_iter().try_for_each(|entry| reach(blobs, entry, found))
        }
        Document::Manifest(manifest) => {
            found.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
            let config = read_config(blobs, &manifest)?;
            found.insert(manifest.config.digest);
            found.insert(layer::top_of(&config.rootfs.diff_ids));
            found.extend(config.rootfs.diff_ids);
            Ok(())
        }
    }
}

/// Adds every digest that a record names. Several in a list may be layers, which have one on top.
fn digests_in(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(Digest::parse(text)),
        Value::Array(values) => {
            let text = |value: &Value| value.as_str().and_then(Digest::parse);
            if let Some(layers) = values.iter().map(text).collect::<Option<Vec<_>>>() {
                found.insert(layer::top_of(&layers));
            }
            values.iter().for_each(|value| digests_in(value, found));
        }
        Value::Object(values) => values.values().for_each(|value| digests_in(value, found)),
        _ => {}
    }
}

/// How many bytes of the disk a file takes, or a directory with all below it.
pub fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let own = metadata.blocks() * 512;
    if !metadata.is_dir() {
        // A file with several names is counted once, by sharing it among them.
        return own / metadata.nlink().max(1);
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}
