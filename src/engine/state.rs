//! What is true of a container: the records of its starts and ends, and the state that follows from them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::pause::is_paused;
use crate::error::Result;
use crate::store::{Lock, clock, read_if_present};

/// The record of a start. It says nothing about whether the container still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The container's init.
    pub pid: i32,
    /// In RFC 3339.
    pub at: String,
}

/// The record of an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// As shells count it: 128+n for a death by signal n.
    pub code: i32,
    /// The signal that killed it, or 0.
    pub signal: i32,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// In RFC 3339.
    pub finished: String,
    /// With whom it ended, if nobody was left to see how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// What ends a container with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lost {
    /// The kernel kills init when its monitor dies.
    Monitor,
    /// The host went down.
    Host,
}

impl Lost {
    /// With whom a container ended that has this run directory.
    pub fn at(run: &Path) -> Lost {
        if run.exists() { Lost::Monitor } else { Lost::Host }
    }
}

impl Exit {
    /// An end that nobody has seen.
    pub fn lost(with: Lost) -> Exit {
        Exit {
            code: 137,
            signal: libc::SIGKILL,
            oom_killed: false,
            finished: clock::now(),
            lost: Some(with),
        }
    }
}

/// What is true of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Created,
    Running(Started),
    /// It runs, but somebody has made its processes stand still.
    Paused(Started),
    /// It has ended and will be started again by itself.
    Restarting(Exit),
    Exited(Exit),
}

impl State {
    /// What is true of the container with this directory and run directory. Whether it `returns` after an end is only asked if it may.
    pub fn find(directory: &Path, run: &Path, returns: impl FnOnce(&Exit) -> Result<bool>) -> Result<State> {
        let lock = run.join("lock");
        if Lock::is_held(&lock) {
            return State::of_held(directory, run, returns);
        }
        // In this order: the monitor writes the record of the end before it lets go of the lock, and somebody may start it just now.
        let started: Option<Started> = read_if_present(&directory.join("started"))?;
        if Lock::is_held(&lock) {
            return State::of_held(directory, run, returns);
        }
        Ok(match (read_if_present(&directory.join("exit"))?, started) {
            (Some(exit), _) => State::Exited(exit),
            // Its monitor was killed, or the host was restarted.
            (None, Some(_)) => State::Exited(Exit::lost(Lost::at(run))),
            (None, None) => State::Created,
        })
    }

    /// The same for a container that somebody was just seen to be responsible for.
    pub fn of_held(directory: &Path, run: &Path, returns: impl FnOnce(&Exit) -> Result<bool>) -> Result<State> {
        if let Some(exit) = read_if_present(&directory.join("exit"))? {
            let returns = returns(&exit)?;
            return Ok(if returns {
                State::Restarting(exit)
            } else {
                State::Exited(exit)
            });
        }
        // In this order: if it is removed between the looks, both are missing.
        Ok(match read_if_present(&directory.join("started"))? {
            None => State::Created,
            Some(started) if is_paused(run)? => State::Paused(started),
            Some(started) => State::Running(started),
        })
    }

    /// Whether the container runs, or will again by itself.
    pub fn is_live(&self) -> bool {
        matches!(self, State::Running(_) | State::Paused(_) | State::Restarting(_))
    }

    /// The record of the start of a container that runs, also if it is paused.
    pub fn started(&self) -> Option<&Started> {
        match self {
            State::Running(started) | State::Paused(started) => Some(started),
            _ => None,
        }
    }
}

/// The record of a wait: who starts the container again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub pid: i32,
}

/// The record of somebody's wish that a container ends. It stays until somebody starts the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The command that they used.
    pub by: String,
    /// The signal that was sent first.
    pub signal: i32,
    /// In RFC 3339.
    pub at: String,
}
