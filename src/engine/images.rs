//! Images: finding them, and unpacking a tarball when it is first used.

use super::Engine;
use crate::error::{Doing, Error, Result};
use crate::image::{self, BUSYBOX, Catalog, Found, Image, Name, Tarball};
use crate::layer::{self, Draft};
use crate::store::clock;

impl Engine {
    /// An image whose layers are in place. If ten ask at once for one that is not unpacked, one unpacks and nine wait.
    pub fn image(&self, name: &Name) -> Result<Image> {
        let catalog = Catalog::new(&self.store);
        if let Some(image) = self.usable(catalog.find(name)?, name)? {
            return Ok(image);
        }
        let draft = Draft::begin(&self.store, name.as_str())?;
        match catalog.find(name)? {
            // Somebody else was first.
            Found::Unpacked(image) if self.is_complete(&image) => Ok(image),
            Found::Packed(tarball) => {
                let image = unpack(draft, tarball).doing(|| format!("unpack image `{name}`"))?;
                catalog.record_image(name, &image)?;
                Ok(image)
            }
            Found::Unpacked(_) => Err(missing_layer(name)),
        }
    }

    /// The image, if its layers are in place, or nothing, if they can be unpacked.
    fn usable(&self, found: Found, name: &Name) -> Result<Option<Image>> {
        match found {
            Found::Unpacked(image) if self.is_complete(&image) => Ok(Some(image)),
            // Its record is all that is left of an image whose layers somebody deleted; a tarball can be unpacked again.
            Found::Unpacked(image) if image.source.is_none() && name.as_str() != BUSYBOX.name => Err(missing_layer(name)),
            Found::Unpacked(_) => Catalog::new(&self.store).forget(name).map(|()| None),
            Found::Packed(_) => Ok(None),
        }
    }

    /// What is known of an image without unpacking anything.
    pub fn image_if_unpacked(&self, name: &Name) -> Result<Option<Image>> {
        match Catalog::new(&self.store).find(name)? {
            Found::Unpacked(image) => Ok(Some(image)),
            Found::Packed(_) => Ok(None),
        }
    }

    /// All images, by name.
    pub fn images(&self) -> Result<Vec<image::Listed>> {
        Catalog::new(&self.store).list()
    }

    fn is_complete(&self, image: &Image) -> bool {
        image.layers.iter().all(|id| layer::path(&self.store, id).is_dir())
    }
}

fn missing_layer(name: &Name) -> Error {
    Error::system(format!("image `{name}`: a layer of it is missing"))
}

fn unpack(draft: Draft, tarball: Tarball) -> Result<Image> {
    let (content, command, source) = match tarball {
        Tarball::Builtin => {
            let content = draft.fill(|into| layer::unpack(BUSYBOX.tarball, into))?;
            (content, vec![BUSYBOX.command.into()], None)
        }
        Tarball::File { file, stamp, path } => {
            let content = draft
                .fill(|into| layer::unpack(file, into))
                .doing(|| format!("tarball `{}`", path.display()))?;
            (content, Vec::new(), Some(stamp))
        }
    };
    Ok(Image {
        layers: vec![content.diff_id],
        command,
        created: clock::seconds(),
        size: content.size,
        source,
    })
}
