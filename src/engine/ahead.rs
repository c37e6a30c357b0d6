//! What is made ahead of a container: it takes the kernel a while, needs little of the plan, and a second processor may be idle.
//!
//! ```text
//!   the command   image, name, directories ─┬─ record, address, plan, cgroups ┬─ monitor, init …
//!   a thread      network namespace         └─ root file system: the overlay ─┘
//! ```
//!
//! Both are only referred to by descriptors. If the command is killed, nothing of them is left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::plan::{makes_ahead, overlay};
use super::{Container, Options};
use crate::error::{Doing, Result};
use crate::kernel::namespace::unshare_network;
use crate::kernel::processor::Elsewhere;
use crate::layer::{Given, Overlay, Stack, make_overlay_here};
use crate::network::{Loopback, Mode};
use crate::store::Store;

/// Things that are being made for a container.
pub struct Ahead(Option<Thread>);

struct Thread {
    /// Takes what the root is made of, once. It goes first: the thread ends when nobody can give it a root any more.
    roots: Option<Sender<(Overlay, Given)>>,
    /// The layers of that, until somebody else needs them.
    layers: Option<Stack>,
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
        let mode = options.network.clone();
        let (roots, receiver) = channel();
        let made = Elsewhere::begin(move || make(&mode, &receiver)).doing(|| "start a thread")?;
        Ok(Ahead(Some(Thread {
            roots: Some(roots),
            layers: None,
            made,
        })))
    }

    /// Goes on with the container's root, whose directories are there, if it has not been begun.
    pub fn root(&mut self, store: &Store, container: &Container) -> Result<()> {
        let Some(thread) = &mut self.0 else { return Ok(()) };
        if let Some(roots) = thread.roots.take() {
            let layers = Stack::open(store, &container.spec.layers)?;
            let mut lent = Given::default();
            let lower = layers.lend(&mut lent)?;
            thread.layers = Some(layers);
            // If the thread has failed, it tells why in the end.
            let _ = roots.send((overlay(container, lower, None), lent));
        }
        Ok(())
    }

    /// The layers that the root is made of, once.
    pub fn layers(&mut self) -> Option<Stack> {
        self.0.as_mut().and_then(|thread| thread.layers.take())
    }

    /// Waits for all that was begun.
    pub fn finish(self) -> Result<Made> {
        let Some(Thread { roots, made, .. }) = self.0 else {
            return Ok(Made::default());
        };
        drop(roots);
        made.finish()
    }
}

fn make(mode: &Mode, roots: &Receiver<(Overlay, Given)>) -> Result<Made> {
    let network = (*mode != Mode::Host).then(unshare_network).transpose();
    let network = network.doing(|| "make a network namespace")?;
    let root = roots.recv().ok();
    let root = root
        .map(|(overlay, mounts)| make_overlay_here(&overlay, &mounts))
        .transpose()?;
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
    Ok(Made { network, loopback, root })
}
