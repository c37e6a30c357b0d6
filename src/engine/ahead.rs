//! What is made ahead of a container: it takes the kernel a while, needs little of the plan, and a second processor may be idle.
//!
//! ```text
//!   the command   image, name, directories, record, address ── overlay ── plan ┬─ monitor, init …
//!   a thread      facts about the host ──────────── network namespace ─────────┘
//! ```
//!
//! What is made is only referred to by descriptors. If the command is killed, nothing of it is left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};

use super::plan::{Facts, makes_ahead, overlay};
use super::{Container, Options};
use crate::cgroup::{Hierarchies, Resources};
use crate::error::{Doing, Result};
use crate::isolation::Host;
use crate::kernel::namespace::unshare_network;
use crate::kernel::processor::Elsewhere;
use crate::layer::{Given, Stack, View, make_overlay_here};
use crate::network::{Loopback, Mode};

/// Things that are being made for a container. Nothing is, for one that has users of its own.
pub struct Ahead(Option<Thread>);

struct Thread {
    host: Receiver<(Host, Hierarchies)>,
    made: Elsewhere<Result<Made>>,
}

/// Things that were made for a container.
#[derive(Default)]
pub struct Made {
    /// Its network namespace.
    pub network: Option<OwnedFd>,
    /// What is still down there, where the host has nothing else to do for it.
    pub loopback: Option<Loopback>,
    /// Its root, attached nowhere.
    pub root: Option<OwnedFd>,
}

impl Made {
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let files = [&self.network, &self.root].into_iter().flatten().map(AsFd::as_fd);
        files.chain(self.loopback.iter().map(AsFd::as_fd))
    }
}

impl Ahead {
    /// Begins with what a container of these options will have.
    pub fn begin(options: &Options) -> Result<Ahead> {
        if !makes_ahead(options) {
            return Ok(Ahead(None));
        }
        let (mode, limits) = (options.network.clone(), options.limits.clone());
        let (sender, host) = channel();
        let made = Elsewhere::begin(move || {
            // It is for nobody any more if the command has failed.
            let _ = sender.send((Host::read(), Hierarchies::of(&limits)));
            make(&mode)
        });
        let made = made.doing(|| "start a thread")?;
        Ok(Ahead(Some(Thread { host, made })))
    }

    /// Makes the root of a container whose directories are there, above these layers.
    pub fn root(&self, container: &Container, layers: &Stack) -> Result<Option<OwnedFd>> {
        if self.0.is_none() {
            return Ok(None);
        }
        let mut lent = Given::default();
        let lower = layers.lend(&mut lent)?;
        make_overlay_here(&overlay(container, lower, None), &lent).map(Some)
    }

    /// What is known of the host, for a container whose image is seen by `view`.
    pub fn facts(&self, view: View, limits: &Resources) -> Facts {
        match self.0.as_ref().and_then(|thread| thread.host.recv().ok()) {
            Some((host, hierarchies)) => Facts {
                host,
                hierarchies,
                view: Some(view),
            },
            None => Facts::gather(Some(view), limits),
        }
    }

    /// Waits for what was begun, and adds the root that was made meanwhile.
    pub fn finish(self, root: Option<OwnedFd>) -> Result<Made> {
        let made = self.0.map(|thread| thread.made.finish()).transpose()?;
        Ok(Made {
            root,
            ..made.unwrap_or_default()
        })
    }
}

fn make(mode: &Mode) -> Result<Made> {
    let network = (*mode != Mode::Host).then(unshare_network).transpose();
    let network = network.doing(|| "make a network namespace")?;
    let loopback = match mode {
        Mode::Host => None,
        // The monitor has time to start it while init mounts,
        Mode::None => Some(Loopback::here()?),
        // but not if it connects the container meanwhile.
        Mode::Bridge(_) => {
            Loopback::here()?.start()?;
            None
        }
    };
    Ok(Made {
        network,
        loopback,
        root: None,
    })
}
