//! Recovery: what a process that was killed had made is found and undone by the next one.
//!
//! The run directory of a container is there before anything else of it is made, and goes last. Its lock is held by whoever
//! is responsible. So a run directory whose lock is free belongs to somebody who died, and everything that can be left
//! follows from the container's id and its records: its cgroups, its place in a network, its directories and its name.
//! Undoing is the same for one that was killed and one that ended, and doing it twice does nothing twice.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::commit::thaw_abandoned;
use super::finish::tell_end;
use super::patience::Patience;
use super::remove::REMOVING;
use super::rename::RENAMING;
use super::state::{Exit, Lost, Started, State};
use super::volumes::{self, Note};
use super::{Container, Engine, cgroups, events, users};
use crate::error::{Doing, Error, Result};
use crate::image::sweep_blob_drafts;
use crate::layer::{Volumes, sweep_drafts, take_back_mounts};
use crate::network::{self, Endpoint, Networks};
use crate::store::{Id, Lock, Store, next_names, read_if_present, write};

/// Whether a container has a right to what it has claimed: it is being started, or it runs.
pub fn is_alive(store: &Store, id: &Id) -> bool {
    let (container, run) = (store.container(id), store.container_run(id));
    let has_ended = container.join("exit").exists() && !run.join("starting").exists();
    Lock::is_held(&run.join("lock")) && container.join("spec").exists() && !has_ended
}

/// Undoes what starting and running a container has made outside its directories. The container's lock is held.
pub fn clean(store: &Store, id: &Id) -> Result<()> {
    cgroups::possible(store, id)?.remove()?;
    users::release(store, id)?;
    take_back_mounts(store, id);
    if store.container_run(id).join("endpoint").exists() {
        let _lock = store.lock()?;
        clean_network(store, id)?;
    }
    Ok(())
}

/// Takes a container's place in a network from it. The store's lock is held.
pub fn clean_network(store: &Store, id: &Id) -> Result<()> {
    let record = store.container_run(id).join("endpoint");
    if let Some(endpoint) = read_if_present::<Endpoint>(&record)? {
        network::disconnect(store, id, &endpoint)?;
        fs::remove_file(&record).doing(|| format!("remove `{}`", record.display()))?;
    }
    Ok(())
}

/// Removes a container that is not running, and whatever starting and running it has left. The container's lock is held.
pub fn remove_left(store: &Store, id: &Id) -> Result<()> {
    clean(store, id)?;
    remove_all(store, id)
}

/// Removes all that there is of a container, which is not running and is cleaned up after. The container's lock is held.
fn remove_all(store: &Store, id: &Id) -> Result<()> {
    let (container, volumes) = {
        // Whoever asks for the name of a container that is gone waits until it is free, and nobody gives it another one.
        let _lock = store.lock()?;
        let container = Container::load(store, id);
        let name = only_name(&container);
        store.discard(&store.container(id))?;
        let volumes = volumes::release(store, id)?;
        release_names(store, id, name.as_deref())?;
        (container, volumes)
    };
    volumes::tell(store, "destroy", &volumes);
    match container {
        Ok(Some(container)) => events::tell_of(store, &container, "destroy", &[]),
        // Whoever took its records away was killed before it could tell, or after that.
        _ => events::tell_left_destroy(store, id),
    }
    store.discard_run(&store.container_run(id))?;
    store.empty_trash()
}

/// The only name that a container can have: its own, unless it was being given another one.
fn only_name(container: &Result<Option<Container>>) -> Option<String> {
    let container = container.as_ref().ok()?.as_ref()?;
    (!container.file(RENAMING).exists()).then(|| container.name().to_string())
}

/// Frees the name of a container, or every name that it has if it is not known which they are: that takes longer the more others there
/// are.
fn release_names(store: &Store, id: &Id, only: Option<&str>) -> Result<()> {
    let names = store.names();
    let all = match only {
        Some(name) => vec![name.to_string()],
        None => names.names()?,
    };
    all.iter().try_for_each(|name| names.release(name, id))
}

