//! Waiting for what another process is about to do, of which the kernel tells nobody.

use std::thread;
use std::time::{Duration, Instant};

use super::Container;
use crate::error::{Error, Result};

/// How long somebody else may be busy with a container.
pub const BUSY: Duration = Duration::from_secs(30);

/// What is waited for usually takes less than this, and many who look that often would keep busy whom they wait for.
const FIRST: Duration = Duration::from_micros(200);
const LONGEST: Duration = Duration::from_millis(20);

/// Looks often at first, then less and less.
pub struct Patience {
    pause: Duration,
    until: Option<Instant>,
}

impl Patience {
    /// Patience that ends after a time.
    pub fn of(time: Duration) -> Patience {
        Patience {
            pause: FIRST,
            until: Some(Instant::now() + time),
        }
    }

    /// Patience that does not end, for what must happen.
    pub fn endless() -> Patience {
        Patience {
            pause: FIRST,
            until: None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
    }

    /// Pauses for whoever is busy with a container. That patience is over is an error.
    pub fn wait_for_others(&mut self, container: &Container) -> Result<()> {
        if self.is_over() {
            let name = container.name();
            return Err(Error::conflict(format!("another command is busy with container `{name}`")));
        }
        self.pause();
        Ok(())
    }

    pub fn pause(&mut self) {
        thread::sleep(self.pause);
        self.pause = (self.pause * 3 / 2).min(LONGEST);
    }
}
