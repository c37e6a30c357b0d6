//! The monitor's beginning and end; what it does in between is a program of its own (`monitor/main.rs`).
//!
//! The command makes a process beside itself, which has its memory until it executes. That starts the container, tells the command,
//! and becomes the monitor: the lock, init and the streams stay with the process, everything else of it goes.

#[path = "../../../monitor/protocol.rs"]
pub mod protocol;

mod connection;
mod given;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::ahead::Ahead;
use super::born::Born;
use super::bring_up::Running;
use super::prepare::Prepared;
use super::{Container, Engine, cgroups, events, recover};
use crate::cgroup::Group;
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;
use crate::kernel::memfd;
use crate::kernel::process::{become_image, beside, exit_now};
use crate::kernel::signal;
use crate::program::Image;
use crate::store::{Lock, remove_if_present};
use connection::{FAILED, SOCKET, STARTED, wait_for_start};

pub use connection::{Attached, connect};

/// Where the monitor writes how the container ended, before that becomes the record.
const NEW_EXIT: &str = ".exit.new";

/// What the monitor keeps of a container.
pub struct Resident {
    pub terminal: Option<OwnedFd>,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// Counts kills for want of memory.
    pub oom: Option<File>,
}

/// A prepared container that is to be started.
pub struct Launch {
    pub container: Arc<Container>,
    /// It passes to the monitor.
    pub lock: Lock,
    pub prepared: Prepared,
    /// Whether it is told how long each step takes.
    pub trace: bool,
    /// What is told to be done with it.
    pub told: &'static [&'static str],
    /// The connection to the command, if anybody waits.
    pub client: Option<OwnedFd>,
    /// Whether an init that was born ahead has its program, and the container's cgroups, if init has still to enter them.
    pub ready: Result<Option<Group>>,
}

impl Launch {
    pub fn new(container: &Arc<Container>, lock: Lock, prepared: Prepared, told: &'static [&'static str]) -> Launch {
        Launch {
            container: container.clone(),
            lock,
            prepared,
            trace: false,
            told,
            client: None,
            ready: Ok(None),
        }
    }

    /// The cgroups that were made while init was born.
    pub fn made_group(&self) -> Option<&Group> {
        self.ready.as_ref().ok().and_then(Option::as_ref)
    }

    /// The numbers of what the monitor must have open to start it.
    fn descriptors(&self, born: Option<&Born>) -> Vec<i32> {
        let prepared = &self.prepared;
        let ports = prepared.place.iter().flat_map(|place| &place.ports);
        let made = prepared.given.mounts().map(|(_, mount)| mount);
        let numbers = ports.chain(made).chain(&prepared.root).chain(&self.client);
        let numbers = numbers.map(AsRawFd::as_raw_fd);
        let born = born.map(Born::descriptors).unwrap_or_default();
        numbers.chain([self.lock.as_fd().as_raw_fd()]).chain(born).collect()
    }
}

impl Engine {
    /// Starts a prepared container under a monitor of its own.
    pub fn launch(&self, ahead: Ahead, mut launch: Launch) -> Result<Attached> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.doing(|| "make a socket")?;
        launch.client = Some(theirs);
        let container = launch.container.clone();
        let may_warn = launch.prepared.plan.cgroup.may_warn();
        let mut attached = match self.hand_over(ahead, launch).and_then(|()| wait_for_start(ours)) {
            Ok(attached) => attached,
            Err(error) => return Err(self.clean_up_after_failure(&container, error)),
        };
        if may_warn {
            attached.warnings = cgroups::warnings(&container);
        }
        Ok(attached)
    }

    /// Starts a prepared container again that is started by itself. This process ends, or becomes the monitor.
    pub fn launch_for_nobody(&self, ahead: Ahead, launch: Launch) -> Result<()> {
        match ahead.launch(self, launch)? {
            Some(launch) => self.monitor(&launch, None),
            None => Ok(()),
        }
    }

    /// Returns when there is a monitor, or none can be.
    fn hand_over(&self, ahead: Ahead, launch: Launch) -> Result<()> {
        let Some(launch) = ahead.launch(self, launch)? else {
            return Ok(());
        };
        // The monitor closes what it does not need, among it our end.
        beside(|| {
            leave_behind();
            self.monitor(&launch, None)
        })
        .map(drop)
        .doing(|| "start a monitor")
    }

    /// Everything that is done by the process that becomes the monitor, when it knows its container.
    pub fn monitor(&self, launch: &Launch, born: Option<Result<Born>>) -> ! {
        detach_from_terminal();
        descriptor::close_all_but(&launch.descriptors(born.as_ref().and_then(|born| born.as_ref().ok())));
        let Launch { container, prepared, .. } = launch;
        let error = match self.bring_up(launch, born) {
            Ok(running) => self.become_monitor(launch, running),
            Err(error) => error,
        };
        // What is left of the failed start is told, too: nobody else would.
        let undone = recover::clean(&self.store, container.id());
        let error = undone.err().map_or_else(|| error.clone(), |worse| error.clone().hint(worse));
        container.record_failure(&error, prepared.again);
        for action in launch.told.iter().filter(|action| **action != "start") {
            events::tell_of(&self.store, container, action, &[]);
        }
        for ready in [container.file(NEW_EXIT), container.run_file(SOCKET)] {
            let _ = remove_if_present(&ready);
        }
        let mut message = vec![FAILED];
        message.extend(serde_json::to_vec(&error).unwrap_or_default());
        if let Some(client) = &launch.client {
            let _ = send(client, &message, SendFlags::NOSIGNAL);
        }
        exit_now(1)
    }

    /// Waits until the container runs, tells the command, and becomes the monitor. Returns if one of that fails.
    fn become_monitor(&self, launch: &Launch, mut running: Running) -> Error {
        let container = &launch.container;
        // There is time for this while init takes its steps.
        let ready = self.given(launch, &running).and_then(|(given, kept)| {
            let image = memfd::sealed("tinydock-monitor", &Image::MONITOR.with(&given));
            Ok((image.doing(|| "make the monitor")?, kept))
        });
        let become_it = || -> Result<Error> {
            let trace = running.wait(&launch.prepared.plan.program)?;
            let (image, _kept) = ready.doing(|| "become the monitor")?;
            self.begin_watch(container)?;
            let mut message = vec![STARTED];
            let word = |(step, time): &(usize, u32)| [(*step as u32).to_ne_bytes(), time.to_ne_bytes()].concat();
            message.extend(trace.iter().flat_map(word));
            if let Some(client) = &launch.client {
                descriptor::send(client, &message, running.init.pidfd.as_fd()).doing(|| "tell that the container runs")?;
            }
            // Here, so that it is told before the end is.
            for action in launch.told {
                events::tell_of(&self.store, container, action, &[]);
            }
            let failed: Error = become_image(&image).into();
            Err(failed.doing("become the monitor"))
        };
        let error = become_it().unwrap_or_else(|error| error);
        running.init.end();
        error
    }
}

/// Leaves the session and the signals of whoever started the container, and their directory: they may unmount what that is on.
pub fn leave_behind() {
    let _ = rustix::process::setsid();
    signal::set_all_default();
    let _ = rustix::process::chdir("/");
}

/// Lets go of the terminal and the pipes of whoever started the container, and of their directory: they may close them, and unmount what
/// that is on.
pub fn detach_from_terminal() {
    let _ = rustix::process::chdir("/");
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
