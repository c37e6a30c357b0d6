//! `wait`: the exit code of a container when it ends.
//!
//! The monitor is asked, as it is by whoever is attached: so nobody misses the end of a container that is removed then, or
//! started again.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use super::attach::{wait_for_end, want_nothing};
use super::monitor::{self, Attached};
use super::{Container, Engine, State, stop};
use crate::error::{Doing, Result};

/// The end of a container, which may be to come.
pub struct End {
    container: Container,
    known: Known,
}

enum Known {
    Code(i32),
    Comes(Box<Attached>),
    /// The container is about to be started again by itself.
    Later,
}

/// How often it is looked whether a container was started again.
const LOOK: Duration = Duration::from_millis(10);

impl Engine {
    /// Prepares to wait for a container's end. From now on it is not missed.
    pub fn expect_end(&self, container: Container) -> Result<End> {
        let known = look(&container)?;
        Ok(End { container, known })
    }
}

fn look(container: &Container) -> Result<Known> {
    loop {
        match container.state()? {
            State::Created => return Ok(Known::Code(0)),
            State::Exited(exit) => return Ok(Known::Code(exit.code)),
            State::Restarting(_) => return Ok(Known::Later),
            _ => {}
        }
        match monitor::connect(container) {
            Ok(attached) => {
                want_nothing(&attached)?;
                return Ok(Known::Comes(Box::new(attached)));
            }
            Err(error) if container.state()?.is_live() => return Err(error),
            // It has ended meanwhile.
            Err(_) => {}
        }
    }
}

impl End {
    /// Waits for the end. Returns the exit code, which is 0 for a container that never ran.
    pub fn code(self) -> Result<i32> {
        let mut known = self.known;
        loop {
            match known {
                Known::Code(code) => return Ok(code),
                Known::Later => thread::sleep(LOOK),
                Known::Comes(attached) => {
                    if let Some(code) = wait_for_end(&attached)? {
                        return Ok(code);
                    }
                    // The monitor has no room for one more client, or was killed. Its container ends, and there is a record of it.
                    stop::wait(attached.init.as_fd(), None).doing(|| "wait for the container")?;
                    thread::sleep(LOOK);
                }
            }
            known = look(&self.container)?;
        }
    }
}
