//! Images: finding what a text means, and having its layers in place.
//!
//! What a text means is looked for in this order: a full id; a tarball in the registry folder, for who puts one there wants it
//! used; an image of the layout; the built-in image; the beginning of an id.

use super::Engine;
use crate::error::{Doing, Error, Result};
use crate::image::{BUSYBOX, Blobs, Catalog, Found, Image, Layout, Lease, Name, Record, Reference, Steady, Tarball, unpack_layers};
use crate::layer::{self, Draft, Limits};
use crate::store::{Digest, Id, Store, is_prefix};

/// An image that stays for as long as this is held. It should not be for long.
pub struct Kept {
    pub image: Image,
    _steady: Steady,
}

/// How often an image that is removed while it is unpacked is unpacked again.
const TRIES: usize = 5;

/// What was found for a text.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Meant {
    Image(Image),
    /// A tarball that has to be unpacked first.
    Packed(Name, Tarball),
}

impl Engine {
    /// The image that `text` means, with its layers in place. If ten ask at once for one that is not unpacked, one unpacks and
    /// nine wait.
    pub fn image(&self, text: &str) -> Result<Kept> {
        for _ in 0..TRIES {
            let steady = Steady::hold(&self.store)?;
            match self.meant(text)?.ok_or_else(|| no_such_image(&self.store, text))? {
                Meant::Image(image) if image.is_complete(&self.store) => return Ok(Kept { image, _steady: steady }),
                Meant::Image(image) if image.manifest.is_some() => {
                    drop(steady);
                    self.unpack(&image).doing(|| format!("unpack image `{text}`"))?;
                }
                // Its record is all that is left of an image whose layers somebody deleted; a tarball can be unpacked again.
                Meant::Image(_) => self.forget_tarball(text)?,
                Meant::Packed(name, _) => {
                    drop(steady);
                    self.unpack_tarball(&name).doing(|| format!("unpack image `{name}`"))?;
                }
            }
        }
        Err(Error::conflict(format!(
            "image `{text}` is removed again and again while it is unpacked"
        )))
    }

    /// What a text means, if anything.
    pub fn meant(&self, text: &str) -> Result<Option<Meant>> {
        let full = text.strip_prefix("sha256:").unwrap_or(text);
        if Id::parse(full).is_some() {
            return self.with_id(full).map(|found| found.map(Meant::Image));
        }
        let catalog = Catalog::new(&self.store);
        let name = folder_name(text);
        let found = name.as_ref().map(|name| catalog.find(name)).transpose()?.flatten();
        if let (Some(name), Some(found)) = (&name, found)
            && (name.as_str() != BUSYBOX.name || found.is_tarball() || self.in_layout(text)?.is_none())
        {
            return Ok(Some(match found {
                Found::Unpacked(record) => Meant::Image(Image::of_record(&record)?),
                Found::Packed(Tarball::Builtin) if layer::path(&self.store, &Record::builtin().layers[0]).is_dir() => {
                    Meant::Image(Image::of_record(&Record::builtin())?)
                }
                Found::Packed(tarball) => Meant::Packed(name.clone(), tarball),
            }));
        }
        if let Some(image) = self.in_layout(text)? {
            return Ok(Some(Meant::Image(image)));
        }
        if is_prefix(full) {
            return self.with_id(full).map(|found| found.map(Meant::Image));
        }
        // What is no name at all is told so.
        if name.is_none() {
            Reference::parse(text)?;
        }
        Ok(None)
    }

    /// The image of the layout with this name.
    fn in_layout(&self, text: &str) -> Result<Option<Image>> {
        let Ok(name) = Reference::parse(text) else { return Ok(None) };
        let entry = Layout::new(&self.store).find(&name)?;
        let read = |entry| Image::read(&self.store, &entry).doing(|| format!("image `{text}`"));
        entry.map(read).transpose()
    }

