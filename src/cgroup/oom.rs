//! When the kernel kills for want of memory: how often it has, and waiting until it does.
//!
//! Version 1 writes to an eventfd that is registered with the cgroup. Version 2 changes a file, which inotify tells. Both
//! also wake up who waits when the cgroup is removed. Its counter cannot be read any more then, not even through a descriptor that was
//! opened before: whoever removes it has to keep what it has counted, for those who come too late.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::Group;
use super::write::write_file;
use crate::error::{Doing, Error, Result};

/// Somebody who waits for the kernel to kill a process of a container.
pub struct OomWatch {
    /// Readable when there may be something to take.
    wake: OwnedFd,
    /// Of version 1: what has been registered must stay open.
    control: Option<File>,
    counter: PathBuf,
    kills: u64,
    /// How many kills there were before, and how many were told of since.
    before: u64,
    told: u64,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomEvent {
    /// So many times since the last one memory was not to be had, and processes were killed.
    Killed(u64),
    /// The container has ended.
    Ended,
    /// Nothing that matters.
    Nothing,
}

/// The file that counts, of version 2. As in that of version 1, a line is `oom_kill N`.
const EVENTS: &str = "memory.events";

/// The file that counts, of version 1.
const CONTROL: &str = "memory.oom_control";

impl Group {
    /// The file that counts how often the kernel killed a process of the container for want of memory: in both versions
    /// a line of it is `oom_kill N`.
    pub fn oom_file(&self) -> Option<File> {
        self.counter().and_then(|file| File::open(file).ok())
    }

    /// How often the kernel has killed a process of the container for want of memory.
    pub fn oom_kills(&self) -> Option<u64> {
        kills(&self.counter()?)
    }

    fn counter(&self) -> Option<PathBuf> {
        let unified = self.unified.iter().map(|directory| directory.join(EVENTS));
        let separate = self.separate.iter().map(|directory| directory.join(CONTROL));
        unified.chain(separate).find(|file| file.exists())
    }

    /// Begins to wait for the kernel to kill a process.
    pub fn watch_oom(&self) -> Result<OomWatch> {
        let Some(counter) = self.counter() else {
            return Err(Error::invalid(
                "this host has no cgroup controller for memory that tells when it runs out",
            ));
        };
        let doing = || format!("watch `{}`", counter.display());
        let (wake, control) = if counter.ends_with(EVENTS) {
            (watch_unified(&counter).doing(doing)?, None)
        } else {
            let (wake, control) = watch_separate(&counter).doing(doing)?;
            (wake, Some(control))
        };
        let before = kills(&counter).unwrap_or(0);
        Ok(OomWatch {
            wake,
            control,
            counter,
            kills: before,
            before,
            told: 0,
        })
    }
}

fn watch_unified(counter: &Path) -> Result<OwnedFd> {
    let wake = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let gone = WatchFlags::MODIFY | WatchFlags::DELETE_SELF;
    inotify::add_watch(&wake, counter, gone)?;
    // It changes when the last process ends.
    inotify::add_watch(&wake, counter.with_file_name("cgroup.events"), gone)?;
    Ok(wake)
}

fn watch_separate(counter: &Path) -> Result<(OwnedFd, File)> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = File::open(counter)?;
    let pair = format!("{} {}", wake.as_raw_fd(), control.as_raw_fd());
    write_file(&counter.with_file_name("cgroup.event_control"), &pair)?;
    Ok((wake, control))
}

impl OomWatch {
    /// Takes what has happened since the last time. It does not wait: that is for poll(2), once nothing more has happened.
    pub fn take(&mut self) -> Result<OomEvent> {
        let told = self.told();
        let Some(kills) = kills(&self.counter) else {
            return Ok(OomEvent::Ended);
        };
        // Version 1 tells before it kills, so that its counter is too late.
        let killed = if self.control.is_some() {
            told
        } else {
            kills - self.kills.min(kills)
        };
        self.kills = kills;
        self.told += killed;
        if killed > 0 {
            return Ok(OomEvent::Killed(killed));
        }
        let events = fs::read_to_string(self.counter.with_file_name("cgroup.events"));
        let is_empty = events.is_ok_and(|events| events.contains("populated 0"));
        Ok(if is_empty { OomEvent::Ended } else { OomEvent::Nothing })
    }

    /// Whether the kernel had killed more often in the end than was told.
    pub fn has_missed(&self, kills: u64) -> bool {
        kills > self.before + self.told
    }

    /// Empties what has woken us. Of version 1 it is a number of times.
    fn told(&self) -> u64 {
        let mut told = 0;
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = rustix::io::read(&self.wake, &mut buffer) {
            if let (8, Some(number)) = (count, buffer.first_chunk()) {
                told += u64::from_ne_bytes(*number);
            }
        }
        told
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// How many processes were killed, if the cgroup still exists.
fn kills(counter: &Path) -> Option<u64> {
    let text = fs::read_to_string(counter).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.map_or(Some(0), |count| count.trim().parse().ok())
}
