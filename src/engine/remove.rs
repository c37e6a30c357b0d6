//! `rm`: removing a container with everything it has written.

use std::thread;
use std::time::{Duration, Instant};

use super::{Container, Engine, State, recover};
use crate::error::{Error, Result};
use crate::store::Lock;

/// How long somebody else may be busy with a container.
const BUSY: Duration = Duration::from_secs(30);

impl Engine {
    /// Removes a container. One that runs is killed first, if `force` says so.
    pub fn remove(&self, container: &Container, force: bool) -> Result<()> {
        let deadline = Instant::now() + BUSY;
        let path = container.run_file("lock");
        loop {
            if matches!(container.state()?, State::Running(_)) {
                if !force {
                    let running = Error::conflict(format!("container `{}` is running", container.name()));
                    return Err(running.hint(format!(
                        "stop it first, or remove it with `tinydock rm -f {}`",
                        container.name()
                    )));
                }
                self.kill(container)?;
            }
            if !path.exists() || !Lock::is_held(&path) {
                let _lock = super::create::lock(&self.store, container.id())?;
                if Container::load(&self.store, container.id())?.is_none() {
                    self.store.discard_run(&container.run_file(""))?;
                    return Err(Error::not_found(format!("no such container: `{}`", container.name())));
                }
                return recover::remove_all(&self.store, container.id());
            }
            if Instant::now() > deadline {
                return Err(Error::conflict(format!(
                    "another command is busy with container `{}`",
                    container.name()
                )));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Kills a container, which may have ended already.
    fn kill(&self, container: &Container) -> Result<()> {
        match self.stop(container, libc::SIGKILL, None) {
            Err(_) if !matches!(container.state()?, State::Running(_)) => Ok(()),
            result => result,
        }
    }
}
