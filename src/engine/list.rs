//! `ls` and `ps`: which containers there are, and what is true of each.
//!
//! A host may have thousands. So of each record only what lists show is read, of those that do not run nothing at all if nobody asked
//! for them, and what takes longer (places in networks, health, sizes) when it is asked for.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::container::Container;
use super::state::State;
use super::watch::Health;
use super::{Engine, Spec, recover};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::layer::{self, Mount};
use crate::network::{Endpoint, Mode, Port};
use crate::store::{Digest, Id, Lock, Text, read_if_present};

/// For how many containers threads are worth it.
const MANY: usize = 64;

/// Makes something of each of many, by as many threads as there are processors: of all that a thread gets at once. It stays in order.
pub fn of_each<T: Sync, R: Send>(all: &[T], make: impl Fn(&[T]) -> Vec<R> + Sync) -> impl Iterator<Item = R> {
    let made = if all.len() < MANY {
        vec![make(all)]
    } else {
        by_threads(all, make)
    };
    made.into_iter().flatten()
}

fn by_threads<T: Sync, R: Send>(all: &[T], make: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<Vec<R>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(workers));
        let begun: Vec<_> = parts.map(|part| scope.spawn(|| make(part))).collect();
        let made = begun.into_iter().map(|part| part.join());
        made.map(|part| part.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What lists show of a container's specification: see [`Spec`] and [`super::Options`].
#[derive(Clone, Debug, Deserialize)]
pub struct Brief {
    pub id: Id,
    pub name: String,
    pub created: u64,
    #[serde(default)]
    pub created_nanos: u32,
    #[serde(default)]
    pub layers: Vec<Digest>,
    #[serde(default)]
    pub image_id: Option<Digest>,
    pub image: String,
    #[serde(default)]
    entrypoint: Option<Vec<Text>>,
    command: Vec<Text>,
    auto_remove: bool,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    pub network: Mode,
    pub ports: Vec<Port>,
    #[serde(default)]
    pub exposed: Vec<Port>,
    #[serde(default)]
    check: Option<IgnoredAny>,
}

impl Brief {
    /// The command and its arguments, the entry point included.
    pub fn arguments(&self) -> impl Iterator<Item = &Text> {
        self.entrypoint.iter().flatten().chain(&self.command)
    }
}

/// A container and what is true of it.
pub struct Listed {
    pub brief: Brief,
    pub state: State,
    directory: PathBuf,
    run: PathBuf,
}

impl Listed {
    /// Its place in a network, if it runs and has one.
    pub fn endpoint(&self) -> Result<Option<Endpoint>> {
        match (self.state.started(), &self.brief.network) {
            (Some(_), Mode::Bridge(_)) => read_if_present(&self.run.join("endpoint")),
            _ => Ok(None),
        }
    }

    /// What is known of its health, if it is checked.
    pub fn health(&self) -> Result<Option<Health>> {
        match self.brief.check {
            Some(_) => read_if_present(&self.directory.join("health")),
            None => Ok(None),
        }
    }

    /// How many bytes the files have that it has written.
    pub fn size(&self) -> Result<u64> {
        layer::size_of_tree(&self.directory.join("upper"))
    }

    fn is_vanishing(&self) -> bool {
        match &self.state {
            State::Exited(_) => self.brief.auto_remove,
            State::Created => !self.directory.join("spec").exists(),
            _ => false,
        }
    }
}

impl Engine {
    /// The containers that run, or `all`, the newest first. A record that cannot be read is told to `report`, and the others
    /// are listed nevertheless.
    pub fn list(&self, all: bool, mut report: impl FnMut(Error)) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let ids = Container::ids(&self.store)?;
        for looked in of_each(&ids, |ids| ids.iter().map(|id| self.look(id, all)).collect()) {
            match looked {
                Ok(found) => {
                    listed.extend(found.filter(|found| all && !found.is_vanishing() || found.state.is_live()));
                }
                Err(error) => report(error),
            }
        }
        // What is known of a container is large, and is moved once like this.
        listed.sort_by_cached_key(|Listed { brief, .. }| (Reverse((brief.created, brief.created_nanos)), brief.id.clone()));
        Ok(listed)
    }

    /// Looks at a container, unless it does not run and only those that do are asked for.
    fn look(&self, id: &Id, all: bool) -> Result<Option<Listed>> {
        let (directory, run) = (self.store.container(id), self.store.container_run(id));
        let lock = run.join("lock");
        let mut held = Lock::look(&lock);
        if held == Some(false) {
            // Whoever was responsible for it was killed, or is just done.
            recover::sweep_one(&self.store, id)?;
            held = Lock::look(&lock);
        }
        let is_held = held == Some(true);
        if !all && !is_held {
            return Ok(None);
        }
        let Some(brief) = read_if_present::<Brief>(&directory.join("spec"))? else {
            return Ok(None);
        };
        // That takes the policy of the whole record, but there are few of which it has to be known.
        let returns = |exit: &_| {
            let spec: Option<Spec> = read_if_present(&directory.join("spec"))?;
            spec.map_or(Ok(false), |spec| Container::new(&self.store, spec).returns_after(exit))
        };
        let state = match is_held {
            true => State::of_held(&directory, &run, returns)?,
            false => State::find(&directory, &run, returns)?,
        };
        Ok(Some(Listed {
            brief,
            state,
            directory,
            run,
        }))
    }

    /// The image that a filter means, if it is known and unpacked.
    pub fn ancestor(&self, text: &str) -> Option<Image> {
        self.image_if_unpacked(text).ok().flatten()
    }
}