/// Does what is to be done when a container has ended or whoever was responsible for it has died. Its lock is held, and
/// means nothing any more afterwards.
pub fn bury(store: &Store, id: &Id) -> Result<()> {
    // First, because cleaning up may take a while, and others are to see that it does not run.
    let container = Container::load(store, id)?;
    if let Some(container) = &container {
        settle(store, container, Lost::Monitor)?;
    }
    clean(store, id)?;
    put_away(store, id, container.as_ref())
}

/// The same for a container whose end is recorded, and that is cleaned up after. There may be none: what else is left goes, too.
pub fn put_away(store: &Store, id: &Id, container: Option<&Container>) -> Result<()> {
    let Some(container) = container else {
        return remove_all(store, id);
    };
    if container.spec.options.auto_remove && is_spent(container) {
        Note::of_removal(store, container)?;
        remove_all(store, id)
    } else {
        store.discard_run(&store.container_run(id))
    }
}

/// Records an end that nobody was left to record.
pub fn settle(store: &Store, container: &Container, lost: Lost) -> Result<()> {
    if is_unsettled(container) {
        let exit = Exit::lost(lost);
        write(&container.file("exit"), &exit)?;
        events::tell_of(store, container, "die", &[("exitCode", exit.code.to_string())]);
    }
    Ok(())
}

/// Whether a container that is not running has had its time: it ran, or it was about to, and nobody wants to start it again.
fn is_spent(container: &Container) -> bool {
    let was_to_run = container.file("started").exists() || container.run_file("starting").exists();
    was_to_run && !container.file("kept").exists()
}

/// How many containers are looked at where a container's start or end must not take longer for each other one that runs.
const SOME: usize = 8;

/// Finds what killed processes have left, and undoes it.
pub fn sweep(store: &Store) -> Result<()> {
    sweep_these(store, &responsible(store))
}

/// The same, but of many containers only some are looked at, others each time.
pub fn sweep_some(store: &Store) -> Result<()> {
    let (containers, place) = (store.run().join("container"), store.run().join("looked-at"));
    let names = next_names(&containers, &place, SOME);
    sweep_these(store, &names.iter().filter_map(|name| id(name)).collect::<Vec<_>>())
}

/// The containers that somebody is responsible for, or was and died.
pub fn responsible(store: &Store) -> Vec<Id> {
    let entries = fs::read_dir(store.run().join("container")).into_iter().flatten().flatten();
    entries.filter_map(|entry| id(&entry.file_name())).collect()
}

/// The container that a run directory of this name belongs to.
fn id(name: &OsStr) -> Option<Id> {
    name.to_str().and_then(Id::parse)
}

/// Undoes what a container has left whose monitor was killed.
pub fn sweep_one(store: &Store, id: &Id) -> Result<()> {
    let directory = store.container_run(id);
    thaw_abandoned(store, &directory, id)?;
    let lock = directory.join("lock");
    if !Lock::is_held(&lock)
        && let Some(_lock) = try_lock(&lock)?
    {
        tell_left_end(store, id)?;
        bury(store, id).doing(|| format!("clean up after container `{}`", id.short()))?;
    }
    Ok(())
}

