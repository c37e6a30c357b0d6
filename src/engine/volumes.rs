//! Volumes, as commands see them, and who uses which.
//!
//! A volume is in use if a container's record names it, or if a container that is being created will. Of the latter there is a note in
//! its run directory, `volumes`, which is written before the volumes are made. The same note says which volumes end with the container:
//! if there is a note but no container, it was never made or has just been removed, and whoever cleans up removes them. Everything
//! here that makes or removes volumes holds the store's lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Container, Engine, events, recover};
use crate::error::{Error, Kind, Result};
use crate::layer::{Mount, Volume, Volumes};
use crate::store::{Id, Store, read_if_present, remove_if_present, write};

/// The note about volumes in a container's run directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Volumes that it will use.
    pub uses: BTreeSet<String>,
    /// Volumes that end with it, unless somebody else uses them.
    pub own: BTreeSet<String>,
}

impl Note {
    pub fn write(&self, store: &Store, id: &Id) -> Result<()> {
        write(&store.container_run(id).join("volumes"), self)
    }

    /// Forgets the note: there is a container, which stays.
    pub fn remove(store: &Store, id: &Id) -> Result<()> {
        remove_if_present(&store.container_run(id).join("volumes"))
    }

    /// Says that the volumes without a name end with the container. It is removed right after that.
    pub fn of_removal(store: &Store, container: &Container) -> Result<()> {
        let volumes = container.spec.options.mounts.iter().filter_map(Mount::volume);
        let own: BTreeSet<String> = volumes
            .filter(|volume| volume.anonymous)
            .map(|volume| volume.name.clone())
            .collect();
        if own.is_empty() {
            return Note::remove(store, container.id());
        }
        let note = Note { own, ..Note::default() };
        note.write(store, container.id())
    }
}

/// Removes the volumes that end with a container that there is no more, and returns their names. The store's lock is held.
pub fn release(store: &Store, id: &Id) -> Result<Vec<String>> {
    let note: Option<Note> = read_if_present(&store.container_run(id).join("volumes"))?;
    let Some(note) = note.filter(|note| !note.own.is_empty()) else {
        return Ok(Vec::new());
    };
    // A container that was never made uses nothing any more.
    let uses = BTreeSet::new();
    Note { uses, ..note.clone() }.write(store, id)?;
    let users = users(store)?;
    let mut removed = Vec::new();
    for name in note.own.into_iter().filter(|name| !users.contains_key(name)) {
        Volumes::new(store).remove(&name)?;
        removed.push(name);
    }
    Ok(removed)
}

/// Writes down that something happened to volumes. The store's lock is not held.
pub fn tell(store: &Store, action: &str, names: &[String]) {
    for name in names {
        let attributes = BTreeMap::from([("driver".to_string(), "local".to_string())]);
        events::tell(store, "volume", action, name, attributes);
    }
}

/// The volumes that are in use, each with the ids of the containers that use it. The store's lock is held.
pub fn users(store: &Store) -> Result<BTreeMap<String, Vec<Id>>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: &str, id: &Id| {
        users.entry(name.into()).or_default().insert(id.to_string());
    };
    // Notes first: when one goes, there is a record.
    for id in recover::responsible(store) {
        let note: Option<Note> = read_if_present(&store.container_run(&id).join("volumes"))?;
        note.iter().flat_map(|note| &note.uses).for_each(|name| add(name, &id));
    }
    for id in Container::ids(store)? {
        let container = Container::load(store, &id)?;
        let mounts = container.iter().flat_map(|container| &container.spec.options.mounts);
        mounts.filter_map(Mount::volume).for_each(|volume| add(&volume.name, &id));
    }
    let ids = |ids: BTreeSet<String>| ids.iter().filter_map(|id| Id::parse(id)).collect();
    Ok(users.into_iter().map(|(name, found)| (name, ids(found))).collect())
}

/// What was removed, and how many bytes its files had.
#[derive(Debug, Default)]
pub struct Pruned {
    pub names: Vec<String>,
    pub bytes: u64,
}

impl Engine {
    /// Makes a volume, unless there is one of this name. Returns its name.
    pub fn create_volume(&self, name: &str, labels: BTreeMap<String, String>, options: BTreeMap<String, String>) -> Result<String> {
        let volume = Volume::new(name, labels, options)?;
        let lock = self.store.lock()?;
        let is_new = Volumes::new(&self.store).create(&volume)?;
        drop(lock);
        if is_new {
            tell(&self.store, "create", std::slice::from_ref(&volume.name));
        }
        Ok(volume.name)
    }

    /// All volumes, by name, each with whether a container uses it.
    pub fn volumes(&self) -> Result<Vec<(Volume, bool)>> {
        recover::let_vanish(&self.store)?;
        let _lock = self.store.lock()?;
        let users = users(&self.store)?;
        let volumes = Volumes::new(&self.store).list()?;
        Ok(volumes
            .into_iter()
            .map(|volume| {
                let used = users.contains_key(&volume.name);
                (volume, used)
            })
            .collect())
    }

    /// A volume, and where its files are.
    pub fn volume(&self, name: &str) -> Result<(Volume, std::path::PathBuf)> {
        let volumes = Volumes::new(&self.store);
        Ok((volumes.find(name)?, volumes.data(name)))
    }

    /// How many bytes the files of a volume have.
    pub fn volume_size(&self, name: &str) -> u64 {
        Volumes::new(&self.store).size(name).unwrap_or(0)
    }

    /// Removes a volume that no container uses. One that does not exist is no error if `force` says so.
    pub fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        recover::let_vanish(&self.store)?;
        recover::sweep(&self.store)?;
        let lock = self.store.lock()?;
        let volumes = Volumes::new(&self.store);
        match volumes.find(name) {
            Err(error) if force && error.kind == Kind::NotFound => return Ok(()),
            found => found?,
        };
        if let Some(ids) = users(&self.store)?.get(name) {
            let ids: Vec<&str> = ids.iter().map(Id::as_str).collect();
            let used = Error::conflict(format!("volume is in use - [{}]", ids.join(", ")));
            return Err(used
                .doing(format!("remove `{name}`"))
                .hint("remove the containers that use it first"));
        }
        volumes.remove(name)?;
        drop(lock);
        tell(&self.store, "destroy", &[name.into()]);
        self.store.empty_trash()
    }

    /// Removes all volumes that no container uses and that are `meant`.
    pub fn prune_volumes(&self, is_meant: impl Fn(&Volume) -> bool) -> Result<Pruned> {
        recover::let_vanish(&self.store)?;
        recover::sweep(&self.store)?;
        let lock = self.store.lock()?;
        let (volumes, users) = (Volumes::new(&self.store), users(&self.store)?);
        let mut pruned = Pruned::default();
        for volume in volumes.list()? {
            if is_meant(&volume) && !users.contains_key(&volume.name) {
                pruned.bytes += volumes.size(&volume.name)?;
                volumes.remove(&volume.name)?;
                pruned.names.push(volume.name);
            }
        }
        drop(lock);
        tell(&self.store, "destroy", &pruned.names);
        self.store.empty_trash()?;
        Ok(pruned)
    }
}
