//! Our ends of the streams of a command that was executed in a container.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::attach::{User, show};
use crate::engine::wires::Wires;
use crate::error::{Doing, Result};
use crate::kernel::terminal;

/// Our ends of a command's streams.
pub struct Ends {
    terminal: bool,
    outputs: [Option<File>; 2],
    input: Option<File>,
    /// What was typed and the command has not taken yet, and whether there is no more: whoever waited for the command to read
    /// would not see what it writes.
    waiting: Vec<u8>,
    ending: bool,
}

impl Ends {
    pub fn new(terminal: Option<OwnedFd>, wires: Wires) -> Result<Ends> {
        match terminal {
            Some(terminal) => Ends::of_terminal(terminal),
            None => Ends::of([wires.stdout, wires.stderr], wires.stdin, false),
        }
    }

    pub fn of_terminal(terminal: OwnedFd) -> Result<Ends> {
        let other = terminal.try_clone().doing(|| "copy the terminal's descriptor")?;
        Ends::of([Some(terminal), None], Some(other), true)
    }

    fn of(outputs: [Option<OwnedFd>; 2], input: Option<OwnedFd>, terminal: bool) -> Result<Ends> {
        if let Some(input) = &input {
            rustix::io::ioctl_fionbio(input, true).doing(|| "write without waiting")?;
        }
        Ok(Ends {
            terminal,
            outputs: outputs.map(|output| output.map(File::from)),
            input: input.map(File::from),
            waiting: Vec::new(),
            ending: false,
        })
    }

    /// The other end of the command's terminal, if it has one.
    pub fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.output(0).filter(|_| self.terminal)
    }

    pub fn is_open(&self) -> bool {
        self.outputs.iter().any(Option::is_some)
    }

    pub fn output(&self, n: usize) -> Option<BorrowedFd<'_>> {
        self.outputs[n].as_ref().map(AsFd::as_fd)
    }

    /// Whether the command can be given more.
    pub fn wants_input(&self) -> bool {
        self.input.is_some() && self.waiting.is_empty() && !self.ending
    }

    /// Where something waits to be written.
    pub fn full(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(AsFd::as_fd).filter(|_| !self.waiting.is_empty())
    }

    /// Shows what the command wrote to one of its streams.
    pub fn show(&mut self, n: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(file) = &mut self.outputs[n] else { return Ok(()) };
        match file.read(buffer) {
            Ok(length @ 1..) => show(n == 1, &buffer[..length]),
            Err(error) if [ErrorKind::Interrupted, ErrorKind::WouldBlock].contains(&error.kind()) => Ok(()),
            // A terminal whose other end is closed fails instead of ending.
            Ok(0) | Err(_) => {
                self.outputs[n] = None;
                Ok(())
            }
        }
    }

    /// Passes on what the user typed, after what waits.
    pub fn type_in(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        while let Some(input) = self.input.as_mut().filter(|_| !self.waiting.is_empty()) {
            match input.write(&self.waiting) {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody reads it, now or ever.
                Err(_) => {
                    self.input = None;
                    self.waiting.clear();
                }
            }
        }
        if self.ending && !self.terminal {
            self.input = None;
        }
    }

    /// There is no more input. A terminal has no end.
    pub fn end_input(&mut self) {
        self.ending = true;
        self.type_in(&[]);
    }

    /// Gives the command's terminal the size of the user's.
    pub fn resize(&self, user: &User) {
        if let (Some(terminal), Some(size)) = (self.terminal(), user.window()) {
            let _ = terminal::resize(terminal, size);
        }
    }
}
