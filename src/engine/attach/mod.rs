//! `attach`: carrying what is typed to a container and what it writes to the user, until one of them ends.

mod keys;
mod user;

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::net::{SendFlags, send};

use super::monitor::Attached;
use super::monitor::protocol::{MESSAGE, ask, tell, want};
use super::{Container, Engine, State};
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor::{self, wait_to};
use crate::kernel::signal;
use crate::store::Lock;

pub use keys::DetachKeys;
pub use user::{Streams, Typed, User, show};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The command ended with this exit code.
    Ended(i32),
    /// The user has typed the detach keys, and the command goes on.
    Detached,
    /// The user's input has ended, and they do not want to see anything.
    Fed,
}

impl Engine {
    /// Connects to a running container. The second time, its terminal has nothing new to show; so it is given another size and
    /// then the user's own, which makes programs draw.
    pub fn attach(&self, container: &Container, streams: &Streams) -> Result<Left> {
        let state = container.state()?;
        if matches!(state, State::Paused(_)) {
            return Err(Error::conflict(format!(
                "container `{}` is paused, unpause the container before attach",
                container.name()
            ))
            .hint(format!("`tinydock unpause {}` lets it go on", container.name())));
        }
        if !matches!(state, State::Running(_)) {
            return Err(container
                .not_running()
                .hint(format!("start it with `tinydock start -a {}`", container.name())));
        }
        let attached = super::monitor::connect(container)?;
        carry(&attached, streams, true)
    }
}

/// Carries everything between the user and the container's monitor until the container has ended or the user leaves.
pub fn attach(attached: &Attached, streams: &Streams) -> Result<Left> {
    carry(attached, streams, false)
}

fn carry(attached: &Attached, streams: &Streams, redraw: bool) -> Result<Left> {
    let mut session = Session {
        attached,
        streams,
        user: User::connect(streams)?,
        buffer: vec![0; MESSAGE],
        waiting: None,
    };
    session.begin(redraw)?;
    loop {
        if let Some(left) = session.carry_on()? {
            return Ok(left);
        }
    }
}

/// A user and a container who are connected.
struct Session<'a> {
    attached: &'a Attached,
    streams: &'a Streams,
    user: User,
    buffer: Vec<u8>,
    /// What the monitor cannot take now waits here: whoever waited for the monitor would not see what it sends.
    waiting: Option<Vec<u8>>,
}

impl Session<'_> {
    fn begin(&self, redraw: bool) -> Result<()> {
        tell(&self.attached.socket, ask::ATTACH, &[wants(self.streams)])?;
        if let Some((rows, columns)) = self.window().filter(|_| redraw) {
            resize(self.attached, (rows + 1, columns + 1))?;
        }
        self.tell_size()
    }

    fn window(&self) -> Option<(u16, u16)> {
        self.user.window().filter(|_| self.streams.terminal)
    }

    fn tell_size(&self) -> Result<()> {
        self.window().map_or(Ok(()), |size| resize(self.attached, size))
    }

    /// Waits for whoever is next, and carries what there is. Returns how it ended, if it did.
    fn carry_on(&mut self) -> Result<Option<Left>> {
        let is_fed = self.user.input().is_none() && self.waiting.is_none();
        if is_fed && !self.streams.output && !self.streams.errors {
            return Ok(Some(Left::Fed));
        }
        let monitor = match self.waiting {
            Some(_) => PollFlags::IN | PollFlags::OUT,
            None => PollFlags::IN,
        };
        let typing = self.user.input().filter(|_| self.waiting.is_none());
        let [socket, input, signal] = wait_to([
            Some((self.attached.socket.as_fd(), monitor)),
            typing.map(|input| (input, PollFlags::IN)),
            Some((self.user.signals.as_fd(), PollFlags::IN)),
        ])?;
        if socket.intersects(!PollFlags::OUT)
            && let Some(code) = take_message(&self.attached.socket, self.streams, &mut self.buffer)?
        {
            self.user.leave();
            return Ok(Some(Left::Ended(code)));
        }
        if socket.contains(PollFlags::OUT)
            && let Some(message) = self.waiting.take()
        {
            self.waiting = offer(&self.attached.socket, message)?;
        }
        if !input.is_empty() && self.type_in()? {
            self.user.leave();
            return Ok(Some(Left::Detached));
        }
        if !signal.is_empty() {
            self.pass_signals_on()?;
        }
        Ok(None)
    }

    /// Passes on what was typed. Returns whether the user leaves.
    fn type_in(&mut self) -> Result<bool> {
        let socket = &self.attached.socket;
        match self.user.read(&mut self.buffer[..MESSAGE / 2]) {
            Typed::Leave(bytes) => {
                // It is the last that is typed, and may be waited for.
                tell(socket, ask::INPUT, &bytes)?;
                return Ok(true);
            }
            Typed::Bytes(bytes) => self.waiting = offer(socket, [&[ask::INPUT], &bytes[..]].concat())?,
            Typed::End => self.waiting = offer(socket, vec![ask::END])?,
        }
        Ok(false)
    }

    fn pass_signals_on(&mut self) -> Result<()> {
        while let Some(number) = self.user.signals.take() {
            if number == libc::SIGWINCH {
                self.tell_size()?
            } else {
                pass_on(&self.attached.init, number)
            }
        }
        Ok(())
    }
}

