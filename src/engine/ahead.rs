//! What is begun ahead of a container: it takes the kernel a while, needs little of the plan, and a second processor may be idle.
//!
//! ```text
//!   the command   image, name, directories, record, address ── overlay ── plan ── cgroups ┐ waits
//!   the monitor   network namespace ── init is born ──────────────────────────────────────┴─ files of names, network …
//!   init                                            └ waits for its program ── mounts …
//! ```
//!
//! A thread of the command makes the process that becomes the monitor. Until that executes it has the command's memory, in which it is
//! that thread, and until it knows its container it has the command's descriptors. What it makes before is only referred to by
//! processes and descriptors: if the command fails or is killed, the monitor and init end, and nothing is left.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::{Pid, getpid};
use rustix::thread::gettid;

use super::born::{Born, Expected};
use super::monitor::{Launch, leave_behind};
use super::plan::{Facts, makes_ahead, overlay};
use super::{Container, Engine, Options};
use crate::cgroup::Hierarchies;
use crate::error::{Doing, Result};
use crate::isolation::Host;
use crate::kernel::descriptor::close_all;
use crate::kernel::process::{beside_with_descriptors, die_with, exit_now, leave_descriptors, outlive_parent};
use crate::kernel::processor::{Elsewhere, Processors, bring_here};
use crate::layer::{Given, Stack, View, make_overlay_here};
use crate::program::Letter;
use crate::store::Store;

/// What is known of the host, and a monitor that waits for its container. There is none for one whose init has a child.
pub struct Ahead {
    host: Host,
    hierarchies: Hierarchies,
    monitor: Option<Thread>,
}

/// What the command has of it. The monitor ends if this is dropped, which waits for that.
struct Thread {
    letter: Receiver<([Pid; 2], Letter)>,
    waits: Arc<AtomicBool>,
    container: Sender<Arc<Container>>,
    launch: Sender<Launch>,
    made: Elsewhere<io::Result<()>>,
}

/// What the monitor has of it.
struct Early {
    engine: Engine,
    expected: Expected,
    command: Pid,
    /// Where it and init may run.
    processors: Option<Processors>,
    letter: Option<Sender<([Pid; 2], Letter)>>,
    /// Whether it has nothing else to do any more, and knows where it may run if it is kept somewhere.
    waits: Arc<AtomicBool>,
    container: Receiver<Arc<Container>>,
    launch: Receiver<Launch>,
}

/// What the monitor leaves to the thread in whose place it was: what both have open.
#[derive(Default)]
struct Common {
    launch: Option<Launch>,
    opened: Vec<i32>,
}

impl Ahead {
    /// Begins with what a container of these options will have.
    pub fn begin(store: &Store, options: &Options, trace: bool) -> Result<Ahead> {
        let monitor = makes_ahead(options)
            .then(|| Thread::begin(store, options, trace))
            .transpose()?;
        // Before the monitor has come to where the kernel makes the new network's part of `/sys`, for which others wait.
        Ok(Ahead {
            host: Host::read(),
            hierarchies: Hierarchies::of(&options.limits),
            monitor,
        })
    }

    /// What must be known for a container whose image is seen by `view`.
    pub fn facts(&self, view: View) -> Facts {
        Facts {
            host: self.host.clone(),
            hierarchies: self.hierarchies.clone(),
            view: Some(view),
        }
    }

    /// Says which container it is, once it is recorded.
    pub fn is_for(&self, container: &Arc<Container>) {
        if let Some(thread) = &self.monitor {
            // Whether it is still there is found out later.
            let _ = thread.container.send(container.clone());
        }
    }

    /// Makes the root of a container whose directories are there, above these layers.
    pub fn root(&self, container: &Container, layers: &Stack) -> Result<Option<OwnedFd>> {
        if self.monitor.is_none() {
            return Ok(None);
        }
        let mut lent = Given::default();
        let lower = layers.lend(&mut lent)?;
        make_overlay_here(&overlay(container, lower, None), &lent).map(Some)
    }

    /// Has the monitor start the container, and waits until it has become it or given up. Returns what is to be started if there is no
    /// monitor yet.
    pub fn launch(self, engine: &Engine, mut launch: Launch) -> Result<Option<Launch>> {
        let Some(thread) = self.monitor else {
            return Ok(Some(launch));
        };
        if let Ok((others, letter)) = thread.letter.recv() {
            launch.ready = engine.make_ready(&launch, letter);
            if thread.waits.load(Ordering::SeqCst) {
                // Init runs where they did. That this fails is no reason not to go on.
                others.map(bring_here).into_iter().for_each(drop);
            }
        }
        // If there is nobody to be told, that is because it could not be made.
        let _ = thread.launch.send(launch);
        thread.made.finish().doing(|| "start a monitor").map(|()| None)
    }
}

impl Thread {
    fn begin(store: &Store, options: &Options, trace: bool) -> Result<Thread> {
        let (tell_letter, letter) = channel();
        let (tell_container, container) = channel();
        let (tell_launch, launch) = channel();
        let waits = Arc::new(AtomicBool::new(false));
        let early = Early {
            engine: Engine::new(store.clone()),
            expected: Expected::of(options, trace),
            command: getpid(),
            // Asked here: the thread is moved at first, and may not run everywhere then.
            processors: Processors::ours().ok(),
            letter: Some(tell_letter),
            waits: waits.clone(),
            container,
            launch,
        };
        let made = Elsewhere::begin(move || {
            let mut common = Common::default();
            let thread = gettid();
            let made = beside_with_descriptors(|| early.run(thread, &mut common));
            close_all(&common.opened);
            made.map(drop)
        });
        Ok(Thread {
            letter,
            waits,
            container: tell_container,
            launch: tell_launch,
            made: made.doing(|| "start a thread")?,
        })
    }
}

impl Early {
    /// Makes init, and tells the command how to reach it and what is to run beside it.
    fn bear(&self, thread: Pid) -> Result<Born> {
        let mut wires = self.expected.wires()?;
        let letter = wires.letter()?;
        // It is for nobody any more if the command has failed.
        let _ = self.letter.as_ref().map(|tell| tell.send(([getpid(), thread], letter)));
        Born::ahead(&self.engine, &self.expected, wires, || self.container.recv().ok())
    }

    fn use_processors(&self) {
        // Where that fails, it only takes longer.
        let _ = self.processors.as_ref().map(Processors::use_all);
    }

    /// Everything that the monitor does before it becomes it, in place of a thread.
    fn run(mut self, thread: Pid, common: &mut Common) -> ! {
        if die_with(self.command).is_err() {
            exit_now(1);
        }
        // The thread may just be moved, and be kept on some for as long; init is not to be.
        self.use_processors();
        leave_behind();
        let born = self.bear(thread);
        // If there is no letter, the command does not wait for one.
        self.letter = None;
        if let Ok(born) = &born {
            common.opened = born.descriptors();
        }
        self.waits.store(self.processors.is_some(), Ordering::SeqCst);
        common.launch = self.launch.recv().ok();
        self.use_processors();
        if let Some(launch) = &common.launch
            && leave_descriptors().is_ok()
            && outlive_parent().is_ok()
        {
            self.engine.monitor(launch, Some(born));
        }
        let _ = born.as_ref().map(|born| born.init.end());
        exit_now(1)
    }
}
