//! `pull`: an image from a registry. Layers come in parallel, each through one pipeline:
//!
//! ```text
//!   registry ──▶ on disk, hashed ──▶ inflated, hashed ──▶ unpacked into a draft
//!                      │                   │
//!                      └── both digests are right ──▶ a blob and a layer
//! ```
//!
//! The last act is to give the image its name, so a pull that is killed has pulled nothing that anybody sees; what has come of its
//! blobs is where the next pull goes on, unless it can never become the image.

mod layers;

use layers::Layer;

use super::Engine;
use super::images::Meant;
use crate::error::{Doing, Error, Kind, Result};
use crate::image::registry::{Download, Fetched, Registries, Repository};
use crate::image::{
    Blobs, Config, Document, Image, LARGEST_DOCUMENT, Layout, Lease, Manifest, Platform, Reference, read_config, unpack_layers,
};
use crate::layer::{Limits, Sealer};
use crate::store::{Digest, Store};

/// How a layer gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Waiting,
    /// It was there already.
    Exists,
    /// How many bytes are there, of how many.
    Moving(u64, u64),
    /// All of it has come, and is being unpacked.
    Received,
    Done,
    /// Another repository of the registry had it.
    Mounted,
}

/// Who is told how the layers get on, from several threads.
pub type Progress<'a> = &'a (dyn Fn(&Digest, Step) + Sync);

/// An image that is there after a pull.
#[derive(Debug)]
pub struct Pulled {
    /// What the tag points to in the registry.
    pub digest: Digest,
    /// Whether anything is new.
    pub is_new: bool,
    /// For which platform it is.
    pub platform: Platform,
}

/// Why an image was not pulled.
#[derive(Debug)]
pub enum NotPulled {
    /// What has the name is no image, or none for the platform.
    NoImage(Error),
    Failed(Error),
}

impl NotPulled {
    fn doing(self, doing: &str) -> NotPulled {
        match self {
            NotPulled::NoImage(error) => NotPulled::NoImage(error.doing(doing)),
            NotPulled::Failed(error) => NotPulled::Failed(error.doing(doing)),
        }
    }
}

impl From<Error> for NotPulled {
    fn from(error: Error) -> NotPulled {
        NotPulled::Failed(error)
    }
}

impl From<NotPulled> for Error {
    fn from(why: NotPulled) -> Error {
        match why {
            NotPulled::NoImage(error) | NotPulled::Failed(error) => error,
        }
    }
}

/// How deep indexes may lead to indexes.
const DEEPEST: usize = 3;

impl Engine {
    /// Fetches an image and gives it its name.
    pub fn pull(&self, name: &Reference, platform: &Platform, progress: Progress) -> std::result::Result<Pulled, NotPulled> {
        let registries = Registries::open()?;
        let sources = registries.sources(name)?;
        let pull = Pull {
            engine: self,
            store: &self.store,
            blobs: Blobs::new(&self.store),
            registries: &registries,
            sources: &sources,
            progress,
            limits: Limits::find()?,
            sealer: Sealer::default(),
        };
        pull.image(name, platform)
            .map_err(|why| why.doing(&format!("pull `{}`", name.familiar())))
    }

    /// The names that a registry has in the repository of a name. What it calls a tag but is none is passed over.
    pub fn tags_to_pull(&self, repository: &Reference) -> Result<Vec<Reference>> {
        let registries = Registries::open()?;
        let list = || -> Result<Vec<Reference>> {
            let sources = registries.sources(repository)?;
            // The last is the registry itself; a mirror may not have all.
            let tags = sources.last().map_or(Ok(Vec::new()), Repository::tags)?;
            let names: Vec<Reference> = tags.iter().filter_map(|tag| repository.tagged(tag)).collect();
            match names.is_empty() {
                true => Err(Error::not_found("the repository has no tags")),
                false => Ok(names),
            }
        };
        list().doing(|| format!("pull all tags of `{}`", repository.familiar_repository()))
    }

    /// Whether there is no image that a text means, or only one for another platform.
    pub fn lacks(&self, text: &str, platform: Option<&Platform>) -> Result<bool> {
        Ok(match (self.meant(text)?, platform) {
            (None, _) => true,
            (Some(Meant::Image(image)), Some(platform)) => image.config.platform().suits(platform).is_none(),
            _ => false,
        })
    }
}

struct Pull<'a> {
    engine: &'a Engine,
    store: &'a Store,
    blobs: Blobs<'a>,
    registries: &'a Registries,
    sources: &'a [Repository<'a>],
    progress: Progress<'a>,
    limits: Limits,
    sealer: Sealer<'a>,
}

