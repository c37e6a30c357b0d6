//! `start`: a container that does not run, again or for the first time.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::ahead::Ahead;
use super::monitor::{Attached, Launch};
use super::patience::{BUSY, Patience};
use super::prepare::Prepared;
use super::remove::REMOVING;
use super::state::{Lost, State, Waiting};
use super::stop::wait;
use super::{Container, Engine, recover};
use crate::error::{Doing, Error, Result};
use crate::kernel::signal;
use crate::store::{Lock, clock, read_if_present, remove_if_present, write};

impl Engine {
    /// Starts a container. Returns nothing if it runs already. What the user should know is told to `warn`.
    pub fn start(&self, container: &Container, warn: impl Fn(&str)) -> Result<Option<Attached>> {
        let Some((container, lock)) = self.lock_to_start(container)? else {
            return Ok(None);
        };
        let container = Arc::new(container);
        let doing = || format!("start `{}`", container.name());
        // From here on it is the container's own again, whoever dies.
        write(&container.run_file("starting"), &clock::now()).doing(doing)?;
        for record in ["kept", "stopped", "restarts", "failed"] {
            remove_if_present(&container.file(record)).doing(doing)?;
        }
        let (ahead, prepared) = match self.prepare_again(&container) {
            Ok(prepared) => prepared,
            Err(error) => {
                container.record_failure(&error, container.file("exit").exists());
                drop(lock);
                recover::sweep(&self.store)?;
                return Err(error.doing(doing()));
            }
        };
        prepared.plan.cgroup.warnings.iter().for_each(|warning| warn(warning));
        let launch = Launch::new(&container, lock, prepared, &["start"]);
        let attached = self.launch(ahead, launch).doing(doing)?;
        attached.warnings.iter().for_each(|warning| warn(warning));
        Ok(Some(attached))
    }

    /// Prepares a container that was created before, and begins with its monitor.
    pub fn prepare_again(&self, container: &Arc<Container>) -> Result<(Ahead, Prepared)> {
        let ahead = Ahead::begin(&self.store, &container.spec.options, false)?;
        ahead.is_for(container);
        let prepared = self.prepare(container, &ahead, false)?;
        Ok((ahead, prepared))
    }

    /// Locks a container that does not run, with nothing left of when it ran. Returns nothing if it runs.
    pub fn lock_to_start(&self, container: &Container) -> Result<Option<(Container, Lock)>> {
        let id = container.id();
        let mut patience = Patience::of(BUSY);
        loop {
            match container.state()? {
                State::Running(_) => return Ok(None),
                State::Paused(_) => {
                    let paused = Error::conflict(format!("container `{}` is paused: it cannot be started", container.name()));
                    return Err(paused.hint(format!("let it go on with `tinydock unpause {}`", container.name())));
                }
                State::Restarting(_) => self.end_waiting(container)?,
                State::Created | State::Exited(_) => {}
            }
            if Lock::is_held(&container.run_file(REMOVING)) {
                return Err(Error::conflict(format!("container `{}` is being removed", container.name())));
            }
            if let Some(lock) = super::create::try_lock(&self.store, id)? {
                recover::tell_left_end(&self.store, id)?;
                let Some(container) = Container::load(&self.store, id)? else {
                    self.store.discard_run(&container.run_file(""))?;
                    return Err(Error::not_found(format!("no such container: `{}`", container.name())));
                };
                recover::clean(&self.store, id)?;
                recover::settle(&self.store, &container, Lost::Monitor)?;
                return Ok(Some((container, lock)));
            }
            patience.wait_for_others(container)?;
        }
    }

    /// Ends the wait of a container that would be started again by itself.
    pub fn end_waiting(&self, container: &Container) -> Result<()> {
        let Some(Waiting { pid }) = read_if_present(&container.run_file("restarting"))? else {
            return Ok(());
        };
        let Some(process) = rustix::process::Pid::from_raw(pid) else {
            return Ok(());
        };
        let Ok(process) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) else {
            return recover::sweep(&self.store);
        };
        // It is the right one if it waits still, now that it is open.
        if matches!(container.state()?, State::Restarting(_)) {
            let _ = signal::send(&process, libc::SIGTERM);
            wait(process.as_fd(), Some(BUSY)).doing(|| format!("wait for the restart of container `{}`", container.name()))?;
        }
        recover::sweep(&self.store)
    }
}
