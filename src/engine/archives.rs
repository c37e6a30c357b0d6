//! `load`, `save` and `import`: images from files and to files.

use std::io::{Read, Write};

use super::Engine;
use super::images::folder_name;
use crate::error::{Doing, Result};
use crate::image::{
    Blobs, Catalog, Collecting, Config, Execution, History, Layout, Lease, Loaded, Platform, Reference, SaveFormat, Saved,
    layer_type, load_archive, save_archive, unpack_unknown,
};
use crate::layer::{Limits, too_long};
use crate::store::{Digest, clock};

/// What is said about an import.
#[derive(Debug, Default)]
pub struct Import {
    pub message: Option<String>,
    /// Changes of the configuration, as a Dockerfile spells them.
    pub changes: Vec<String>,
    pub platform: Option<Platform>,
}

impl Engine {
    /// Loads all images of an archive. Either all get their names, or the store is as it was.
    pub fn load(&self, source: impl Read + Send, platform: &Platform) -> Result<Vec<Loaded>> {
        let lease = Lease::begin(&self.store)?;
        let loaded = load_archive(&self.store, source, platform, &lease).and_then(|loaded| {
            for name in loaded.iter().flat_map(|image| &image.names) {
                self.check_new_name(name)?;
            }
            for image in &loaded {
                let layout = Layout::new(&self.store);
                image
                    .names
                    .iter()
                    .try_for_each(|name| layout.tag(name, &image.manifest, None))?;
                if image.names.is_empty() {
                    layout.add_nameless(&image.manifest)?;
                }
            }
            Ok(loaded)
        });
        drop(lease);
        // Of an archive that has more than is wanted, or that was refused, nothing is left.
        Collecting::begin(&self.store)
            .and_then(|collecting| self.collect(&collecting))
            .and_then(|_| self.store.empty_trash())
            .or_else(|error| if loaded.is_ok() { Err(error) } else { Ok(()) })?;
        loaded
    }

    /// Writes an archive of the images that texts mean. One that is named by an id has no name in it, and of a repository all tags are
    /// meant.
    pub fn save(&self, texts: &[String], format: SaveFormat, into: impl Write) -> Result<()> {
        let lease = Lease::begin(&self.store)?;
        let mut saved: Vec<Saved> = Vec::new();
        let texts: Vec<Vec<String>> = texts.iter().map(|text| self.with_all_tags(text)).collect::<Result<_>>()?;
        for text in texts.iter().flatten() {
            let image = self.image_with_blobs(text, &lease)?;
            let is_id = image.id.hex().starts_with(text.trim_start_matches("sha256:"));
            let name = Reference::parse(text).ok().filter(|name| !is_id && name.digest().is_none());
            match saved.iter_mut().find(|other| other.image.id == image.id) {
                Some(other) => other.names.extend(name.filter(|name| !other.names.contains(name))),
                None => saved.push(Saved {
                    image,
                    names: name.into_iter().collect(),
                }),
            }
        }
        save_archive(&Blobs::new(&self.store), &saved, format, into)
    }

    /// What a text stands for: all tags that are here if it names a repository alone, and otherwise itself.
    fn with_all_tags(&self, text: &str) -> Result<Vec<String>> {
        let name = Reference::parse(text).ok().filter(|_| Reference::is_repository(text));
        let names = name.map_or(Ok(Vec::new()), |name| self.tags_of(&name))?;
        let mut texts: Vec<String> = names.iter().map(Reference::familiar).collect();
        // A tarball of the folder, and the built-in image, are the tag `latest` of theirs.
        let folder = folder_name(text)
            .map(|name| Catalog::new(&self.store).find(&name))
            .transpose()?
            .flatten();
        let has_latest = names.iter().any(|name| name.tag() == Some("latest"));
        if texts.is_empty() || (folder.is_some() && !has_latest) {
            texts.push(text.to_string());
        }
        Ok(texts)
    }

    /// Makes an image of the tarball of a file system, which is opened when all else is right. Returns its id.
    pub fn import<R: Read>(&self, open: impl FnOnce() -> Result<R>, name: Option<&Reference>, import: &Import) -> Result<Digest> {
        if let Some(name) = name {
            self.check_new_name(name)?;
        }
        let mut execution = Execution::default();
        execution.change_all(&import.changes)?;
        let lease = Lease::begin(&self.store)?;
        let blobs = Blobs::new(&self.store);
        let limits = Limits::find()?;
        let mut ingest = blobs.ingest()?;
        let copied = std::io::copy(&mut open()?.take(limits.bytes + 1), &mut ingest).doing(|| "import the tarball")?;
        if copied > limits.bytes {
            return Err(too_long(limits.bytes));
        }
        let mut blob = ingest.finish_leased("", &lease)?;
        blob.media_type = layer_type(&blobs.path(&blob.digest))?.into();
        let diff_id = unpack_unknown(&self.store, &blob, &lease)?;
        let platform = import.platform.clone().unwrap_or_else(Platform::host);
        let created = Some(clock::spell(std::time::Duration::from_secs(clock::seconds())));
        let mut config = Config {
            created: created.clone(),
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            ..Config::default()
        };
        config.config = execution;
        config.rootfs.diff_ids = vec![diff_id];
        config.history = vec![History {
            created,
            comment: import.message.clone().or_else(|| Some("Imported from a tarball".into())),
            ..History::default()
        }];
        let (manifest, content) = self.add_manifest(&mut config, vec![blob], &lease)?;
        match name {
            Some(name) => Layout::new(&self.store).tag(name, &manifest, None)?,
            None => Layout::new(&self.store).add_nameless(&manifest)?,
        }
        Ok(content.config.digest)
    }
}
