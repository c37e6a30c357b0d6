//! The container's network namespace, which takes the kernel longest: a thread makes it while the rest is planned, where a second
//! processor may be idle. It goes with its descriptor, whoever is killed.

use std::os::fd::OwnedFd;

use super::config::Config;
use super::namespaces::Namespaces;
use crate::error::{Doing, Result};
use crate::isolation;
use crate::kernel::namespace::unshare_network;
use crate::kernel::processor::Elsewhere;
use crate::network::Loopback;
use crate::program::flags::capability;

/// A network namespace that is being made.
pub type Ahead = Elsewhere<Result<OwnedFd>>;

/// Begins it, if the container gets it that way.
pub fn begin(config: &Config) -> Result<Option<Ahead>> {
    let privileged = isolation::may(capability::SYS_ADMIN);
    let makes = Namespaces::of(&config.linux).network_is_made_ahead(privileged);
    makes.then(|| Elsewhere::begin(make)).transpose().doing(|| "start a thread")
}

fn make() -> Result<OwnedFd> {
    let made = unshare_network().doing(|| "make a network namespace")?;
    Loopback::here()?.start()?;
    Ok(made)
}
