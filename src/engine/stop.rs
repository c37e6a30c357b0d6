//! `stop`: asking a container to end, and making it end if it does not.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::restart::Policy;
use super::state::{Started, State};
use super::{Container, Engine, events};
use crate::error::{Doing, Result};
use crate::kernel::signal;
use crate::store::write;

/// How a container is asked to end; what is not said, it was created with.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// The command by which it is asked.
    pub by: &'static str,
    pub signal: Option<i32>,
    /// How many seconds it has before SIGKILL; negative is all the time it wants.
    pub seconds: Option<i64>,
    /// Whether it ends because the host goes down: that says nothing about when the host is there again.
    pub for_host: bool,
    /// Whether it stays even if it were to be removed when it ends.
    pub keeps: bool,
    /// Whether whoever asks removes it: then they clean up after it themselves.
    pub removes: bool,
}

const SECONDS: i64 = 10;

impl Engine {
    /// Sends a container a signal and, if it has not ended in time, SIGKILL. Returns when the container has ended and is cleaned
    /// up after, at once if it does not run. It is not started again by itself.
    pub fn stop(&self, container: &Container, asking: &Asking) -> Result<()> {
        let number = asking.signal.unwrap_or_else(|| container.stop_signal());
        loop {
            let state = container.state()?;
            match &state {
                State::Created => return Ok(()),
                // One that the host's start would start again, does not.
                State::Exited(_) if !asking.for_host && !asking.removes && container.stopped()?.is_none() => {
                    return container.record_stop(asking, number);
                }
                State::Exited(_) => return Ok(()),
                State::Restarting(_) => {
                    container.record_stop(asking, number)?;
                    self.end_waiting(container)?;
                }
                State::Running(_) | State::Paused(_) => match container.open_init_of(&state) {
                    Ok((init, started)) => self.end(container, asking, number, init.as_fd(), &started)?,
                    Err(_) if container.state()?.started().is_none() => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn end(&self, container: &Container, asking: &Asking, number: i32, init: BorrowedFd, started: &Started) -> Result<()> {
        let seconds = asking.seconds.or(container.spec.options.stop_timeout).unwrap_or(SECONDS);
        let grace = u64::try_from(seconds).ok().map(Duration::from_secs);
        let doing = || format!("stop container `{}`", container.name());
        // What nobody would start again needs no record of why.
        if !asking.removes || container.spec.options.restart != Policy::No {
            container.record_stop(asking, number)?;
        }
        if asking.keeps {
            write(&container.file("kept"), &asking.by)?;
        }
        // It may have ended since.
        let _ = signal::send(init, number);
        self.let_go_on(container).doing(doing)?;
        events::tell_of(&self.store, container, "kill", &[("signal", number.to_string())]);
        if !wait(init, grace).doing(doing)? {
            let _ = signal::send(init, libc::SIGKILL);
            wait(init, None).doing(doing)?;
        }
        if asking.removes {
            return container.wait_until_left(started);
        }
        self.wait_until_buried(container, started)?;
        events::tell_of(&self.store, container, "stop", &[]);
        Ok(())
    }
}

impl Container {
    /// The signal that asks the container to end.
    pub fn stop_signal(&self) -> i32 {
        self.spec.options.stop_signal.unwrap_or(libc::SIGTERM)
    }
}

/// Waits until a process has ended. Returns false if it has not within `time`.
pub fn wait(process: BorrowedFd, time: Option<Duration>) -> rustix::io::Result<bool> {
    let time = time.map(|time| Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: time.subsec_nanos().into(),
    });
    let mut set = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut set, time.as_ref())).map(|ready| ready > 0)
}
