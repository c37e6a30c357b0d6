//! `logs`: what a container has written, as its monitor logged it.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use serde::Deserialize;

use super::{Container, Engine};
use crate::error::{Doing, Error, Result};

/// Which of its streams a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A line of the log.
#[derive(Deserialize)]
struct Line {
    log: String,
    stream: Stream,
}

/// How often a follower looks whether a container has ended whose monitor was killed, which no file tells.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Passes each line of a container's log to `show`. With `follow`, goes on until the container has ended.
    pub fn logs(&self, container: &Container, follow: bool, mut show: impl FnMut(Stream, &str) -> Result<()>) -> Result<()> {
        let path = container.file("log");
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !follow => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                File::create_new(&path).doing(|| format!("make `{}`", path.display()))?
            }
            file => file.doing(|| format!("open `{}`", path.display()))?,
        };
        let mut reader = Lines {
            reader: BufReader::new(file),
            pending: Vec::new(),
        };
        if !follow {
            return reader.read(&mut show);
        }
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).doing(|| "watch the log")?;
        let events = WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        add_watch(&watch, container.file("").as_path(), events).doing(|| "watch the log")?;
        loop {
            // The log is complete before the end is recorded, so in this order nothing is missed.
            let has_ended = !container.state().is_ok_and(|state| state.started().is_some());
            reader.read(&mut show)?;
            if has_ended {
                return Ok(());
            }
            wait(&watch)?;
        }
    }
}

/// Waits until something has happened, and forgets what.
fn wait(watch: impl AsFd) -> Result<()> {
    let time = Timespec {
        tv_sec: LOOK.as_secs() as i64,
        tv_nsec: 0,
    };
    let mut set = [PollFd::new(&watch, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut set, Some(&time))).doing(|| "watch the log")?;
    let mut buffer = [0; 4096];
    while rustix::io::read(&watch, &mut buffer).is_ok_and(|length| length > 0) {}
    Ok(())
}

/// The lines of a log that may still be growing. A line without an end is not shown: either it is being written, or whoever
/// wrote it was killed.
struct Lines {
    reader: BufReader<File>,
    pending: Vec<u8>,
}

impl Lines {
    fn read(&mut self, show: &mut impl FnMut(Stream, &str) -> Result<()>) -> Result<()> {
        loop {
            self.reader.read_until(b'\n', &mut self.pending).doing(|| "read the log")?;
            if self.pending.last() != Some(&b'\n') {
                return Ok(());
            }
            let line: Line =
                serde_json::from_slice(&self.pending).map_err(|wrong| Error::system(wrong).doing("unreadable line in the log"))?;
            show(line.stream, &line.log)?;
            self.pending.clear();
        }
    }
}
