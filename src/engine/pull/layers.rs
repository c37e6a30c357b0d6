//! The layers of an image that is pulled: each is fetched, verified and unpacked on the way, and they do not wait for each other.

use super::{Pull, Step};
use crate::engine::layers::at_once;
use crate::error::{Doing, Error, Result};
use crate::image::registry::Download;
use crate::image::{Descriptor, make_layer};
use crate::layer::{self, Draft};
use crate::store::Digest;

/// A layer as the manifest and as the configuration name it.
#[derive(PartialEq)]
pub struct Layer<'a> {
    pub blob: &'a Descriptor,
    pub diff_id: &'a Digest,
}

impl Pull<'_> {
    /// Brings all layers into place. Returns whether any was missing.
    pub fn layers(&self, mut layers: Vec<Layer>) -> Result<bool> {
        // The same layer may be in an image more than once.
        let mut n = 0;
        while n < layers.len() {
            match layers[..n].contains(&layers[n]) {
                true => drop(layers.remove(n)),
                false => n += 1,
            }
        }
        layers
            .iter()
            .for_each(|layer| (self.progress)(&layer.blob.digest, Step::Waiting));
        let fetched = at_once(&layers, |layer| self.layer(layer), || self.registries.stop())?;
        Ok(fetched.contains(&true))
    }

    /// Brings a layer into place. Returns whether it was missing.
    fn layer(&self, layer: &Layer) -> Result<bool> {
        let fetched = match self.fetch(layer) {
            // What was left by an earlier pull may have been damaged since; what comes now is fresh.
            Err(Damaged(true, _)) => self.fetch(layer),
            result => result,
        };
        let is_new = fetched.map_err(|Damaged(_, error)| error)?;
        let step = if is_new { Step::Done } else { Step::Exists };
        (self.progress)(&layer.blob.digest, step);
        Ok(is_new)
    }

    /// Fetches a layer's blob, if it is not there, and unpacks it on the way, if that was not done.
    fn fetch(&self, layer: &Layer) -> std::result::Result<bool, Damaged> {
        let total = layer.blob.size;
        let received = |bytes| {
            let step = if bytes == total {
                Step::Received
            } else {
                Step::Moving(bytes, total)
            };
            (self.progress)(&layer.blob.digest, step);
        };
        let Some(ingest) = self.blobs.resume(layer.blob)? else {
            return Ok(false);
        };
        let download = Download::new(self.sources, layer.blob, ingest, &received)?;
        self.receive(layer, download).map(|()| true)
    }

    fn receive(&self, layer: &Layer, mut download: Download) -> std::result::Result<(), Damaged> {
        let is_unpacked = || layer::path(self.store, layer.diff_id).is_dir();
        let resumed = download.is_resumed();
        if is_unpacked() {
            return download.finish().map_err(|error| Damaged(resumed, error));
        }
        let draft = Draft::begin(self.store, layer.diff_id.hex())?;
        if is_unpacked() {
            return download.finish().map_err(|error| Damaged(resumed, error));
        }
        let mut damaged = resumed;
        let filled = draft.fill(|into| {
            let unpacked = make_layer(&mut download, None, into, layer.diff_id, &self.limits);
            if let Some(failure) = download.failure() {
                damaged = false;
                return Err(failure);
            }
            // Bytes that are not the layer's explain why they cannot be unpacked.
            download.finish()?;
            damaged = false;
            let checked = unpacked.and_then(|content| checked(content, layer));
            checked.doing(|| format!("layer `{}`", layer.blob.digest))
        });
        self.sealer
            .seal(self.store, filled.map_err(|error| Damaged(damaged, error))?)?;
        Ok(())
    }
}

/// A layer's content, if it is what the configuration says.
fn checked(content: layer::Content, layer: &Layer) -> Result<layer::Content> {
    if content.diff_id != *layer.diff_id {
        let wrong = format!(
            "its content has the digest `{}` instead of `{}`",
            content.diff_id, layer.diff_id
        );
        return Err(Error::invalid(wrong));
    }
    Ok(content)
}

/// An error, and whether it may be due to what an earlier pull has left.
struct Damaged(bool, Error);

impl From<Error> for Damaged {
    fn from(error: Error) -> Damaged {
        Damaged(false, error)
    }
}
