//! The container's network namespace, which takes the kernel longest: a thread makes it while the rest is planned, where a second
//! processor may be idle. It goes with its descriptor, whoever is killed.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use super::config::Config;
use super::namespaces::Namespaces;
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::kernel::namespace::unshare_network;
use crate::kernel::processor::begin_elsewhere;
use crate::network::Loopback;
use crate::program::flags::capability;

/// A network namespace that is being made, if the container gets it that way.
pub struct Ahead(Option<JoinHandle<Result<OwnedFd>>>);

impl Ahead {
    pub fn begin(config: &Config) -> Result<Ahead> {
        let privileged = isolation::may(capability::SYS_ADMIN);
        let makes = Namespaces::of(&config.linux).network_is_made_ahead(privileged);
        let thread = makes.then(|| begin_elsewhere(make)).transpose();
        Ok(Ahead(thread.doing(|| "start a thread")?))
    }

    /// Waits for what was begun.
    pub fn finish(mut self) -> Result<Option<OwnedFd>> {
        self.join().transpose()
    }

    fn join(&mut self) -> Option<Result<OwnedFd>> {
        let made = self.0.take()?.join();
        Some(made.unwrap_or_else(|_| Err(Error::system("a thread panicked"))))
    }
}

impl Drop for Ahead {
    /// Whoever forks next must be the only thread.
    fn drop(&mut self) {
        self.join();
    }
}

fn make() -> Result<OwnedFd> {
    let made = unshare_network().doing(|| "make a network namespace")?;
    Loopback::here()?.start()?;
    Ok(made)
}
