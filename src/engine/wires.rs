//! The wires between a container and its monitor: those of its init, and its standard streams.

use std::fs::File;
use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Uid, fchown};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::bring_up::Trace;
use crate::error::{Doing, Error, Result};
use crate::isolation::Ids;
use crate::kernel::descriptor;
use crate::program::{self, Input, Program, Timing, pipe};

/// The descriptors through which init is started and watched, with our ends of the streams.
pub struct Wires {
    init: program::Wires,
    trace: Option<File>,
    console: Option<OwnedFd>,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

impl Deref for Wires {
    type Target = program::Wires;

    fn deref(&self) -> &program::Wires {
        &self.init
    }
}

impl DerefMut for Wires {
    fn deref_mut(&mut self) -> &mut program::Wires {
        &mut self.init
    }
}

impl Wires {
    /// The wires that every init has, and the standard streams: a terminal, or pipes.
    pub fn new(terminal: bool, interactive: bool) -> Result<Wires> {
        let mut wires = Wires {
            init: program::Wires::new()?,
            trace: None,
            console: None,
            stdin: None,
            stdout: None,
            stderr: None,
        };
        wires.add_release()?;
        if terminal {
            wires.add_console()?
        } else {
            wires.add_streams(interactive)?
        }
        Ok(wires)
    }

    /// Adds the wire on which init tells how long each step took.
    pub fn trace(&mut self) -> Result<()> {
        self.trace = Some(self.init.add_trace()?);
        Ok(())
    }

    fn add_console(&mut self) -> Result<()> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).doing(|| "make a socket")?;
        self.console = Some(ours);
        self.give(Input::Console, theirs)
    }

    fn add_streams(&mut self, interactive: bool) -> Result<()> {
        if interactive {
            let (read, write) = pipe()?;
            self.stdin = Some(write);
            self.give(Input::Stdin, read)?;
        } else {
            self.give(Input::Stdin, File::open("/dev/null").doing(|| "open `/dev/null`")?.into())?;
        }
        let (stdout, write) = pipe()?;
        self.give(Input::Stdout, write)?;
        let (stderr, write) = pipe()?;
        self.give(Input::Stderr, write)?;
        (self.stdout, self.stderr) = (Some(stdout), Some(stderr));
        Ok(())
    }

    /// Our ends.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let streams = [&self.console, &self.stdin, &self.stdout, &self.stderr];
        let streams = streams.into_iter().flatten().map(AsFd::as_fd);
        self.init
            .descriptors()
            .chain(streams)
            .chain(self.trace.iter().map(AsFd::as_fd))
    }

    /// Makes pipes the container's root's, who opens them by their names in `/dev`.
    pub fn give_away(&self, ids: &Ids) -> Result<()> {
        let pipes = [&self.stdin, &self.stdout, &self.stderr];
        let (user, group) = (Uid::from_raw(ids.users.first), Gid::from_raw(ids.groups.first));
        let mut pipes = pipes.into_iter().flatten();
        pipes
            .try_for_each(|pipe| fchown(pipe, Some(user), Some(group)))
            .doing(|| "give away a pipe")
    }

    /// Receives the other end of the container's terminal, if it has one.
    pub fn receive_terminal(&mut self, program: &Program) -> Result<Option<OwnedFd>> {
        let Some(console) = self.console.take() else { return Ok(None) };
        let (_, terminal) = descriptor::receive(&console, &mut [0; 1]).doing(|| "receive the terminal")?;
        if terminal.is_none() {
            // Init ended before it came so far; its report says why.
            self.read_report(program)?;
        }
        terminal
            .map(Some)
            .ok_or_else(|| Error::system("init ended before it had a terminal"))
    }

    pub fn read_trace(&mut self) -> Trace {
        let mut bytes = Vec::new();
        if let Some(trace) = &mut self.trace {
            let _ = trace.read_to_end(&mut bytes);
        }
        let word = |record: &[u8], at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("4 bytes"));
        bytes
            .chunks_exact(size_of::<Timing>())
            .map(|record| (word(record, 0) as usize, word(record, 4)))
            .collect()
    }
}
