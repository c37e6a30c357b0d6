//! `rename`: another name for a container.

use super::{Container, Engine, check_name, events};
use crate::error::{Error, Result};
use crate::store::{Lock, remove_if_present, write, write_durably};

/// What is in a container's directory while it may have two names.
pub const RENAMING: &str = "renaming";

impl Engine {
    /// Gives a container another name. The new one is claimed before the record has it, and the old one freed after: whoever is
    /// killed between leaves a name that its owner does not have, which is free.
    pub fn rename(&self, container: &Container, name: &str) -> Result<()> {
        check_name(name)?;
        let _lock = self.store.lock()?;
        let gone = || Error::not_found(format!("no such container: `{}`", container.name()));
        let mut container = Container::load(&self.store, container.id())?.ok_or_else(gone)?;
        if container.name() == name {
            return Err(Error::conflict(format!("container `{name}` has this name already")));
        }
        let names = self.store.names();
        if let Some(owner) = names.owner(name) {
            match Container::load(&self.store, &owner)? {
                Some(other) if other.name() != name => names.release(name, &owner)?,
                None if !Lock::is_held(&self.store.container_run(&owner).join("lock")) => names.release(name, &owner)?,
                _ => {
                    return Err(Error::conflict(format!(
                        "the container name `{name}` is already in use by container `{}`",
                        owner.short()
                    )));
                }
            }
        }
        write(&container.file(RENAMING), &name)?;
        names.claim(name, container.id(), "")?;
        let old = std::mem::replace(&mut container.spec.name, name.into());
        write_durably(&container.file("spec"), &container.spec)?;
        names.release(&old, container.id())?;
        remove_if_present(&container.file(RENAMING))?;
        events::tell_of(&self.store, &container, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}
