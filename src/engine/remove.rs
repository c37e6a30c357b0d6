//! `rm`: removing a container with everything it has written.

use super::patience::{BUSY, Patience};
use super::stop::Asking;
use super::volumes::Note;
use super::{Container, Engine, State, recover};
use crate::error::{Error, Result};
use crate::store::Lock;

/// What is locked in a container's run directory while it is removed.
pub const REMOVING: &str = "removing";

impl Engine {
    /// Removes a container. One that runs is killed first, if `force` says so: then it may also be gone already by somebody else's
    /// doing. Its volumes without names go, too, if `volumes` says so.
    pub fn remove(&self, container: &Container, force: bool, volumes: bool) -> Result<()> {
        let mut patience = Patience::of(BUSY);
        let mut announced = None;
        loop {
            let state = container.state()?;
            if state.is_live() {
                if !force {
                    return Err(is_busy(container, &state));
                }
                announced = announced.or_else(|| announce(container));
                match self.make_end(container) {
                    Err(error) if Container::load(&self.store, container.id())?.is_some() => return Err(error),
                    _ => {}
                }
            }
            // Whoever starts it now has the lock.
            if let Some(_lock) = super::create::try_lock(&self.store, container.id())? {
                if Container::load(&self.store, container.id())?.is_none() {
                    // Whoever removed it may have been killed.
                    recover::remove_left(&self.store, container.id())?;
                    let gone = Error::not_found(format!("no such container: `{}`", container.name()));
                    return if force { Ok(()) } else { Err(gone) };
                }
                if volumes {
                    Note::of_removal(&self.store, container)?;
                } else {
                    Note::remove(&self.store, container.id())?;
                }
                recover::tell_left_end(&self.store, container.id())?;
                return recover::remove_left(&self.store, container.id());
            }
            patience.wait_for_others(container)?;
        }
    }

    /// Kills a container, which may have ended already.
    fn make_end(&self, container: &Container) -> Result<()> {
        let asking = Asking {
            by: "rm",
            signal: Some(libc::SIGKILL),
            seconds: Some(-1),
            removes: true,
            ..Asking::default()
        };
        self.stop(container, &asking)
    }
}

/// Lets the monitor know that its container is being removed: it leaves the cleaning up to whoever holds this.
fn announce(container: &Container) -> Option<Lock> {
    // Two who remove it at once need only one who says so, and one that has just ended needs none.
    Lock::try_acquire(&container.run_file(REMOVING)).ok().flatten()
}

fn is_busy(container: &Container, state: &State) -> Error {
    let (name, what) = (
        container.name(),
        match state {
            State::Running(_) => "running",
            State::Paused(_) => "paused",
            _ => "restarting",
        },
    );
    Error::conflict(format!("container `{name}` is {what}"))
        .hint(format!("stop it first, or remove it with `tinydock rm -f {name}`"))
}