    /// The image whose id, or the digest of whose manifest, begins with these digits.
    fn with_id(&self, digits: &str) -> Result<Option<Image>> {
        let mut found: Vec<Image> = Vec::new();
        for entry in Layout::new(&self.store).entries()? {
            // One that cannot be read has no id; `system fsck` tells about it.
            if let Ok(image) = Image::read(&self.store, &entry)
                && (image.id.hex().starts_with(digits) || entry.manifest.digest.hex().starts_with(digits))
            {
                found.push(image);
            }
        }
        if found.is_empty() {
            for record in Catalog::new(&self.store)
                .list()?
                .into_iter()
                .filter_map(|listed| listed.record)
            {
                found.push(Image::of_record(&record)?);
            }
            found.retain(|image| image.id.hex().starts_with(digits));
        }
        found.dedup_by(|one, other| one.id == other.id);
        if found.len() > 1 {
            let many = format!("`{digits}` is the beginning of the ids of {} images", found.len());
            return Err(Error::conflict(many).hint("use more digits"));
        }
        Ok(found.pop())
    }

    /// Unpacks what is missing of an image of the layout.
    fn unpack(&self, image: &Image) -> Result<()> {
        let lease = Lease::begin(&self.store)?;
        lease.keep(image.needs())?;
        match &image.manifest {
            Some((_, manifest)) => unpack_layers(&self.store, manifest, &image.config, &lease),
            None => Ok(()),
        }
    }

    fn forget_tarball(&self, text: &str) -> Result<()> {
        match folder_name(text) {
            Some(name) => {
                let record = Catalog::new(&self.store).recorded(&name)?;
                if record.is_some_and(|record| record.source.is_none()) && name.as_str() != BUSYBOX.name {
                    return Err(Error::system(format!("image `{name}`: a layer of it is missing")));
                }
                Catalog::new(&self.store).forget(&name)
            }
            None => Err(Error::system(format!("image `{text}`: a layer of it is missing"))),
        }
    }

    /// Unpacks a tarball, unless somebody else was first.
    fn unpack_tarball(&self, name: &Name) -> Result<()> {
        let catalog = Catalog::new(&self.store);
        let draft = Draft::begin(&self.store, name.as_str())?;
        let Some(Found::Packed(tarball)) = catalog.find(name)? else {
            return Ok(());
        };
        let limits = Limits::find()?;
        let (filled, record) = match tarball {
            Tarball::Builtin => (
                draft.fill(|into| layer::unpack(BUSYBOX.tarball, into, &limits))?,
                Record::builtin(),
            ),
            Tarball::File { file, stamp, path } => {
                let filled = draft.fill(|into| layer::make(file, None, into, &limits));
                let filled = filled.doing(|| format!("tarball `{}`", path.display()))?;
                let record = Record {
                    layers: vec![filled.content.diff_id.clone()],
                    command: Vec::new(),
                    created: stamp.modified.0.max(0) as u64,
                    size: filled.content.size,
                    source: Some(stamp),
                };
                (filled, record)
            }
        };
        layer::seal(&self.store, vec![filled])?;
        catalog.record_image(name, &record)
    }

    /// What is known of an image without unpacking anything.
    pub fn image_if_unpacked(&self, text: &str) -> Result<Option<Image>> {
        match self.meant(text)? {
            Some(Meant::Image(image)) => Ok(Some(image)),
            Some(Meant::Packed(..)) => Ok(None),
            None => Err(no_such_image(&self.store, text)),
        }
    }

    /// The blobs of the store.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs::new(&self.store)
    }
}

/// The name that a tarball in the folder would have for a text to mean it.
pub fn folder_name(text: &str) -> Option<Name> {
    Name::parse(text).ok().or_else(|| {
        let reference = Reference::parse(text).ok()?;
        let usual = reference.tag() == Some("latest") && reference.digest().is_none();
        Name::parse(&reference.familiar_repository()).ok().filter(|_| usual)
    })
}

pub fn no_such_image(store: &Store, text: &str) -> Error {
    let error = Error::not_found(format!("no such image: `{text}`"));
    match folder_name(text) {
        Some(name) => error.hint(format!(
            "pull it, or put its root file system at `{}`",
            Catalog::new(store).tarball(&name).display()
        )),
        None => error,
    }
}

/// The diff ids of layers that are there of an image, for who must not unpack.
pub fn layers_of(image: Option<Image>) -> Vec<Digest> {
    image.map(|image| image.config.rootfs.diff_ids).unwrap_or_default()
}
