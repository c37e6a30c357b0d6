//! `attach`: carrying what is typed to a container and what it writes to the user, until one of them ends.

mod keys;
mod user;

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
            return Err(Error::conflict(format!("container `{}` is not running", container.name()))
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
    let mut user = User::connect(streams)?;
    let mut buffer = vec![0; MESSAGE];
    tell(&attached.socket, ask::ATTACH, &[wants(streams)])?;
    if let Some((rows, columns)) = user.window().filter(|_| redraw && streams.terminal) {
        resize(attached, (rows + 1, columns + 1))?;
    }
    let tell_size = |user: &User| match user.window().filter(|_| streams.terminal) {
        Some(size) => resize(attached, size),
        None => Ok(()),
    };
    tell_size(&user)?;
    // What the monitor cannot take now waits here: whoever waited for the monitor would not see what it sends.
    let mut waiting: Option<Vec<u8>> = None;
    loop {
        if user.input().is_none() && waiting.is_none() && !streams.output && !streams.errors {
            return Ok(Left::Fed);
        }
        let monitor = PollFlags::IN
            | if waiting.is_some() {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
        let typing = user.input().filter(|_| waiting.is_none());
        let [socket, input, signal] = wait_to([
            Some((attached.socket.as_fd(), monitor)),
            typing.map(|input| (input, PollFlags::IN)),
            Some((user.signals.as_fd(), PollFlags::IN)),
        ])?;
        if socket.intersects(!PollFlags::OUT)
            && let Some(code) = take_message(&attached.socket, streams, &mut buffer)?
        {
            user.leave();
            return Ok(Left::Ended(code));
        }
        if socket.contains(PollFlags::OUT)
            && let Some(message) = waiting.take()
        {
            waiting = offer(&attached.socket, message)?;
        }
        if !input.is_empty() {
            match user.read(&mut buffer[..MESSAGE / 2]) {
                Typed::Leave(bytes) => {
                    // It is the last that is typed, and may be waited for.
                    tell(&attached.socket, ask::INPUT, &bytes)?;
                    user.leave();
                    return Ok(Left::Detached);
                }
                Typed::Bytes(bytes) => waiting = offer(&attached.socket, [&[ask::INPUT], &bytes[..]].concat())?,
                Typed::End => waiting = offer(&attached.socket, vec![ask::END])?,
            }
        }
        while !signal.is_empty()
            && let Some(number) = user.signals.take()
        {
            if number == libc::SIGWINCH {
                tell_size(&user)?
            } else {
                pass_on(&attached.init, number)
            }
        }
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

/// Passes a signal on. A process that has just ended does not need it any more.
pub fn pass_on(process: &OwnedFd, number: i32) {
    let _ = signal::send(process, number);
}
