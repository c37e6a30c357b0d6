//! Who a command belongs to that was executed in a container.
//!
//! A command ends with whoever executed it: nobody would see what it writes, and nobody could stop it. But a user may leave the
//! terminal of one and let it go on. Such a command is the child of a process of its own, a fork of the command that the user
//! typed, which keeps the terminal. It kills its child if the user's command dies, and not if that says that it leaves.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::ends::Ends;
use crate::engine::attach::{Left, pass_on};
use crate::engine::monitor::detach_from_terminal;
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor::{self, wait_for};
use crate::kernel::process::{Child, Fork, exit_now, fork};
use crate::kernel::signal;

/// Messages of the keeper: the command runs, with its terminal; it does not, and why; it ended, with its exit code.
const STARTED: u8 = b's';
const FAILED: u8 = b'f';
const ENDED: u8 = b'x';
/// Messages to the keeper: pass on a signal; keep the command for nobody.
const SIGNAL: u8 = b'k';
const LEAVE: u8 = b'l';

/// The longest message: an error.
const MESSAGE: usize = 16 << 10;

/// A command that runs.
pub enum Process {
    Ours(Child),
    /// The connection to whoever keeps it.
    Kept(OwnedFd),
}

impl Process {
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Process::Ours(child) => child.pidfd.as_fd(),
            Process::Kept(keeper) => keeper.as_fd(),
        }
    }

    pub fn pass_on(&self, number: i32) {
        match self {
            Process::Ours(child) => pass_on(&child.pidfd, number),
            Process::Kept(keeper) => tell(keeper, &[SIGNAL, number as u8]),
        }
    }

    pub fn kill(&self) {
        self.pass_on(libc::SIGKILL);
        if let Process::Ours(child) = self {
            let _ = child.wait();
        }
    }

    /// Lets the command go on without us.
    pub fn leave(&self) -> Result<Left> {
        if let Process::Kept(keeper) = self {
            tell(keeper, &[LEAVE]);
        }
        Ok(Left::Detached)
    }

    /// Waits for the command's end. Returns its exit code.
    pub fn code(&self) -> Result<i32> {
        let doing = || "wait for the command";
        match self {
            Process::Ours(child) => Ok(child.wait().doing(doing)?.code()),
            Process::Kept(keeper) => {
                let mut message = [0; 5];
                let (length, _) = descriptor::receive(keeper, &mut message).doing(doing)?;
                match message {
                    [ENDED, a, b, c, d] if length == 5 => Ok(i32::from_ne_bytes([a, b, c, d])),
                    _ => Err(Error::system("whoever kept the command was killed")),
                }
            }
        }
    }
}

/// Has a process start a command and keep it.
pub fn start(start: impl FnOnce() -> Result<(Child, Ends)>) -> Result<(Process, Ends)> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.doing(|| "make a socket")?;
    match fork().doing(|| "start a process that keeps the command")? {
        Fork::Child => {
            drop(ours);
            let _ = rustix::process::setsid();
            detach_from_terminal();
            match start() {
                Ok((child, ends)) => keep(&child, &ends, theirs),
                Err(error) => {
                    let json = serde_json::to_vec(&error).unwrap_or_default();
                    tell(&theirs, &[&[FAILED], &json[..]].concat());
                }
            }
            exit_now(0)
        }
        Fork::Parent(_) => {
            // What the command is started by must be the keeper's alone.
            drop((start, theirs));
            let mut message = vec![0; MESSAGE];
            let (length, terminal) = descriptor::receive(&ours, &mut message).doing(|| "wait for the command")?;
            match (&message[..length], terminal) {
                ([STARTED], Some(terminal)) => Ok((Process::Kept(ours), Ends::of_terminal(terminal)?)),
                ([FAILED, json @ ..], _) => Err(serde_json::from_slice(json).unwrap_or_else(Error::system)),
                _ => Err(Error::system("whoever keeps the command was killed")),
            }
        }
    }
}

/// Keeps a command until it has ended.
fn keep(child: &Child, ends: &Ends, user: OwnedFd) {
    let Some(terminal) = ends.terminal() else { return };
    let mut user = descriptor::send(&user, &[STARTED], terminal).is_ok().then_some(user);
    if user.is_none() {
        let _ = signal::send(&child.pidfd, libc::SIGKILL);
    }
    let mut is_left = false;
    loop {
        // Once the user has left, what the command writes goes nowhere, and must not make it wait.
        let waited = wait_for([
            user.as_ref().map(AsFd::as_fd),
            Some(child.pidfd.as_fd()),
            Some(terminal).filter(|_| is_left),
        ]);
        let Ok([said, ended, written]) = waited else { return };
        let mut buffer = [0; 4096];
        if said && let Some(connection) = &user {
            let length = descriptor::receive(connection, &mut buffer).map_or(0, |(length, _)| length);
            match buffer[..length] {
                [SIGNAL, number] => pass_on(&child.pidfd, number.into()),
                [LEAVE] => is_left = true,
                _ => {
                    user = None;
                    if !is_left {
                        let _ = signal::send(&child.pidfd, libc::SIGKILL);
                    }
                }
            }
        }
        if ended {
            let code = child.wait().map_or(-1, |ending| ending.code());
            if let Some(user) = &user {
                tell(user, &[&[ENDED], &code.to_ne_bytes()[..]].concat());
            }
            return;
        }
        if written && rustix::io::read(terminal, &mut buffer).is_err_and(|error| error != rustix::io::Errno::AGAIN) {
            // Everything that had the terminal open is gone, but for the command, which may have closed it.
            is_left = false;
            user = None;
        }
    }
}

/// Sends a message to somebody who may be gone.
fn tell(socket: &OwnedFd, message: &[u8]) {
    let _ = send(socket, message, SendFlags::NOSIGNAL);
}
