//! Starting init with a program, and what it reports.

use std::io::{self, Read};
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use super::encode::no_program_yet;
use super::instruction::ROOM;
use super::{Descriptors, Failure, Image, Program, Step, Success};
use crate::error::{Doing, Error, Kind, Result, errno_text};
use crate::kernel::memfd;
use crate::kernel::process::{Child, Spawn};
use crate::kernel::signal;

/// What init has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A copy of init, with this process id, takes the steps that follow.
    Forked(i32),
    /// It has come to a step that was to be told of.
    Reached,
    /// A step, by its index, failed with an errno(3) number.
    Failed(usize, i32),
    /// It has become the command, or was killed.
    Closed,
}

impl Program {
    /// Starts init with this program, in new namespaces (`CLONE_NEW…` flags) and in a version 2 cgroup. It inherits which signals
    /// are ignored; afterwards SIGPIPE is, here.
    pub fn start(&self, descriptors: &Descriptors, namespaces: u64, cgroup: Option<BorrowedFd>) -> Result<Child> {
        execute(&Image::INIT.with(&self.encode(descriptors)), Spawn { namespaces, cgroup })
    }

    /// Waits for init's next report.
    pub fn read_report(&self, from: &mut impl Read) -> Result<Report> {
        let Some((step, number)) = read_words(from)? else {
            return Ok(Report::Closed);
        };
        let success = self.steps.get(step).map(|step| step.success);
        Ok(match (success, number) {
            (Some(Success::Forking), ..0) => Report::Forked(number.saturating_neg()),
            (Some(_), 0) => Report::Reached,
            _ => Report::Failed(step, number),
        })
    }

    /// What it means that a step, by its index, failed.
    pub fn failure(&self, index: usize, errno: i32) -> Error {
        let Some(step) = self.steps.get(index) else {
            return Error::system(format!("init reports an unknown step, {index}"));
        };
        if step.is_execution() {
            return execution_failure(&step.command().unwrap_or_default(), errno);
        }
        match self.asked.iter().find(|(asked, _)| *asked == index) {
            Some((_, what)) => Error::new(Kind::CommandNotExecutable, errno_text(errno)).doing(what),
            None => Error::system(errno_text(errno)).doing(format!("step {}, {}", index + 1, step.show(self))),
        }
    }
}

/// Starts init in the same way, but with its program to come on `wire`, a socket that it inherits.
pub fn start_without_program(wire: i32, namespaces: u64, cgroup: Option<BorrowedFd>) -> Result<Child> {
    execute(
        &Image::INIT.with_room(&no_program_yet(wire), ROOM),
        Spawn { namespaces, cgroup },
    )
}

fn execute(image: &[u8], spawn: Spawn) -> Result<Child> {
    let image = memfd::sealed("tinydock-init", image).doing(|| "make init")?;
    let init = spawn.execute(&image);
    // Init may be gone when we write to it, which is not a reason for us to end.
    signal::ignore(libc::SIGPIPE);
    init.doing(|| "start init")
}

/// What can still fail once init has told that it has come to where it waits to be started. Whoever starts it need not have the
/// program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The index of the first of these steps.
    first: usize,
    steps: Vec<Ending>,
}

/// A step of the tail: the call as it is shown, or the command that is executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    Call(String),
    Execution(Vec<u8>),
}

impl Program {
    /// The steps from the first that waits for a connection on.
    pub fn tail(&self) -> Tail {
        let waits = |step: &Step| step.call.name == "accept4";
        let first = self.steps.iter().position(waits).unwrap_or(self.steps.len());
        let ending = |step: &Step| match step.command() {
            Some(command) if step.is_execution() => Ending::Execution(command),
            _ => Ending::Call(step.show(self)),
        };
        Tail {
            first,
            steps: self.steps[first..].iter().map(ending).collect(),
        }
    }
}

impl Tail {
    /// Waits for init's next report.
    pub fn read_report(&self, from: &mut impl Read) -> Result<Report> {
        Ok(match read_words(from)? {
            None => Report::Closed,
            Some((_, 0)) => Report::Reached,
            Some((step, errno)) => Report::Failed(step, errno),
        })
    }

    /// What it means that a step, by its index, failed.
    pub fn failure(&self, index: usize, errno: i32) -> Error {
        match index.checked_sub(self.first).and_then(|n| self.steps.get(n)) {
            None => Error::system(format!("init reports an unknown step, {index}")),
            Some(Ending::Execution(command)) => execution_failure(command, errno),
            Some(Ending::Call(shown)) => Error::system(errno_text(errno)).doing(format!("step {}, {shown}", index + 1)),
        }
    }
}

/// Reads one report: a step's index, and a number that says what of it. None is the end.
fn read_words(from: &mut impl Read) -> Result<Option<(usize, i32)>> {
    let mut bytes = [0; size_of::<Failure>()];
    let length = read_once(from, &mut bytes).doing(|| "read init's report")?;
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    Ok((length > 0).then(|| (word(0) as usize, word(4) as i32)))
}

/// Reads one report: they are written, and so arrive, as a whole.
fn read_once(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The command could not be executed: the kind of error decides the exit status, as in shells.
fn execution_failure(command: &[u8], errno: i32) -> Error {
    let name = String::from_utf8_lossy(command);
    match errno {
        libc::ENOENT | libc::ENOTDIR if command.contains(&b'/') => Error::new(Kind::CommandNotFound, errno_text(errno)),
        libc::ENOENT | libc::ENOTDIR => Error::new(Kind::CommandNotFound, "not found in the container's PATH"),
        _ => Error::new(Kind::CommandNotExecutable, errno_text(errno)),
    }
    .doing(format!("execute `{name}`"))
}
