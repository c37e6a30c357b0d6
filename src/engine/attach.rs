//! `attach`: carrying what is typed to a container and what it writes to the user, until one of them ends.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{SendFlags, send};

use super::monitor::Attached;
use super::monitor::protocol::{MESSAGE, ask, tell};
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;
use crate::kernel::descriptor::wait_for;
use crate::kernel::signal::{self, Signals};
use crate::kernel::terminal::{self, Raw};

/// The signals that are passed on to the container, and the one that tells of a new window size.
const PASSED_ON: [i32; 6] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// What the user and the container are connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Whether the container has a terminal, so that the user's own becomes transparent.
    pub terminal: bool,
    /// Whether what the user types reaches the container.
    pub input: bool,
}

impl Streams {
    /// Checks that the user has what the container wants of them.
    pub fn check(self) -> Result<()> {
        if self.terminal && self.input && !terminal::is_terminal(io::stdin()) {
            return Err(Error::invalid("the input device is not a TTY").hint("leave out `-t` where the input is no terminal"));
        }
        Ok(())
    }
}

/// The user's side of a connection.
pub struct User {
    stdin: io::Stdin,
    input: bool,
    raw: Option<Raw>,
    pub signals: Signals,
}

impl User {
    /// Gets the user's terminal and signals ready.
    pub fn connect(streams: Streams) -> Result<User> {
        let signals = Signals::catch(&[&PASSED_ON[..], &[libc::SIGWINCH]].concat()).doing(|| "catch signals")?;
        let stdin = io::stdin();
        let raw = (streams.terminal && streams.input)
            .then(|| Raw::enter(&stdin))
            .transpose()
            .doing(|| "make the terminal raw")?;
        Ok(User {
            stdin,
            input: streams.input,
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

    /// Reads what the user typed. Nothing means the end.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> &'a [u8] {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&self.stdin, &mut *buffer)).unwrap_or(0);
        if length == 0 {
            self.input = false;
        }
        &buffer[..length]
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

/// Carries everything between the user and the container's monitor until the container has ended. Returns its exit code.
pub fn attach(attached: &Attached, streams: Streams) -> Result<i32> {
    let mut user = User::connect(streams)?;
    let mut buffer = vec![0; MESSAGE];
    let tell_size = |user: &User| -> Result<()> {
        match user.window().filter(|_| streams.terminal) {
            Some((rows, columns)) => tell(
                &attached.socket,
                ask::RESIZE,
                &[rows.to_ne_bytes(), columns.to_ne_bytes()].concat(),
            ),
            None => Ok(()),
        }
    };
    tell_size(&user)?;
    loop {
        let [output, input, signal] = wait_for([Some(attached.socket.as_fd()), user.input(), Some(user.signals.as_fd())])?;
        if output && let Some(code) = take_message(&attached.socket, &mut buffer)? {
            user.leave();
            return Ok(code);
        }
        if input {
            let typed = user.read(&mut buffer[..MESSAGE - 1]);
            let (kind, typed) = if typed.is_empty() {
                (ask::END, &[][..])
            } else {
                (ask::INPUT, typed)
            };
            tell(&attached.socket, kind, typed)?;
        }
        while signal && let Some(number) = user.signals.take() {
            if number == libc::SIGWINCH {
                tell_size(&user)?
            } else {
                pass_on(&attached.init, number)
            }
        }
    }
}

/// Sends the monitor a message. If it is gone, its last message tells what happened.
fn tell(socket: &OwnedFd, kind: u8, content: &[u8]) -> Result<()> {
    match send(socket, &[&[kind], content].concat(), SendFlags::NOSIGNAL) {
        Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
        result => result.map(|_| ()).doing(|| "write to the container"),
    }
}

/// Takes one message of the monitor. Returns the exit code if that is what it tells.
fn take_message(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Option<i32>> {
    let (length, _) = descriptor::receive(socket, buffer).doing(|| "read from the container")?;
    match &buffer[..length] {
        [tell::STDOUT, bytes @ ..] => show(false, bytes).map(|()| None),
        [tell::STDERR, bytes @ ..] => show(true, bytes).map(|()| None),
        &[tell::EXIT, a, b, c, d] => Ok(Some(i32::from_ne_bytes([a, b, c, d]))),
        [] => Err(Error::system("the container's monitor was killed")),
        _ => Ok(None),
    }
}

/// Passes a signal on. A process that has just ended does not need it any more.
pub fn pass_on(process: &OwnedFd, number: i32) {
    let _ = signal::send(process, number);
}

/// Reads everything that is there now from a descriptor that is ready. Nothing means the end.
pub fn read_some<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> &'a [u8] {
    let length = loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal whose other end is closed fails instead of ending.
            result => break result.unwrap_or(0),
        }
    };
    &buffer[..length]
}
