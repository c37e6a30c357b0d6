//! `logs`: what a container has written, as its monitor logged it.

mod config;
mod files;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use serde::Deserialize;

use super::restart::Policy;
use super::{Container, Engine, stop};
use crate::error::{Doing, Error, Result};
use crate::store::{Lock, clock};
pub use config::{Driver, LogConfig};
use files::Part;
pub use files::open_to_append;

/// Which of its streams a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// What was written, with its line feed.
    pub log: String,
    pub stream: Stream,
    /// What the container's `--log-opt` adds to each line.
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
    /// In RFC 3339.
    pub time: String,
}

/// Which lines are asked for. Times are how long after 1970 they are.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whether to go on until the container has ended.
    pub follow: bool,
    /// Only the last so many of what there is.
    pub tail: Option<u64>,
    pub since: Option<Duration>,
    pub until: Option<Duration>,
}

/// Who is shown the lines of a log.
pub trait Reader {
    fn show(&mut self, line: &Line) -> Result<()>;

    /// There are no more lines for now.
    fn pause(&mut self) -> Result<()>;
}

/// How often a follower looks whether a container has ended whose monitor was killed, which no file tells.
const LOOK: Duration = Duration::from_secs(1);

/// How much is read at once.
const ROOM: usize = 64 << 10;

impl Engine {
    /// Shows a reader the lines of a container's log that are asked for.
    pub fn logs(&self, container: &Container, asked: &Asked, reader: &mut impl Reader) -> Result<()> {
        if container.spec.options.log.driver == Driver::None {
            return Err(Error::conflict(format!("container `{}` keeps no log", container.name()))
                .hint("it was created with `--log-driver none`"));
        }
        let watch = asked.follow.then(|| watch(container)).transpose()?;
        let mut parts = files::open(container)?;
        if let Some(count) = asked.tail {
            files::keep_last(&mut parts, count)?;
        }
        if let Some(since) = asked.since {
            files::keep_since(&mut parts, since)?;
        }
        let mut reading = Reading {
            since: asked.since,
            until: asked.until,
            buffer: vec![0; ROOM],
            reader,
        };
        let last = reading.show_all(parts)?;
        match (watch, last) {
            (Some(watch), Some(last)) => reading.follow(container, last, &watch),
            _ => Ok(()),
        }
    }
}

impl Engine {
    /// The last lines of a container's log, if it has one.
    pub fn last_lines(&self, container: &Container, count: u64) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        if container.spec.options.log.driver != Driver::None {
            let asked = Asked {
                tail: Some(count),
                ..Asked::default()
            };
            self.logs(container, &asked, &mut lines)?;
        }
        Ok(lines)
    }
}

impl Reader for Vec<Line> {
    fn show(&mut self, line: &Line) -> Result<()> {
        self.push(line.clone());
        Ok(())
    }

    fn pause(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Watches the directory that the log is in: what is written to it, and that it is renamed.
fn watch(container: &Container) -> Result<OwnedFd> {
    let doing = || "watch the log";
    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).doing(doing)?;
    let events = WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    add_watch(&watch, container.file("").as_path(), events).doing(doing)?;
    Ok(watch)
}

/// Where a reader is that has been shown all that there is, unless it wants no more.
type Place = Option<Option<Part>>;

struct Reading<'a, R> {
    since: Option<Duration>,
    until: Option<Duration>,
    buffer: Vec<u8>,
    reader: &'a mut R,
}

impl<R: Reader> Reading<'_, R> {
    /// Shows several parts, oldest first.
    fn show_all(&mut self, parts: Vec<Part>) -> Result<Place> {
        let mut last = None;
        for mut part in parts {
            if !self.show(&mut part)? {
                return self.reader.pause().map(|()| None);
            }
            last = Some(part);
        }
        self.reader.pause().map(|()| Some(last))
    }

    /// Goes on until the container has ended.
    fn follow(&mut self, container: &Container, mut last: Option<Part>, watch: &OwnedFd) -> Result<()> {
        loop {
            // The log is complete before the end is recorded, so in this order nothing is missed.
            let has_ended = has_ended(container);
            // What is no longer the newest file is not written to any more, so what is read of it then is all.
            let is_newest = last.as_ref().is_some_and(|last| last.is_newest(container));
            if let Some(part) = &mut last
                && !self.show(part)?
            {
                return self.reader.pause();
            }
            if !is_newest {
                let parts = match &last {
                    Some(last) => files::newer(container, last)?,
                    None => files::open(container)?,
                };
                match self.show_all(parts)? {
                    None => return Ok(()),
                    Some(None) => {}
                    // There may be newer ones by now.
                    Some(newer) => {
                        last = newer;
                        continue;
                    }
                }
            }
            self.reader.pause()?;
            let left = self.until.map(|until| until.saturating_sub(clock::since_1970()));
            if has_ended || left == Some(Duration::ZERO) {
                return Ok(());
            }
            wait(watch, left.map_or(LOOK, |left| left.min(LOOK)))?;
        }
    }

    /// Shows the lines of a part. A line without an end is not shown: either it is being written, or whoever wrote it was
    /// killed, and then it is no line. Returns false if the reader wants no more.
    fn show(&mut self, part: &mut Part) -> Result<bool> {
        let mut kept = 0;
        loop {
            let length = part.read(&mut self.buffer[kept..], part.at + kept as u64)?;
            if length == 0 {
                return Ok(true);
            }
            let filled = kept + length;
            let mut begin = 0;
            while let Some(end) = self.buffer[begin..filled].iter().position(|byte| *byte == b'\n') {
                let line = Line::parse(&self.buffer[begin..begin + end]);
                if let Some(line) = line
                    && !self.show_line(&line)?
                {
                    return Ok(false);
                }
                begin += end + 1;
            }
            self.buffer.copy_within(begin..filled, 0);
            part.at += begin as u64;
            kept = filled - begin;
            if kept == self.buffer.len() {
                self.buffer.resize(2 * kept, 0);
            }
        }
    }

    fn show_line(&mut self, line: &Line) -> Result<bool> {
        if self.since.is_none() && self.until.is_none() {
            return self.reader.show(line).map(|()| true);
        }
        let time = clock::parse(&line.time).unwrap_or_default();
        if self.until.is_some_and(|until| time > until) {
            return Ok(false);
        }
        if self.since.is_none_or(|since| time >= since) {
            self.reader.show(line)?;
        }
        Ok(true)
    }
}

/// Whether nothing more is written. One that may be started again by itself has an end when nobody is responsible for it.
fn has_ended(container: &Container) -> bool {
    let may_go_on = || container.spec.options.restart != Policy::No && Lock::is_held(&container.run_file("lock"));
    // In this order: whoever waits to start it holds the lock from before it ends.
    !may_go_on() && !container.state().is_ok_and(|state| state.is_live())
}

/// Waits until something has happened, and forgets what.
fn wait(watch: &OwnedFd, time: Duration) -> Result<()> {
    stop::wait(watch.as_fd(), Some(time)).doing(|| "watch the log")?;
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|length| length > 0) {}
    Ok(())
}
