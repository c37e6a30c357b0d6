//! The wires between init and whoever starts it: what init reports, and what it waits for.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use super::instruction::{CONTROL, ROOM};
use super::report::start_without_program;
use super::{Descriptors, Input, Program, Report};
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor::{self, wait_for};
use crate::kernel::process::Child;

/// How many descriptors one message may have (unix(7), `SCM_MAX_FD`).
const RECEIVABLE: usize = 253;

/// The descriptors through which init is started and watched: our ends, and until it is started also its own.
pub struct Wires {
    report: File,
    release: Option<File>,
    /// The process that had the child which is to be released, and which ends.
    leaving: Option<Child>,
    init: Vec<OwnedFd>,
    /// The number of the descriptor on which init receives its program.
    letter: Option<i32>,
    numbers: Descriptors,
    /// The lowest number of a descriptor that is init's.
    lowest: i32,
}

impl Wires {
    /// The wires that every init has.
    pub fn new() -> Result<Wires> {
        Wires::above(0)
    }

    /// The same, with numbers from `lowest` on: those below are for what the command inherits.
    pub fn above(lowest: u32) -> Result<Wires> {
        let (report, theirs) = pipe()?;
        let mut wires = Wires {
            report: report.into(),
            release: None,
            leaving: None,
            init: Vec::new(),
            letter: None,
            numbers: Descriptors::default(),
            lowest: lowest as i32,
        };
        wires.give(Input::Report, theirs)?;
        Ok(wires)
    }

    /// Adds the wire on which init waits to be released.
    pub fn add_release(&mut self) -> Result<()> {
        let (theirs, ours) = pipe()?;
        self.release = Some(ours.into());
        self.give(Input::Release, theirs)
    }

    /// Adds a wire on which init tells how long each step took. Returns our end.
    pub fn add_trace(&mut self) -> Result<File> {
        let (read, write) = pipe()?;
        self.numbers.trace = Some(descriptor::keep_on_exec(&write)?);
        self.init.push(write);
        Ok(read.into())
    }

    /// Gives init a descriptor.
    pub fn give(&mut self, input: Input, fd: OwnedFd) -> Result<()> {
        let fd = self.lift(fd)?;
        self.numbers.give(input, descriptor::keep_on_exec(&fd)?);
        self.init.push(fd);
        Ok(())
    }

    /// Has init inherit a descriptor that no step uses.
    pub fn leave(&mut self, fd: OwnedFd) -> Result<()> {
        let fd = self.lift(fd)?;
        descriptor::keep_on_exec(&fd)?;
        self.init.push(fd);
        Ok(())
    }

    fn lift(&self, fd: OwnedFd) -> Result<OwnedFd> {
        if fd.as_raw_fd() >= self.lowest {
            return Ok(fd);
        }
        fcntl_dupfd_cloexec(&fd, self.lowest).doing(|| "copy a descriptor")
    }

    /// Starts init. Our copies of its ends are closed, so that we notice when it closes them.
    pub fn start(&mut self, program: &Program, namespaces: u64, cgroup: Option<BorrowedFd>) -> Result<Child> {
        let init = program.start(&self.numbers, namespaces, cgroup);
        self.init.clear();
        init
    }

