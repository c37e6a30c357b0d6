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
use crate::store::Store;

/// Things that are being made for a container.
pub struct Ahead {
    /// Nothing is made ahead for a container that has users of its own.
    thread: Option<Thread>,
    root: Option<OwnedFd>,
    /// The layers that the root is made of, until somebody else needs them.
    layers: Option<Stack>,
}

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
        let mut ahead = Ahead {
            thread: None,
            root: None,
            layers: None,
        };
        if makes_ahead(options) {
            let (mode, limits) = (options.network.clone(), options.limits.clone());
            let (sender, host) = channel();
            let made = Elsewhere::begin(move || {
                // It is for nobody any more if the command has failed.
                let _ = sender.send((Host::read(), Hierarchies::of(&limits)));
                make(&mode)
            });
            ahead.thread = Some(Thread {
                host,
                made: made.doing(|| "start a thread")?,
            });
        }
        Ok(ahead)
    }

    /// Makes the container's root, whose directories are there.
    pub fn root(&mut self, store: &Store, container: &Container) -> Result<()> {
        if self.thread.is_some() {
            let layers = Stack::open(store, &container.spec.layers)?;
            let mut lent = Given::default();
            let lower = layers.lend(&mut lent)?;
            self.layers = Some(layers);
            self.root = Some(make_overlay_here(&overlay(container, lower, None), &lent)?);
        }
        Ok(())
    }

    /// The layers that the root is made of, once.
    pub fn layers(&mut self) -> Option<Stack> {
        self.layers.take()
    }

    /// What is known of the host, for a container whose image is seen by `view`.
    pub fn facts(&self, view: View, limits: &Resources) -> Facts {
        match self.thread.as_ref().and_then(|thread| thread.host.recv().ok()) {
            Some((host, hierarchies)) => Facts {
                host,
                hierarchies,
                view: Some(view),
            },
            None => Facts::gather(Some(view), limits),
        }
    }

    /// Waits for all that was begun.
    pub fn finish(self) -> Result<Made> {
        let made = self.thread.map(|thread| thread.made.finish()).transpose()?;
        Ok(Made {
            root: self.root,
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
