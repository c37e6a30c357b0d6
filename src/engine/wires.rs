//! The wires between init and whoever starts it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use super::start::Trace;
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;
use crate::kernel::process::Child;
use crate::program::{Descriptors, Input, Program, Report, Timing};

/// The descriptors through which init is started and watched: ours, and init's own.
pub struct Wires {
    report: File,
    release: Option<File>,
    trace: Option<File>,
    console: Option<OwnedFd>,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    init: Vec<OwnedFd>,
    pub numbers: Descriptors,
}

impl Wires {
    /// The wires that every init has, and the standard streams: a terminal, or pipes.
    pub fn new(terminal: bool, interactive: bool) -> Result<Wires> {
        let (report, init_report) = pipe()?;
        let mut wires = Wires {
            report: report.into(),
            release: None,
            trace: None,
            console: None,
            stdin: None,
            stdout: None,
            stderr: None,
            init: Vec::new(),
            numbers: Descriptors::default(),
        };
        wires.give(Input::Report, init_report)?;
        if terminal {
            wires.add_console()?
        } else {
            wires.add_streams(interactive)?
        }
        Ok(wires)
    }

    /// Adds the wire on which init waits to be released.
    pub fn add_release(&mut self) -> Result<()> {
        let (theirs, ours) = pipe()?;
        self.release = Some(ours.into());
        self.give(Input::Release, theirs)
    }

    /// Adds the wire on which init tells how long each step took.
    pub fn add_trace(&mut self) -> Result<()> {
        let (read, write) = pipe()?;
        self.trace = Some(read.into());
        self.numbers.trace = Some(descriptor::keep_on_exec(&write)?);
        self.init.push(write);
        Ok(())
    }

    /// Gives init a descriptor.
    pub fn give(&mut self, input: Input, fd: OwnedFd) -> Result<()> {
        self.numbers.give(input, descriptor::keep_on_exec(&fd)?);
        self.init.push(fd);
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

    /// Closes our copies of init's ends, so that we notice when init closes them.
    pub fn close_inits(&mut self) {
        self.init.clear();
    }

    /// Lets init go on. If it is gone, its report says why.
    pub fn release(&mut self) {
        if let Some(mut release) = self.release.take() {
            let _ = release.write_all(&[1]);
        }
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

    /// The child that init has told of; init has ended.
    pub fn receive_child(&mut self, program: &Program) -> Result<Child> {
        let doing = || "receive the process";
        let mut told = [PollFd::new(&self.report, PollFlags::IN)];
        let at_once = Timespec::default();
        poll(&mut told, Some(&at_once)).doing(doing)?;
        let report = if told[0].revents().is_empty() {
            Report::Closed
        } else {
            program.read_report(&mut self.report)?
        };
        match report {
            Report::Forked(pid) => Child::adopt(pid).doing(doing),
            Report::Failed(step, errno) => Err(program.failure(step, errno)),
            _ => Err(Error::system("init ended before it was in the container").doing(doing())),
        }
    }

    /// Waits until the user's command runs, or init reports which step failed.
    pub fn read_report(&mut self, program: &Program) -> Result<()> {
        match program.read_report(&mut self.report)? {
            Report::Failed(step, errno) => Err(program.failure(step, errno)),
            _ => Ok(()),
        }
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

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).doing(|| "make a pipe")
}