/// What the monitor is to send and to expect.
fn wants(streams: &Streams) -> u8 {
    let wanted = [
        (streams.input, want::INPUT),
        (streams.output, want::STDOUT),
        (streams.errors, want::STDERR),
    ];
    wanted.iter().filter(|(wanted, _)| *wanted).fold(0, |all, (_, bit)| all | bit)
}

fn resize(attached: &Attached, (rows, columns): (u16, u16)) -> Result<()> {
    let size = [rows.to_ne_bytes(), columns.to_ne_bytes()].concat();
    tell(&attached.socket, ask::RESIZE, &size)
}

/// Sends the monitor a message if it can take it now. Returns the message if it cannot.
fn offer(socket: &OwnedFd, message: Vec<u8>) -> Result<Option<Vec<u8>>> {
    match send(socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Err(rustix::io::Errno::AGAIN) => Ok(Some(message)),
        // If it is gone, its last message tells what happened.
        Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(None),
        result => result.map(|_| None).doing(|| "write to the container"),
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
fn take_message(socket: &OwnedFd, streams: &Streams, buffer: &mut [u8]) -> Result<Option<i32>> {
    let length = receive(socket, buffer)?;
    match &buffer[..length] {
        // What was sent before the monitor knew what we want may be more than that.
        [tell::STDOUT, bytes @ ..] if streams.output => show(false, bytes).map(|()| None),
        [tell::STDERR, bytes @ ..] if streams.errors => show(true, bytes).map(|()| None),
        &[tell::EXIT, a, b, c, d] => Ok(Some(i32::from_ne_bytes([a, b, c, d]))),
        [] => Err(Error::system("the container's monitor was killed")),
        _ => Ok(None),
    }
}

/// Receives a message. A monitor that has gone without reading what we have sent leaves an error, and its last messages after it.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    let received = match descriptor::receive(socket, buffer) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => descriptor::receive(socket, buffer),
        received => received,
    };
    received.map(|(length, _)| length).doing(|| "read from the container")
}

/// Tells the monitor that nothing but the end is wanted.
pub fn want_nothing(attached: &Attached) -> Result<()> {
    tell(&attached.socket, ask::ATTACH, &[0])
}

/// Waits for the end of a container, of which nothing else is wanted. Returns nothing if the monitor goes without telling.
pub fn wait_for_end(attached: &Attached) -> Result<Option<i32>> {
    let mut buffer = vec![0; MESSAGE];
    loop {
        let length = receive(&attached.socket, &mut buffer)?;
        match buffer[..length] {
            [] => return Ok(None),
            [tell::EXIT, a, b, c, d] => return Ok(Some(i32::from_ne_bytes([a, b, c, d]))),
            _ => {}
        }
    }
}

/// Tells the monitor, which has told the end, that this process cleans up, and receives the container's lock. There is none if the monitor
/// cleans up itself.
pub fn take_over(attached: &Attached) -> Result<Option<Lock>> {
    tell(&attached.socket, ask::CLEAN, &[])?;
    let mut kind = [0; 1];
    let (_, lock) = descriptor::receive(&attached.socket, &mut kind).doing(|| "read from the container")?;
    Ok(lock.filter(|_| kind == [tell::LOCK]).map(|lock| Lock::from(File::from(lock))))
}

/// Passes a signal on. A process that has just ended does not need it any more.
pub fn pass_on(process: &OwnedFd, number: i32) {
    let _ = signal::send(process, number);
}
