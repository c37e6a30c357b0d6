//! The ids that containers' users are on the host: claimed for as long as a container runs, as addresses are.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;

use super::{Container, Engine, recover};
use crate::error::{Doing, Error, Kind, Result};
use crate::isolation::{Ids, POOL, UNIT, UserNamespace, make_users};
use crate::store::{Id, Store, read_if_present, write};

/// The name of the record, in a container's run directory, of the ids that it has or is about to claim.
const RECORD: &str = "users";

impl Container {
    /// The ids of the container's users, if it has users of its own now.
    pub fn users(&self) -> Result<Option<Ids>> {
        read_if_present(&self.run_file(RECORD))
    }
}

impl Engine {
    /// Finds ids for a container's users, and writes down which before it has them.
    pub fn find_users(&self, container: &Container) -> Result<Option<Ids>> {
        let record = container.run_file(RECORD);
        match container.spec.options.namespaces.users {
            UserNamespace::Host => Ok(None),
            UserNamespace::Remapped => {
                let ids = Ids::remapped();
                write(&record, &ids).map(|()| Some(ids))
            }
            UserNamespace::Auto { size } => {
                let mut lock = self.store.lock()?;
                let first = match lowest_free(&self.store, size) {
                    Err(error) if error.kind == Kind::Conflict => {
                        drop(lock);
                        recover::sweep(&self.store)?;
                        lock = self.store.lock()?;
                        lowest_free(&self.store, size)?
                    }
                    first => first?,
                };
                let ids = Ids::of(first, size);
                write(&record, &ids)?;
                for unit in units(&ids) {
                    self.store.users().claim(&unit.to_string(), container.id(), "")?;
                }
                drop(lock);
                Ok(Some(ids))
            }
        }
    }

    /// The ids that a container would have.
    pub fn users_to_be(&self, container: &Container) -> Result<Option<Ids>> {
        Ok(match container.spec.options.namespaces.users {
            UserNamespace::Host => None,
            UserNamespace::Remapped => Some(Ids::remapped()),
            UserNamespace::Auto { size } => Some(Ids::of(lowest_free(&self.store, size)?, size)),
        })
    }
}

/// Makes the namespace of a container's users.
pub fn namespace(ids: &Ids) -> Result<OwnedFd> {
    let [users, groups] = ids.mappings();
    make_users(&[users], &[groups], true).doing(|| "make a user namespace")
}

/// Frees the ids of a container's users, if it has any.
pub fn release(store: &Store, id: &Id) -> Result<()> {
    let record = store.container_run(id).join(RECORD);
    if !record.exists() {
        return Ok(());
    }
    let _lock = store.lock()?;
    if let Some(ids) = read_if_present::<Ids>(&record)? {
        for unit in units(&ids) {
            store.users().release(&unit.to_string(), id)?;
        }
        fs::remove_file(&record).doing(|| format!("remove `{}`", record.display()))?;
    }
    Ok(())
}

/// The units that a range is made of, by their first ids.
fn units(ids: &Ids) -> impl Iterator<Item = u32> {
    let first = ids.users.first;
    (0..ids.users.size.div_ceil(UNIT)).map(move |n| first + n * UNIT)
}

/// The lowest ids of the pool that nobody has. The first unit is for remapped containers.
fn lowest_free(store: &Store, size: u32) -> Result<u32> {
    let taken: BTreeSet<u32> = store.users().names()?.iter().filter_map(|name| name.parse().ok()).collect();
    let mut first = POOL.first + UNIT;
    while let Some(end) = first
        .checked_add(size.div_ceil(UNIT) * UNIT)
        .filter(|end| *end <= POOL.first + POOL.size)
    {
        match taken.range(first..end).next_back() {
            None => return Ok(first),
            Some(last) => first = last + UNIT,
        }
    }
    Err(Error::conflict("all ids for users are in use by containers")
        .hint("stop one, or ask for fewer with `--userns auto:size=N`"))
}
