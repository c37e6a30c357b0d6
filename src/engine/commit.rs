//! `commit`: an image of what a container has changed. Only that is read; the layers below are shared.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Container, Engine, State, cgroups};
use crate::cgroup::Group;
use crate::error::{Error, Result};
use crate::image::{Catalog, Image, Name};
use crate::layer::{Draft, copy_changes};
use crate::store::{Id, Lock, Store, clock};

impl Engine {
    /// Makes the image `name` of a container. One that runs is frozen while its changes are read.
    pub fn commit(&self, container: &Container, name: &Name) -> Result<()> {
        let catalog = Catalog::new(&self.store);
        let draft = Draft::begin(&self.store, name.as_str())?;
        if catalog.exists(name) {
            return Err(Error::conflict(format!("image `{name}` exists already")).hint("choose another name"));
        }
        let content = {
            let _frozen = Frozen::freeze(&self.store, container)?;
            draft.fill(|into| copy_changes(&container.file("upper"), into))?
        };
        let options = &container.spec.options;
        let below = catalog.recorded(&Name::parse(&options.image)?)?.map_or(0, |image| image.size);
        let layers = container.spec.layers.iter().cloned().chain([content.diff_id]).collect();
        let size = below + content.size;
        let image = Image {
            layers,
            command: options.command.clone(),
            created: clock::seconds(),
            size,
            source: None,
        };
        catalog.record_image(name, &image)
    }
}

/// The lock of whoever has frozen a container, in its run directory. If it is there and free, they were killed.
pub const FREEZING: &str = "freezing";

/// A container whose processes stand still until this is dropped, or until the next command if we are killed.
struct Frozen {
    group: Group,
    /// Whether it goes on after that: somebody else may have made it stand still before.
    goes_on: bool,
    path: PathBuf,
    _lock: Lock,
}

impl Frozen {
    /// Freezes a container if it runs.
    fn freeze(store: &Store, container: &Container) -> Result<Option<Frozen>> {
        let is_running = || container.state().map(|state| state.started().is_some());
        if !is_running()? {
            return Ok(None);
        }
        let path = container.run_file(FREEZING);
        let frozen = Frozen {
            _lock: Lock::acquire(&path)?,
            path,
            goes_on: !matches!(container.state()?, State::Paused(_)),
            group: cgroups::existing(store, container.id())?,
        };
        match frozen.group.freeze() {
            // It has ended meanwhile, which is as good.
            Err(_) if !is_running()? => Ok(None),
            result => result.map(|()| Some(frozen)),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // A container that has ended has nothing to go on with, and its directory may be gone.
        if self.goes_on {
            let _ = self.group.thaw();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Lets a container go on that somebody froze who was killed.
pub fn thaw_abandoned(store: &Store, directory: &Path, id: &Id) -> Result<()> {
    let path = directory.join(FREEZING);
    if path.exists()
        && let Some(_lock) = super::recover::try_lock(&path)?
    {
        cgroups::existing(store, id)?.thaw()?;
        let _ = fs::remove_file(path);
    }
    Ok(())
}