    /// Has init be started without its program, and returns what it is sent in. What it was given until now it inherits.
    pub fn letter(&mut self) -> Result<Letter> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (theirs, wire) = pair.doing(|| "make a socket")?;
        self.letter = Some(descriptor::keep_on_exec(&theirs)?);
        self.init.push(theirs);
        Ok(Letter {
            wire,
            numbers: self.numbers.clone(),
            given: Vec::new(),
        })
    }

    /// Starts init, which waits for that.
    pub fn start_without_program(&mut self, namespaces: u64, cgroup: Option<BorrowedFd>) -> Result<Child> {
        let wire = self.letter.expect("there is a letter for it");
        let init = start_without_program(wire, namespaces, cgroup);
        self.init.clear();
        init
    }

    /// Our ends.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.release.iter().map(AsFd::as_fd).chain([self.report.as_fd()])
    }

    /// Lets init go on, once more if it waits more than once. If it is gone, its report says why.
    pub fn release(&mut self) {
        // Until then it counts as one of the container's processes, of which it may have one more and the command needs it.
        if let Some(leaving) = self.leaving.take() {
            let _ = leaving.wait();
        }
        if let Some(release) = &mut self.release {
            let _ = release.write_all(&[1]);
        }
    }

    /// The child that init tells of before it ends, and which waits to be released. If init was killed before it could, its child has
    /// the wires, and nothing would ever come.
    pub fn receive_child(&mut self, init: Child, program: &Program) -> Result<Child> {
        let doing = || "receive the process";
        wait_for([Some(self.report.as_fd()), Some(init.pidfd.as_fd())]).doing(doing)?;
        self.leaving = Some(init);
        match self.reported(program).doing(doing)? {
            Report::Forked(pid) => Child::adopt(pid).doing(doing),
            Report::Failed(step, errno) => Err(program.failure(step, errno)),
            _ => Err(Error::system("init ended before it was in the container").doing(doing())),
        }
    }

    /// The error that init has reported, or another that came later. What is done for an init that has ended fails as well.
    pub fn first_error(&mut self, program: &Program, later: Error) -> Error {
        match self.reported(program) {
            Ok(Report::Failed(step, errno)) => program.failure(step, errno),
            _ => later,
        }
    }

    /// What init has reported until now: that it is closed, also if there is nothing yet.
    fn reported(&mut self, program: &Program) -> Result<Report> {
        if descriptor::ready(&self.report, PollFlags::IN)?.is_empty() {
            return Ok(Report::Closed);
        }
        program.read_report(&mut self.report)
    }

    /// Waits until the user's command runs, or init has come to where it tells so, or reports which step failed.
    pub fn read_report(&mut self, program: &Program) -> Result<Report> {
        match program.read_report(&mut self.report)? {
            Report::Failed(step, errno) => Err(program.failure(step, errno)),
            report => Ok(report),
        }
    }
}

/// A program for an init that was started without one, and what that does not inherit.
pub struct Letter {
    wire: OwnedFd,
    numbers: Descriptors,
    given: Vec<OwnedFd>,
}

impl Letter {
    /// Gives init a descriptor.
    pub fn give(&mut self, input: Input, fd: OwnedFd) {
        self.numbers.send(input, self.given.len());
        self.given.push(fd);
    }

    /// Sends it, whether or not init is there yet. Where it never will be, that is found out later.
    pub fn send(self, program: &Program) -> Result<()> {
        let bytes = program.encode(&self.numbers);
        if bytes.len() as u64 > ROOM - CONTROL || self.given.len() > RECEIVABLE {
            return Err(Error::invalid("too much is mounted or opened for one container"));
        }
        let given: Vec<BorrowedFd> = self.given.iter().map(AsFd::as_fd).collect();
        match descriptor::send_all(&self.wire, &[&(bytes.len() as u64).to_ne_bytes(), &bytes], &given) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).doing(|| "send init its program"),
            _ => Ok(()),
        }
    }
}

impl AsFd for Wires {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}

/// A pipe: what reads, what writes.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).doing(|| "make a pipe")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::program::{Concept, Fd};

    /// Of an init that writes to a descriptor that it is sent, very often.
    fn talkative(times: usize) -> Program {
        let mut program = Program::default();
        program.concept(Concept::ProcessIsolation);
        let out = program.duplicate(Fd::Given(Input::Stdout), "out", "it comes with the program");
        (0..times).for_each(|_| program.write(out, "word", "to be read"));
        program
    }

    #[test]
    fn an_init_gets_its_program_when_it_is_there() {
        // The larger one does not fit into what the kernel keeps for a socket.
        for (times, is_born_before) in [(1, true), (1, false), (10_000, true)] {
            let mut wires = Wires::new().unwrap();
            let mut letter = wires.letter().unwrap();
            let (read, write) = pipe().unwrap();
            letter.give(Input::Stdout, write);
            let reader = std::thread::spawn(move || {
                let mut text = String::new();
                File::from(read).read_to_string(&mut text).map(|_| text)
            });
            let mut letter = Some(letter);
            let mut send = || letter.take().unwrap().send(&talkative(times)).unwrap();
            if !is_born_before {
                send();
            }
            let init = wires.start_without_program(0, None).unwrap();
            if is_born_before {
                send();
            }
            // A program that executes nothing is a mistake of ours, which init reports with its status.
            assert_eq!(init.wait().unwrap().code(), 125);
            assert_eq!(reader.join().unwrap().unwrap(), "word".repeat(times));
        }
    }

    #[test]
    fn an_init_ends_whose_program_does_not_come() {
        let mut wires = Wires::new().unwrap();
        let letter = wires.letter().unwrap();
        let init = wires.start_without_program(0, None).unwrap();
        drop(letter);
        assert_eq!(init.wait().unwrap().code(), 125);
        // Whoever would send one finds out later.
        let letter = wires.letter().unwrap();
        wires.init.clear();
        letter.send(&Program::default()).unwrap();
    }
}