impl Pull<'_> {
    fn image(mut self, name: &Reference, platform: &Platform) -> std::result::Result<Pulled, NotPulled> {
        if let Some(present) = self.unchanged(name, platform)? {
            return Ok(present);
        }
        let top = self.first_manifest(&name.wanted())?;
        let digest = top.descriptor.digest.clone();
        let (fetched, manifest) = self.select(name, top, platform)?;
        let lease = Lease::begin(self.store)?;
        let pulled = self.parts(&fetched, &manifest, &lease);
        let pulled = pulled.and_then(|(config, is_new)| self.give_name(name, &digest, &fetched, &config, is_new));
        // Trying again brings no other content. After any other failure it goes on with what is here.
        if pulled.as_ref().is_err_and(|error| error.kind == Kind::Invalid) {
            let _ = self.engine.abandon(lease);
        }
        Ok(pulled?)
    }

    /// Brings all that a manifest leads to into place. Returns the configuration, and whether any layer was missing.
    fn parts(&self, fetched: &Fetched, manifest: &Manifest, lease: &Lease) -> Result<(Config, bool)> {
        lease.keep(
            [&fetched.descriptor.digest, &manifest.config.digest]
                .into_iter()
                .chain(manifest.layers.iter().map(|layer| &layer.digest)),
        )?;
        let config = self.config(manifest)?;
        lease.keep(&config.rootfs.diff_ids)?;
        let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let is_new = self.layers(layers.map(|(blob, diff_id)| Layer { blob, diff_id }).collect())?;
        // Those whose blobs were there, but which nobody had unpacked.
        unpack_layers(self.store, manifest, &config, lease)?;
        Ok((config, is_new))
    }

    /// Gives a name to an image whose parts are all in place. `digest` is what it leads to in the registry.
    fn give_name(&self, name: &Reference, digest: &Digest, fetched: &Fetched, config: &Config, is_new: bool) -> Result<Pulled> {
        let descriptor = self.blobs.add(&fetched.descriptor.media_type, &fetched.bytes)?;
        let layout = Layout::new(self.store);
        let before = layout.find(name)?.map(|entry| entry.manifest.digest);
        layout.tag(name, &descriptor, Some(&name.at(digest)))?;
        Ok(Pulled {
            digest: digest.clone(),
            is_new: is_new || before.as_ref() != Some(&descriptor.digest),
            platform: config.platform(),
        })
    }

    /// The image of this name, if it is here as a whole and the tag still points to it.
    fn unchanged(&self, name: &Reference, platform: &Platform) -> Result<Option<Pulled>> {
        let Some(entry) = Layout::new(self.store).find(name)? else {
            return Ok(None);
        };
        // What cannot be read any more is pulled again.
        let Ok(image) = Image::read(self.store, &entry) else {
            return Ok(None);
        };
        let layers = image.manifest.iter().flat_map(|(_, manifest)| &manifest.layers);
        let is_whole = image.is_complete(self.store) && layers.into_iter().all(|layer| self.blobs.contains(&layer.digest));
        if !is_whole || image.config.platform().suits(platform).is_none() {
            return Ok(None);
        }
        // Asking for more says what is wrong, if this does not.
        let Some(Ok(Some(digest))) = self.sources.first().map(|first| first.manifest_digest(&name.wanted())) else {
            return Ok(None);
        };
        Ok(entry.sources().contains(&name.at(&digest)).then(|| Pulled {
            digest,
            is_new: false,
            platform: image.config.platform(),
        }))
    }

    /// The manifest or index that is asked for, from the first place that has it. Everything else is asked for there first.
    fn first_manifest(&mut self, wanted: &str) -> Result<Fetched> {
        loop {
            let (first, others) = self
                .sources
                .split_first()
                .ok_or_else(|| Error::not_found("there is nowhere to fetch it from"))?;
            match first.manifest(wanted) {
                Err(_) if !others.is_empty() => self.sources = others,
                result => return result,
            }
        }
    }

    /// The manifest for a platform, and how it was spelled.
    fn select(
        &self,
        name: &Reference,
        mut fetched: Fetched,
        platform: &Platform,
    ) -> std::result::Result<(Fetched, Manifest), NotPulled> {
        let mut wanted = name.wanted();
        for _ in 0..DEEPEST {
            let no_image = |error| NotPulled::NoImage(self.sources[0].doing(error, &format!("manifest `{wanted}`")));
            let index = match Document::parse(&fetched.bytes).map_err(no_image)? {
                Document::Manifest(manifest) => {
                    // What it is, it says itself; old ones only say it by the way.
                    if let Some(media_type) = &manifest.media_type {
                        fetched.descriptor.media_type.clone_from(media_type);
                    }
                    return Ok((fetched, manifest));
                }
                Document::Index(index) => index,
            };
            let chosen = index.select(platform).map_err(NotPulled::NoImage)?;
            wanted = chosen.digest.to_string();
            fetched = self.sources[0].manifest(&wanted)?;
            if fetched.descriptor.size != chosen.size {
                let wrong = format!("has {} bytes instead of {}", fetched.descriptor.size, chosen.size);
                return Err(Error::invalid(wrong).doing(format!("manifest `{}`", chosen.digest)).into());
            }
        }
        Err(NotPulled::NoImage(Error::invalid("indexes lead to indexes")))
    }

    fn config(&self, manifest: &Manifest) -> Result<Config> {
        let descriptor = &manifest.config;
        if descriptor.size > LARGEST_DOCUMENT {
            let wrong = format!("is {} bytes long; documents have at most {LARGEST_DOCUMENT}", descriptor.size);
            return Err(Error::invalid(wrong).doing("image config"));
        }
        if let Some(ingest) = self.blobs.resume(descriptor)? {
            Download::new(self.sources, descriptor, ingest, &|_| ())?.finish()?;
        }
        let config = read_config(&self.blobs, manifest)?;
        config.check_against(manifest)?;
        Ok(config)
    }
}
