//! From blobs to layers: each layer is unpacked once, into a directory named by its diff id, whichever image brought it.
//!
//! A layer depends on no other, since the kernel stacks them: they are unpacked in any order, several at once. A layer whose
//! content does not have the digest that its configuration names is never seen by anybody.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use super::{BUSYBOX, Blobs, Config, Descriptor, Lease, Manifest};
use crate::error::{Doing, Error, Result};
use crate::layer::{self, Content, Draft, Limits, Sealer};
use crate::store::{Digest, Store};

/// Unpacks the layers of an image that are not there, from blobs that are, and makes what belongs on top of them. The lease keeps
/// that; the layers are for the caller to keep.
pub fn unpack_layers(store: &Store, manifest: &Manifest, config: &Config, lease: &Lease) -> Result<()> {
    config.check_against(manifest)?;
    // In the order of their names, so that two who need the same layers do not wait for each other.
    let layers: BTreeMap<&Digest, &Descriptor> = config.rootfs.diff_ids.iter().zip(&manifest.layers).collect();
    let mut drafts = Vec::new();
    for (diff_id, blob) in layers {
        if !layer::path(store, diff_id).is_dir() {
            let draft = Draft::begin(store, diff_id.hex())?;
            if !layer::path(store, diff_id).is_dir() {
                drafts.push((draft, diff_id, blob));
            }
        }
    }
    let limits = Limits::find()?;
    let workers = thread::available_parallelism().map_or(1, usize::from).min(drafts.len());
    let (drafts, sealer, failed) = (Mutex::new(drafts), Sealer::default(), Mutex::new(None));
    let take = || drafts.lock().ok()?.pop();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((draft, diff_id, blob)) = take() {
                    let read = || {
                        draft.fill(|into| {
                            let blobs = Blobs::new(store);
                            // A blob that is not compressed is the tarball.
                            let same = (blob.digest == *diff_id).then(|| blobs.path(&blob.digest));
                            checked(blobs.open(blob)?, same.as_deref(), into, diff_id, &limits)
                        })
                    };
                    // What is unpacked goes to the disk while others are being unpacked.
                    let done = read().and_then(|layer| sealer.seal(store, layer));
                    if let Err(error) = done.doing(|| format!("unpack layer `{}`", blob.digest)) {
                        drafts.lock().expect("nobody panics with it").clear();
                        failed.lock().expect("nobody panics with it").get_or_insert(error);
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().expect("nobody panics with it") {
        return Err(error);
    }
    layer::complete(store, &config.rootfs.diff_ids, |top| lease.keep([top]))
}

/// Unpacks a layer while its blob comes in. It is sealed only if `confirm`, which is asked when all was read, says that the
/// blob is the right one. If the layer is there already, the source is not read and nobody is asked.
pub fn unpack_stream(
    store: &Store,
    diff_id: &Digest,
    source: impl Read + Send,
    confirm: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if layer::path(store, diff_id).is_dir() {
        return Ok(());
    }
    let draft = Draft::begin(store, diff_id.hex())?;
    if layer::path(store, diff_id).is_dir() {
        return Ok(());
    }
    let limits = Limits::find()?;
    let filled = draft.fill(|into| {
        let content = checked(source, None, into, diff_id, &limits)?;
        confirm().map(|()| content)
    })?;
    layer::seal(store, vec![filled])
}

/// Unpacks a layer of which nobody knows the diff id yet, and returns it.
pub fn unpack_unknown(store: &Store, blob: &Descriptor, lease: &Lease) -> Result<Digest> {
    let doing = || format!("unpack layer `{}`", blob.digest);
    let limits = Limits::find()?;
    let draft = Draft::begin(store, &format!("blob-{}", blob.digest.hex()))?;
    let source = Blobs::new(store).open(blob)?;
    let filled = draft.fill(|into| layer::make(source, None, into, &limits)).doing(doing)?;
    let diff_id = filled.content.diff_id.clone();
    lease.keep([&diff_id])?;
    layer::seal(store, vec![filled]).map(|()| diff_id)
}

/// Makes a layer whose diff id is known, of a source that may be the `same` as a file. That of the built-in image is a tree: nothing is ready sooner.
pub fn make_layer(
    source: impl Read + Send,
    same: Option<&Path>,
    into: &Path,
    diff_id: &Digest,
    limits: &Limits,
) -> Result<Content> {
    if diff_id.to_string() == BUSYBOX.diff_id {
        return layer::unpack(source, into, limits);
    }
    layer::make(source, same, into, limits)
}

fn checked(source: impl Read + Send, same: Option<&Path>, into: &Path, diff_id: &Digest, limits: &Limits) -> Result<Content> {
    let content = make_layer(source, same, into, diff_id, limits)?;
    if content.diff_id == *diff_id {
        return Ok(content);
    }
    Err(Error::invalid(format!(
        "its content has the diff id `{}` instead of `{diff_id}`",
        content.diff_id
    )))
}