/// Tells of an end that a monitor has left to whoever was removing the container.
pub fn tell_left_end(store: &Store, id: &Id) -> Result<()> {
    let removing = store.container_run(id).join(REMOVING);
    match fs::remove_file(&removing) {
        // It is told once, or not at all if we are killed here.
        Ok(()) => {
            if let Ok(Some(container)) = Container::load(store, id) {
                tell_end(store, &container);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.doing(|| format!("remove `{}`", removing.display()))?,
    }
    Ok(())
}

fn sweep_these(store: &Store, ids: &[Id]) -> Result<()> {
    ids.iter().try_for_each(|id| sweep_one(store, id))?;
    sweep_besides(store)
}

/// Undoes what killed processes have left besides containers.
fn sweep_besides(store: &Store) -> Result<()> {
    if !store.run().join(SWEPT).exists() {
        sweep_after_boot(store)?;
    }
    sweep_drafts(store)?;
    sweep_blob_drafts(store, false)?;
    if Volumes::new(store).needs_sweep() {
        let _lock = store.lock()?;
        Volumes::new(store).sweep()?;
    }
    store.empty_trash()
}

/// How long something that is being cleaned up is waited for.
const CLEANED_UP: Duration = Duration::from_secs(10);

/// Waits until containers are gone that have ended and are removed by themselves: their users know that they have ended already.
pub fn let_vanish(store: &Store) -> Result<()> {
    for id in responsible(store) {
        if let Some(container) = Container::load(store, &id)?
            && container.is_vanishing(&container.state()?)
        {
            container.wait_until_clean();
            // Whoever was to clean up may have been killed.
            sweep_one(store, &id)?;
        }
    }
    Ok(())
}

impl Container {
    /// Waits until nobody is responsible any more for a container whose init has ended, or somebody has started it again.
    pub fn wait_until_left(&self, ended: &Started) -> Result<()> {
        let lock = self.run_file("lock");
        let mut patience = Patience::endless();
        while Lock::is_held(&lock) {
            match self.state()? {
                State::Running(started) | State::Paused(started) if started != *ended => return Ok(()),
                _ => patience.pause(),
            }
        }
        Ok(())
    }

    /// Waits until somebody has cleaned up after the container, which has ended, but not forever.
    pub fn wait_until_clean(&self) {
        let mut patience = Patience::of(CLEANED_UP);
        while Lock::is_held(&self.run_file("lock")) && !patience.is_over() {
            patience.pause();
        }
    }
}

/// Takes a lock that is free. A directory that has just been removed has none to take.
pub fn try_lock(path: &Path) -> Result<Option<Lock>> {
    match Lock::try_acquire(path) {
        Err(_) if path.parent().is_some_and(|directory| !directory.exists()) => Ok(None),
        result => result,
    }
}

/// What there is in the run directory when all that ran before the host was started has been seen to have ended.
const SWEPT: &str = "swept";

/// What ran before the host was started has ended, and has no run directory. Others may do this as well, and start containers meanwhile.
fn sweep_after_boot(store: &Store) -> Result<()> {
    let ids = Container::ids(store)?;
    for id in &ids {
        if !store.container_run(id).exists()
            && unsettled(store, id)?.is_some()
            && let Some(_lock) = super::create::try_lock(store, id)?
        {
            if let Some(container) = Container::load(store, id)? {
                settle(store, &container, Lost::Host)?;
            }
            bury(store, id)?;
        }
    }
    if !ids.is_empty() {
        store.run_directory(SWEPT)?;
    }
    Ok(())
}

/// A container of which nothing says that it has ended since it was started last, if this is one.
fn unsettled(store: &Store, id: &Id) -> Result<Option<Container>> {
    Ok(Container::load(store, id)?.filter(is_unsettled))
}

fn is_unsettled(container: &Container) -> bool {
    container.file("started").exists() && !container.file("exit").exists()
}

impl Engine {
    /// Undoes what killed processes have left.
    pub fn recover(&self) -> Result<()> {
        sweep(&self.store)?;
        self.recover_networks()
    }

    /// The same, for those who must not take longer where many containers run.
    pub fn recover_some(&self) -> Result<()> {
        sweep_some(&self.store)?;
        self.recover_networks()
    }

    /// Undoes what is left of a container whose start has failed, so that whoever is told so finds it undone.
    pub fn clean_up_after_failure(&self, container: &Container, error: Error) -> Error {
        container.wait_until_clean();
        match sweep_one(&self.store, container.id()) {
            Ok(()) => error,
            Err(worse) => error.hint(worse),
        }
    }

    fn recover_networks(&self) -> Result<()> {
        if self.store.root().join("network").exists() {
            let _lock = self.store.lock()?;
            Networks::new(&self.store).sweep()?;
        }
        Ok(())
    }

    /// Waits until a container whose init has ended is cleaned up after: its address, its ports and its name are free.
    pub fn wait_until_buried(&self, container: &Container, ended: &Started) -> Result<()> {
        let lock = container.run_file("lock");
        let mut patience = Patience::endless();
        while Lock::is_held(&lock) {
            match container.state()? {
                // Somebody has started it again, or will.
                State::Running(started) | State::Paused(started) if started != *ended => return Ok(()),
                State::Restarting(_) => return Ok(()),
                _ => {}
            }
            patience.pause();
        }
        sweep_one(&self.store, container.id())?;
        sweep_some(&self.store)
    }
}
