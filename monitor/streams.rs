//! What the container writes and reads.

use crate::clients::Clients;
use crate::log::Log;
use crate::protocol::{Given, MESSAGE, ask, tell};
use crate::sys::{self, Moved};

/// One thing that the container writes to: its terminal, or one of its two streams.
pub struct Source {
    /// Where it is read from, or -1.
    pub fd: i32,
    kind: u8,
}

/// What can be in two full pipes when the container ends.
const BACKLOG: usize = 2 * (64 << 10) + 2 * MESSAGE;

pub struct Output {
    pub sources: [Source; 2],
    log: Log,
    /// The message that is being carried.
    message: [u8; MESSAGE],
    length: usize,
    /// What the container had written when it ended and clients have not taken yet: lengths, in 2 bytes, and messages.
    backlog: [u8; BACKLOG],
    kept: usize,
}

impl Output {
    pub const fn new() -> Output {
        const SOURCE: Source = Source { fd: 0, kind: 0 };
        Output { sources: [SOURCE; 2], log: Log::new(), message: [0; MESSAGE], length: 0, backlog: [0; BACKLOG], kept: 0 }
    }

    pub fn open(&mut self, given: &Given) {
        let first = if given.terminal >= 0 { given.terminal } else { given.stdout };
        self.sources = [Source { fd: first, kind: tell::STDOUT }, Source { fd: given.stderr, kind: tell::STDERR }];
        self.log.open(given);
    }

    /// The message that is being carried.
    pub fn message(&self) -> &[u8] {
        self.message.get(..self.length).unwrap_or_default()
    }

    /// Reads from a source once and passes on what it has.
    pub fn carry(&mut self, n: usize, clients: &mut Clients) {
        if self.read(n) {
            clients.send(self.message());
        }
    }

    /// Reads a message from a source and logs it. Returns whether there was one.
    fn read(&mut self, n: usize) -> bool {
        let Some(source) = self.sources.get_mut(n).filter(|source| source.fd >= 0) else { return false };
        let Some((kind, text)) = self.message.split_first_mut() else { return false };
        match sys::read(source.fd, text) {
            Moved::Bytes(length) => {
                *kind = source.kind;
                self.length = length + 1;
                self.log.write(n, text.get(..length).unwrap_or_default());
                true
            }
            Moved::Later => false,
            Moved::Ended => {
                source.fd = -1;
                false
            }
        }
    }

    /// Logs all that the container wrote before it ended, and keeps it for the clients: the log is complete before
    /// anybody can know that the container has ended, and a client that does not read holds up nobody.
    pub fn drain(&mut self, clients: &mut Clients) {
        // What a client is behind with is still the message; the others have it.
        clients.wait_for(self.message());
        for n in 0..2 {
            while self.kept + MESSAGE + 2 < BACKLOG && self.read(n) {
                let end = self.kept + 2 + self.length;
                if let (Some(room), Some(message)) = (self.backlog.get_mut(self.kept..end), self.message.get(..self.length)) {
                    let (length, text) = room.split_at_mut(2);
                    length.copy_from_slice(&(message.len() as u16).to_ne_bytes());
                    text.copy_from_slice(message);
                }
                self.kept = end;
            }
        }
        self.log.finish();
    }

    /// Sends the clients what was kept for them.
    pub fn deliver(&mut self, clients: &mut Clients) {
        let mut rest = self.backlog.get(..self.kept).unwrap_or_default();
        while let Some((length, more)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_ne_bytes(*length)).min(more.len());
            let (message, more) = more.split_at(length);
            clients.send_and_wait(message);
            rest = more;
        }
    }
}

pub struct Input {
    /// Where the container's input is written: its terminal, or the pipe to its standard input, or -1.
    fd: i32,
    is_terminal: bool,
    /// Whether the input ends once what is waiting was written.
    ending: bool,
    /// What a client sent and the container has not taken yet.
    waiting: [u8; MESSAGE],
    from: usize,
    to: usize,
}

impl Input {
    pub const fn new() -> Input {
        Input { fd: 0, is_terminal: false, ending: false, waiting: [0; MESSAGE], from: 0, to: 0 }
    }

    pub fn open(&mut self, given: &Given) {
        self.is_terminal = given.terminal >= 0;
        self.fd = if self.is_terminal { given.terminal } else { given.stdin };
    }

    pub fn fd(&self) -> i32 {
        self.fd
    }

    pub fn is_waiting(&self) -> bool {
        self.from < self.to
    }

    /// Takes a message of a client. That needs the room for what is waiting.
    pub fn take(&mut self, given: &Given, clients: &mut Clients, n: usize) {
        let Some(client) = clients.all.get(n).filter(|client| client.fd >= 0 && !self.is_waiting()) else { return };
        match sys::receive(client.fd, &mut self.waiting) {
            Moved::Bytes(length) => self.understand(given, length),
            Moved::Later => {}
            Moved::Ended => clients.leave(n),
        }
    }

    fn understand(&mut self, given: &Given, length: usize) {
        let message = self.waiting.get(..length).unwrap_or_default();
        match message {
            [ask::INPUT, ..] if self.fd >= 0 => {
                (self.from, self.to) = (1, length);
                self.pass_on();
            }
            [ask::END, ..] if given.input_once != 0 => self.end(),
            &[ask::RESIZE, a, b, c, d] if given.terminal >= 0 => {
                sys::resize(given.terminal, u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
            }
            _ => {}
        }
    }

    /// Writes as much of what is waiting as the container takes.
    pub fn pass_on(&mut self) {
        while let Some(text @ [_, ..]) = self.waiting.get(self.from..self.to) {
            match sys::write(self.fd, text) {
                Moved::Bytes(length) => self.from += length,
                Moved::Later => return,
                Moved::Ended => {
                    // Nobody reads it, now or ever.
                    self.to = self.from;
                    self.end();
                }
            }
        }
        if self.ending {
            self.end();
        }
    }

    /// Ends the container's input. A terminal has no end.
    pub fn end(&mut self) {
        self.ending = true;
        if !self.is_terminal && self.fd >= 0 && !self.is_waiting() {
            sys::close(self.fd);
            self.fd = -1;
        }
    }
}
