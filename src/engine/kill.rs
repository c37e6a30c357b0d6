//! `kill`: a signal for a container's first process.

use super::stop::Asking;
use super::{Container, Engine, events};
use crate::error::{Doing, Result};
use crate::kernel::signal;

impl Engine {
    /// Sends a running container a signal. After SIGKILL this returns when the container has ended and is cleaned up after.
    ///
    /// A container that somebody makes end, or asks to with its own signal, is not started again by itself.
    pub fn kill(&self, container: &Container, number: i32) -> Result<()> {
        let (init, started) = container.open_init()?;
        let ends = number == libc::SIGKILL || number == container.stop_signal();
        if ends {
            let asking = Asking {
                by: "kill",
                ..Asking::default()
            };
            container.record_stop(&asking, number)?;
        }
        let doing = || format!("send signal {number} to container `{}`", container.name());
        signal::send(&init, number).doing(doing)?;
        if ends {
            // One that stands still does not end.
            self.let_go_on(container).doing(doing)?;
        }
        events::tell_of(&self.store, container, "kill", &[("signal", number.to_string())]);
        if number == libc::SIGKILL {
            super::stop::wait(std::os::fd::AsFd::as_fd(&init), None).doing(doing)?;
            self.wait_until_buried(container, &started)?;
        }
        Ok(())
    }
}
