//! `pause` and `unpause`: a container whose processes stand still.
//!
//! That somebody has paused a container is a record in its run directory; that it stands still is what the kernel says. Both must
//! hold for it to be paused, so it is not if whoever was about to pause it was killed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::commit::FREEZING;
use super::{Container, Engine, State, cgroups, events};
use crate::cgroup;
use crate::error::{Error, Result};
use crate::store::{Lock, read_if_present, remove_if_present, write};

/// The record of a pause: the file that tells whether the processes stand still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Paused {
    freezer: PathBuf,
}

pub const PAUSED: &str = "paused";

impl Engine {
    /// Stops all processes of a running container where they are. Returns once they stand still.
    pub fn pause(&self, container: &Container) -> Result<()> {
        // Who reads what the container has written lets it go on first.
        let freezing = self.lock_running(container, "already paused")?;
        let group = cgroups::existing(&self.store, container.id())?;
        let Some(freezer) = group.freezer() else {
            return Err(Error::invalid("this host has no cgroup controller to freeze processes with"));
        };
        write(&container.run_file(PAUSED), &Paused { freezer })?;
        let frozen = group.freeze();
        if frozen.is_err() {
            remove_if_present(&container.run_file(PAUSED))?;
            check_running(container, "already paused")?;
        }
        remove_if_present(&container.run_file(FREEZING))?;
        drop(freezing);
        frozen?;
        events::tell_of(&self.store, container, "pause", &[]);
        Ok(())
    }

    /// Lets the processes of a paused container go on.
    pub fn unpause(&self, container: &Container) -> Result<()> {
        if !matches!(container.state()?, State::Paused(_)) {
            return Err(Error::conflict(format!("container `{}` is not paused", container.name())));
        }
        self.let_go_on(container)?;
        events::tell_of(&self.store, container, "unpause", &[]);
        Ok(())
    }

    /// Lets a container go on if somebody has paused it.
    pub fn let_go_on(&self, container: &Container) -> Result<()> {
        let record = container.run_file(PAUSED);
        if record.exists() {
            cgroups::existing(&self.store, container.id())?.thaw()?;
            remove_if_present(&record)?;
        }
        Ok(())
    }

    fn lock_running(&self, container: &Container, otherwise: &str) -> Result<Lock> {
        check_running(container, otherwise)?;
        let freezing = Lock::acquire(&container.run_file(FREEZING));
        check_running(container, otherwise)?;
        freezing
    }
}

fn check_running(container: &Container, paused: &str) -> Result<()> {
    let what = match container.state()? {
        State::Running(_) => return Ok(()),
        State::Paused(_) => paused,
        State::Restarting(_) => "restarting, and does not run yet",
        State::Created | State::Exited(_) => "not running",
    };
    Err(Error::conflict(format!("container `{}` is {what}", container.name())))
}

/// Whether somebody has paused the container with this run directory, and it stands still.
pub fn is_paused(run: &Path) -> Result<bool> {
    let record: Option<Paused> = read_if_present(&run.join(PAUSED))?;
    Ok(record.is_some_and(|paused| cgroup::is_frozen(&paused.freezer)))
}
