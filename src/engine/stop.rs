//! `stop`: asking a container to end, and making it end if it does not.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::container::State;
use super::{Container, Engine};
use crate::error::{Doing, Result};
use crate::kernel::signal;

impl Engine {
    /// Sends a container a signal and, if it has not ended after `grace`, SIGKILL. No `grace` is all the time it wants.
    /// Returns when the container has ended and is cleaned up after, at once if it does not run.
    pub fn stop(&self, container: &Container, number: i32, grace: Option<Duration>) -> Result<()> {
        if !matches!(container.state()?, State::Running(_)) {
            return Ok(());
        }
        let (init, started) = container.open_init()?;
        let doing = || format!("stop container `{}`", container.name());
        // It may have ended since.
        let _ = signal::send(&init, number);
        if !wait(init.as_fd(), grace).doing(doing)? {
            let _ = signal::send(&init, libc::SIGKILL);
            wait(init.as_fd(), None).doing(doing)?;
        }
        self.wait_until_buried(container, &started)
    }
}

/// Waits until a process has ended. Returns false if it has not within `time`.
fn wait(process: BorrowedFd, time: Option<Duration>) -> rustix::io::Result<bool> {
    let time = time.map(|time| Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: time.subsec_nanos().into(),
    });
    let mut set = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut set, time.as_ref())).map(|ready| ready > 0)
}
