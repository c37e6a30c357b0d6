//! Images of tarballs as images of the layout: whoever saves, pushes, names or builds upon one needs its blobs.

use std::fs::File;
use std::io;

use sha2::{Digest as _, Sha256};

use super::Engine;
use super::images::{Meant, folder_name, no_such_image};
use crate::error::{Doing, Error, Result};
use crate::image::{
    BUSYBOX, Blobs, Catalog, Config, Descriptor, Image, Layout, Lease, Manifest, Name, Record, Reference, digest_of_stream,
    layer_type, media, unpack_layers,
};
use crate::layer;
use crate::store::Digest;

impl Engine {
    /// The image that `text` means, with a manifest and all its blobs. They are kept for as long as the lease lasts.
    pub fn image_with_blobs(&self, text: &str, lease: &Lease) -> Result<Image> {
        let mut image = {
            let kept = match self.meant(text)? {
                None => return Err(no_such_image(&self.store, text)),
                // What the archive of a tarball has in it is known when it was unpacked once.
                Some(Meant::Packed(..)) => self.image(text)?.image,
                Some(Meant::Image(image)) => image,
            };
            lease.keep(kept.needs())?;
            kept
        };
        if image.manifest.is_none() {
            let mut config = image.config.clone();
            let mut layers = Vec::new();
            for (n, diff_id) in image.layers().iter().enumerate() {
                let (blob, diff_id) = self.blob_of_layer(diff_id, lease)?;
                config.rootfs.diff_ids[n] = diff_id;
                layers.push(blob);
            }
            let (descriptor, manifest) = self.add_manifest(&mut config, layers, lease)?;
            image.id = manifest.config.digest.clone();
            image.config = config;
            image.manifest = Some((descriptor, manifest));
        }
        Ok(image)
    }

    /// Writes down a configuration and a manifest, and has the layers unpacked that are not.
    pub fn add_manifest(&self, config: &mut Config, layers: Vec<Descriptor>, lease: &Lease) -> Result<(Descriptor, Manifest)> {
        let blobs = Blobs::new(&self.store);
        lease.keep(&config.rootfs.diff_ids)?;
        let add = |media_type, bytes: &[u8]| {
            lease.keep([&Digest::of(Sha256::new_with_prefix(bytes))])?;
            blobs.add(media_type, bytes)
        };
        let manifest = Manifest::new(add(media::CONFIG, &config.to_bytes()?)?, layers);
        unpack_layers(&self.store, &manifest, config, lease)?;
        let mut descriptor = add(media::MANIFEST, &serde_json::to_vec(&manifest).map_err(Error::system)?)?;
        descriptor.platform = Some(config.platform());
        Ok((descriptor, manifest))
    }

    /// The blob that a layer was unpacked from, and the layer's diff id. If the blob is nowhere, the layer is packed anew: then
    /// its diff id may be another one.
    pub fn blob_of_layer(&self, diff_id: &Digest, lease: &Lease) -> Result<(Descriptor, Digest)> {
        let found = self.find_blob(diff_id, lease)?;
        if let Some(blob) = found {
            return Ok((blob, diff_id.clone()));
        }
        let directory = layer::path(&self.store, diff_id);
        let mut ingest = Blobs::new(&self.store).ingest()?;
        if let Some(tarball) = layer::tarball_of(&directory) {
            let doing = || format!("read `{}`", tarball.display());
            io::copy(&mut File::open(&tarball).doing(doing)?, &mut ingest).doing(doing)?;
            return Ok((ingest.finish_leased(media::LAYER, lease)?, diff_id.clone()));
        }
        let packed = layer::pack(&directory, u64::MAX, &mut ingest)?;
        lease.keep([&packed.content.diff_id])?;
        Ok((ingest.finish_leased(media::LAYER, lease)?, packed.content.diff_id))
    }

    fn find_blob(&self, diff_id: &Digest, lease: &Lease) -> Result<Option<Descriptor>> {
        let blobs = Blobs::new(&self.store);
        for entry in Layout::new(&self.store).entries()? {
            let Ok(image) = Image::read(&self.store, &entry) else {
                continue;
            };
            let layers = image.manifest.iter().flat_map(|(_, manifest)| &manifest.layers);
            for (blob, _) in layers.zip(image.layers()).filter(|(_, id)| *id == diff_id) {
                lease.keep([&blob.digest])?;
                if blobs.contains(&blob.digest) {
                    return Ok(Some(blob.clone()));
                }
            }
        }
        if diff_id.to_string() == BUSYBOX.diff_id {
            lease.keep([&Digest::of(Sha256::new_with_prefix(BUSYBOX.tarball))])?;
            return blobs.add(media::LAYER_GZIP, BUSYBOX.tarball).map(Some);
        }
        let catalog = Catalog::new(&self.store);
        for listed in catalog.list()? {
            let is_of = |record: &Record| record.source.is_some() && record.layers == [diff_id.clone()];
            if listed.record.as_ref().is_some_and(is_of) {
                return self.add_tarball(&Name::parse(&listed.name)?, diff_id, lease);
            }
        }
        Ok(None)
    }

    /// Adds a tarball of the folder as a blob, if it still is what it was when it was unpacked.
    fn add_tarball(&self, name: &Name, diff_id: &Digest, lease: &Lease) -> Result<Option<Descriptor>> {
        let path = Catalog::new(&self.store).tarball(name);
        let doing = || format!("add tarball `{}`", path.display());
        let mut ingest = Blobs::new(&self.store).ingest()?;
        io::copy(&mut File::open(&path).doing(doing)?, &mut ingest).doing(doing)?;
        let blob = ingest.finish_leased(layer_type(&path)?, lease)?;
        let file = Blobs::new(&self.store).open(&blob)?;
        let (digest, _) = digest_of_stream(layer::inflated(file)?).doing(doing)?;
        Ok((digest == *diff_id).then_some(blob))
    }

    /// Gives an image another name.
    pub fn tag(&self, text: &str, name: &Reference) -> Result<()> {
        self.check_new_name(name)?;
        let lease = Lease::begin(&self.store)?;
        let image = self.image_with_blobs(text, &lease)?;
        let Some((mut descriptor, _)) = image.manifest else {
            return Err(Error::system(format!("image `{text}` has no manifest")));
        };
        if let Some(entry) = &image.entry {
            descriptor = entry.manifest.clone();
        }
        Layout::new(&self.store).tag(name, &descriptor, None)
    }

    /// Checks that a new name would not be hidden by a tarball of the folder, nor be read as a part of an id.
    pub fn check_new_name(&self, name: &Reference) -> Result<()> {
        if name.familiar_repository() == "sha256" {
            return Err(Error::invalid("`sha256` is how ids begin, and no name of an image"));
        }
        let catalog = Catalog::new(&self.store);
        match folder_name(&name.familiar()).filter(|name| catalog.has_tarball(name)) {
            None => Ok(()),
            Some(own) => {
                let path = catalog.tarball(&own);
                let taken = format!("image `{own}` is the tarball `{}`", path.display());
                Err(Error::conflict(taken).hint("choose another name, or rename the tarball"))
            }
        }
    }
}
