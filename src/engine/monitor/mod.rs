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

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::bring_up::Running;
use super::prepare::Prepared;
use super::{Container, Engine, cgroups, events, recover};
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

impl Engine {
    /// Starts a prepared container under a monitor of its own, and tells what is done with it. The lock passes to the monitor.
    pub fn launch(&self, container: &Container, lock: Lock, prepared: Prepared, trace: bool, told: &[&str]) -> Result<Attached> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.doing(|| "make a socket")?;
        let may_warn = prepared.plan.cgroup.may_warn();
        // The monitor closes what it does not need, among it our end.
        let made = beside(|| self.monitor(container, &lock, &prepared, Some(&theirs), trace, told));
        drop((lock, prepared, theirs));
        if let Err(error) = made {
            return Err(self.clean_up_after_failure(container, Error::from(error).doing("start a monitor")));
        }
        let mut attached = match wait_for_start(ours) {
            Ok(attached) => attached,
            Err(error) => return Err(self.clean_up_after_failure(container, error)),
        };
        if may_warn {
            attached.warnings = cgroups::warnings(container);
        }
        Ok(attached)
    }

    /// Everything the child does. Nobody waits for a container that is started again by itself: then there is no client.
    pub fn monitor(
        &self,
        container: &Container,
        lock: &Lock,
        prepared: &Prepared,
        client: Option<&OwnedFd>,
        trace: bool,
        told: &[&str],
    ) -> ! {
        let _ = rustix::process::setsid();
        signal::set_all_default();
        detach_from_terminal();
        let ports = prepared.place.iter().flat_map(|place| &place.ports);
        let keep: Vec<i32> = ports
            .chain(prepared.given.mounts().map(|(_, mount)| mount))
            .map(AsRawFd::as_raw_fd)
            .chain([lock.as_fd().as_raw_fd()])
            .chain(prepared.made.descriptors().map(|made| made.as_raw_fd()))
            .chain(client.map(AsRawFd::as_raw_fd))
            .collect();
        descriptor::close_all_but(&keep);
        let error = match self.bring_up(container, prepared, trace) {
            Ok(running) => self.become_monitor(container, lock, prepared, client, running, told),
            Err(error) => error,
        };
        // What is left of the failed start is told, too: nobody else would.
        let undone = recover::clean(&self.store, container.id());
        let error = undone.err().map_or_else(|| error.clone(), |worse| error.clone().hint(worse));
        container.record_failure(&error, prepared.again);
        for action in told.iter().filter(|action| **action != "start") {
            events::tell_of(&self.store, container, action, &[]);
        }
        for ready in [container.file(NEW_EXIT), container.run_file(SOCKET)] {
            let _ = remove_if_present(&ready);
        }
        let mut message = vec![FAILED];
        message.extend(serde_json::to_vec(&error).unwrap_or_default());
        if let Some(client) = client {
            let _ = send(client, &message, SendFlags::NOSIGNAL);
        }
        exit_now(1)
    }

    /// Waits until the container runs, tells the command, and becomes the monitor. Returns if one of that fails.
    fn become_monitor(
        &self,
        container: &Container,
        lock: &Lock,
        prepared: &Prepared,
        client: Option<&OwnedFd>,
        mut running: Running,
        told: &[&str],
    ) -> Error {
        // There is time for this while init takes its steps.
        let ready = self
            .given(container, lock, prepared, client, &running)
            .and_then(|(given, kept)| {
                let image = memfd::sealed("tinydock-monitor", &Image::MONITOR.with(&given));
                Ok((image.doing(|| "make the monitor")?, kept))
            });
        let become_it = || -> Result<Error> {
            let trace = running.wait(&prepared.plan.program)?;
            let (image, _kept) = ready.doing(|| "become the monitor")?;
            self.begin_watch(container)?;
            let mut message = vec![STARTED];
            let word = |(step, time): &(usize, u32)| [(*step as u32).to_ne_bytes(), time.to_ne_bytes()].concat();
            message.extend(trace.iter().flat_map(word));
            if let Some(client) = client {
                descriptor::send(client, &message, running.init.pidfd.as_fd()).doing(|| "tell that the container runs")?;
            }
            // Here, so that it is told before the end is.
            for action in told {
                events::tell_of(&self.store, container, action, &[]);
            }
            let failed: Error = become_image(&image).into();
            Err(failed.doing("become the monitor"))
        };
        let error = become_it().unwrap_or_else(|error| error);
        let _ = rustix::process::pidfd_send_signal(&running.init.pidfd, rustix::process::Signal::KILL);
        let _ = running.init.wait();
        error
    }
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
