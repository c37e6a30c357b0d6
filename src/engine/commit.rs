//! `commit`: an image of what a container has changed. Only that is read; the layers below are shared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::image_config::remember;
use super::images::Meant;
use super::pause::{PAUSED, is_paused};
use super::{Container, Engine, State, cgroups};
use crate::cgroup::Group;
use crate::error::{Error, Result};
use crate::image::{Config, History, Layout, Lease, Record, Reference, note_commit, pack_layer};
use crate::store::{Digest, Id, Lock, Store, clock, remove_if_present};

/// What is said about a commit.
#[derive(Debug, Default)]
pub struct Commit {
    pub author: Option<String>,
    pub message: Option<String>,
    /// Changes of the configuration, as a Dockerfile spells them.
    pub changes: Vec<String>,
    /// Whether the container goes on while its changes are read.
    pub live: bool,
}

impl Engine {
    /// Makes an image of a container, and returns its id. One that runs is frozen while its changes are read.
    ///
    /// The image's digest follows from the content alone: no host and no container is written into it, and no time but those of
    /// files. They keep theirs, which is why the image is as old as the youngest of them; where SOURCE_DATE_EPOCH is set, nothing is
    /// younger than that.
    pub fn commit(&self, container: &Container, name: Option<&Reference>, commit: &Commit) -> Result<Digest> {
        if let Some(name) = name {
            self.check_new_name(name)?;
        }
        let lease = Lease::begin(&self.store)?;
        let mut config = self.config_below(container)?;
        let epoch = source_date_epoch()?;
        let (layer, packed) = {
            let _frozen = if commit.live {
                None
            } else {
                Frozen::freeze(&self.store, container)?
            };
            // A file may claim to be from the future; an image must not.
            let latest = epoch.unwrap_or_else(clock::seconds);
            pack_layer(&self.store, &container.file("upper"), latest, &lease)?
        };
        let mut layers = Vec::new();
        config.rootfs.diff_ids.clear();
        for diff_id in &container.spec.layers {
            let (blob, diff_id) = self.blob_of_layer(diff_id, &lease)?;
            config.rootfs.diff_ids.push(diff_id);
            layers.push(blob);
        }
        config.rootfs.diff_ids.push(packed.content.diff_id);
        layers.push(layer);
        let created = epoch.unwrap_or_else(|| packed.latest.max(config.created_seconds()));
        self.describe(&mut config, container, commit, created)?;
        let manifest = self.add_manifest(&mut config, layers, &lease)?;
        let (mut manifest, id) = (manifest.0, manifest.1.config.digest.clone());
        note_commit(&mut manifest, clock::seconds());
        match name {
            Some(name) => Layout::new(&self.store).tag(name, &manifest, None)?,
            None => Layout::new(&self.store).add_nameless(&manifest)?,
        }
        Ok(id)
    }

    /// What the configuration says of how the image came about.
    fn describe(&self, config: &mut Config, container: &Container, commit: &Commit, created: u64) -> Result<()> {
        let options = &container.spec.options;
        remember(options, &mut config.config)?;
        config.config.change_all(&commit.changes)?;
        let created = (created > 0).then(|| clock::spell(Duration::from_secs(created)));
        config.created.clone_from(&created);
        config.author.clone_from(&commit.author);
        let command = options.arguments().iter().map(ToString::to_string).collect::<Vec<_>>();
        // Others count on one entry for each layer.
        let missing = config.rootfs.diff_ids.len() - 1;
        let told = config.history.iter().filter(|history| !history.empty_layer).count();
        config.history.extend(vec![History::default(); missing.saturating_sub(told)]);
        config.history.push(History {
            created,
            created_by: Some(command.join(" ")),
            author: commit.author.clone(),
            comment: commit.message.clone(),
            empty_layer: false,
        });
        Ok(())
    }

    /// The configuration of the image that a container was made of.
    fn config_below(&self, container: &Container) -> Result<Config> {
        let layers = &container.spec.layers;
        let image = container
            .spec
            .image_id
            .as_ref()
            .map(|id| self.meant(&id.to_string()))
            .transpose()?;
        Ok(match image.flatten() {
            Some(Meant::Image(image)) if image.layers() == layers => image.config,
            // It was removed, or the container is older than ids are.
            _ => Record {
                layers: layers.clone(),
                command: Vec::new(),
                created: 0,
                size: 0,
                source: None,
            }
            .config(),
        })
    }
}

/// What the environment says that the time is, for builds that are to come out the same whenever they are made
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn source_date_epoch() -> Result<Option<u64>> {
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let number = text.parse().map(Some);
    number.map_err(|_| Error::invalid(format!("`SOURCE_DATE_EPOCH`: `{}` is not a number", text.escape_debug())))
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
        // One that is paused stands still by itself. One that does not stand still yet would be paused later, when nobody expects it.
        if !is_paused(directory)? {
            cgroups::existing(store, id)?.thaw()?;
            remove_if_present(&directory.join(PAUSED))?;
        }
        let _ = fs::remove_file(path);
    }
    Ok(())
}
