//! The user's side of a connection: their terminal, what they type, and the signals that reach us for the container.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::keys::{DetachKeys, Escape};
use crate::error::{Doing, Error, Result};
use crate::kernel::signal::{self, Signals};
use crate::kernel::terminal::{self, Raw};

/// What the user and the container are connected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Whether the container has a terminal, so that the user's own becomes transparent.
    pub terminal: bool,
    /// Whether what the user types reaches the container.
    pub input: bool,
    /// Whether the user sees what it writes.
    pub output: bool,
    pub errors: bool,
    /// Whether signals that we get are passed on to it.
    pub signals: bool,
    /// What is typed at a terminal to leave.
    pub keys: DetachKeys,
}

impl Streams {
    /// What users want who say nothing else.
    pub fn new(terminal: bool, input: bool) -> Streams {
        Streams {
            terminal,
            input,
            output: true,
            errors: true,
            signals: true,
            keys: DetachKeys::default(),
        }
    }

    /// Checks that the user has what the container wants of them.
    pub fn check(&self) -> Result<()> {
        if self.terminal && self.input && !terminal::is_terminal(io::stdin()) {
            return Err(Error::invalid("the input device is not a TTY").hint("leave out `-t` where the input is no terminal"));
        }
        Ok(())
    }
}

/// What is not passed on: what cannot be caught, what tells of our own faults, children, pipes, urgent data and window, and
/// what stops us where we use a terminal that is not ours now. The numbers from 32 up to the first for users are the C library's.
const OURS: [i32; 14] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The user's side of a connection.
pub struct User {
    stdin: io::Stdin,
    input: bool,
    raw: Option<Raw<io::Stdin>>,
    escape: Option<Escape>,
    pub signals: Signals,
}

/// What became of what the user typed.
pub enum Typed {
    /// It goes on to the container; it may be nothing.
    Bytes(Vec<u8>),
    /// There will be no more.
    End,
    /// The user wants to leave, after these bytes.
    Leave(Vec<u8>),
}

impl User {
    /// Gets the user's terminal and signals ready.
    pub fn connect(streams: &Streams) -> Result<User> {
        let all = (1..32).chain(signal::REAL_TIME);
        let passed_on = all.filter(|number| streams.signals && !OURS.contains(number));
        let caught: Vec<i32> = passed_on.chain([libc::SIGWINCH]).collect();
        let signals = Signals::catch(&caught).doing(|| "catch signals")?;
        let stdin = io::stdin();
        let raw = (streams.terminal && streams.input)
            .then(|| Raw::enter(io::stdin()))
            .transpose()
            .doing(|| "make the terminal raw")?;
        Ok(User {
            stdin,
            input: streams.input,
            escape: raw.is_some().then(|| Escape::new(&streams.keys)),
            raw,
            signals,
        })
    }

    /// The size of the user's terminal.
    pub fn window(&self) -> Option<(u16, u16)> {
        terminal::size(&self.stdin).or_else(|| terminal::size(io::stdout()))
    }

    /// Where the user's input is read from, until it has ended.
    pub fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.then(|| self.stdin.as_fd())
    }

    /// Reads what the user typed.
    pub fn read(&mut self, buffer: &mut [u8]) -> Typed {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&self.stdin, &mut *buffer)).unwrap_or(0);
        let typed = &buffer[..length];
        if typed.is_empty() {
            self.input = false;
            return Typed::End;
        }
        let Some(escape) = &mut self.escape else {
            return Typed::Bytes(typed.to_vec());
        };
        let mut passed = Vec::with_capacity(length);
        if escape.type_in(typed, &mut passed) {
            return Typed::Leave(passed);
        }
        Typed::Bytes(passed)
    }

    /// Gives the terminal back to the user.
    pub fn leave(&mut self) {
        self.raw = None;
    }
}

/// Writes what a container wrote to the same stream of ours. A reader that has gone ends us, as it ends any writer.
pub fn show(stderr: bool, bytes: &[u8]) -> Result<()> {
    let written = if stderr {
        io::stderr().write_all(bytes)
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    };
    written.doing(|| "write what the container wrote")
}
