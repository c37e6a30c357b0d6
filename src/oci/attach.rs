//! Being the parent of a process in the foreground: its terminal is ours, the signals that we get are for it, and its exit status is
//! ours in the end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;
use crate::kernel::process::Child;
use crate::kernel::signal::{self, Signals};
use crate::kernel::terminal::{self, Raw};

/// The signals that are for the process, and not for us.
const PASSED: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
    libc::SIGALRM,
    libc::SIGWINCH,
];

/// What connects us to the terminal of a process that is not started yet.
pub struct Console {
    ours: OwnedFd,
}

impl Console {
    /// A socket for init, and its other end.
    pub fn new() -> Result<(Console, OwnedFd)> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.doing(|| "make a socket")?;
        Ok((Console { ours }, theirs))
    }

    /// The other end of the terminal, which init has sent.
    fn receive(self) -> Result<File> {
        let (_, terminal) = descriptor::receive(&self.ours, &mut [0; 1]).doing(|| "receive the terminal")?;
        terminal.map(File::from).ok_or_else(|| Error::system("init sent no terminal"))
    }
}

/// Catches the signals that are to be passed on. It must be done before there is anybody to pass them to.
pub fn catch() -> Result<Signals> {
    Signals::catch(&PASSED).doing(|| "catch signals")
}

/// Carries everything between a process and the user until it ends. Returns its exit code.
pub fn attach(child: &Child, signals: Signals, console: Option<Console>) -> Result<u8> {
    let mut relay = Relay {
        terminal: console.map(Console::receive).transpose()?,
        signals,
        input: true,
    };
    let _raw = match &relay.terminal {
        Some(_) if terminal::is_terminal(std::io::stdin()) => {
            Some(Raw::enter(std::io::stdin()).doing(|| "set the terminal's mode")?)
        }
        _ => None,
    };
    relay.resize();
    while !relay.carry(child)? {}
    relay.drain();
    Ok(child.wait().doing(|| "wait for the process")?.code() as u8)
}

struct Relay {
    terminal: Option<File>,
    signals: Signals,
    /// Whether there is more of our standard input.
    input: bool,
}

impl Relay {
    /// Waits until something can be carried, and carries it. Returns whether the process has ended.
    fn carry(&mut self, child: &Child) -> Result<bool> {
        let stdin = std::io::stdin();
        let none = || None::<BorrowedFd>;
        let sources = [
            Some(child.pidfd.as_fd()),
            Some(self.signals.as_fd()),
            self.terminal.as_ref().map(AsFd::as_fd),
            self.terminal
                .as_ref()
                .filter(|_| self.input)
                .map_or_else(none, |_| Some(stdin.as_fd())),
        ];
        let ready = descriptor::wait_for(sources).doing(|| "wait for input")?;
        if ready[1] {
            self.pass_signals(child);
        }
        if ready[2] {
            self.show();
        }
        if ready[3] {
            self.type_in();
        }
        Ok(ready[0])
    }

    fn pass_signals(&mut self, child: &Child) {
        while let Some(number) = self.signals.take() {
            if number == libc::SIGWINCH {
                self.resize();
            } else {
                let _ = signal::send(&child.pidfd, number);
            }
        }
    }

    fn show(&mut self) {
        let mut buffer = [0; 8 << 10];
        let Some(terminal) = &mut self.terminal else { return };
        match terminal.read(&mut buffer) {
            Ok(length) if length > 0 => {
                let mut stdout = std::io::stdout();
                let _ = stdout.write_all(&buffer[..length]).and_then(|()| stdout.flush());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Nobody has the terminal open any more.
            _ => self.terminal = None,
        }
    }

    fn type_in(&mut self) {
        let mut buffer = [0; 8 << 10];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(std::io::stdin(), &mut buffer)).unwrap_or(0);
        self.input = length > 0;
        if let Some(terminal) = &mut self.terminal {
            let _ = terminal.write_all(&buffer[..length]);
        }
    }

    /// Gives the process's terminal the size of ours.
    fn resize(&self) {
        if let (Some(own), Some(size)) = (&self.terminal, terminal::size(std::io::stdin())) {
            let _ = terminal::resize(own, size);
        }
    }

    /// Shows what the process wrote before it ended.
    fn drain(&mut self) {
        while self
            .terminal
            .as_ref()
            .is_some_and(|terminal| descriptor::ready(terminal, PollFlags::IN).is_ok_and(|ready| ready.contains(PollFlags::IN)))
        {
            self.show();
        }
    }
}
