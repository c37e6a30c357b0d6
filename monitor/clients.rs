//! Whoever is attached to the container.

use crate::protocol::{Given, ask, tell, want};
use crate::sys::{self, Moved, POLLIN, POLLOUT, Poll};

/// How many may be attached at once.
pub const CLIENTS: usize = 64;

/// How many milliseconds a client may take to begin cleaning up: it may have been stopped.
const PATIENCE: i64 = 1000;

#[derive(Clone, Copy)]
pub struct Client {
    /// The connection, or -1.
    pub fd: i32,
    /// Whether it has not taken the message that is being carried.
    behind: bool,
    /// Whether it has not said yet what it wants.
    new: bool,
    /// What it wants, as `want` has it.
    wants: u8,
    /// Whether it cleans up when it has been told the end.
    cleans: bool,
}

const NOBODY: Client = Client { fd: -1, behind: false, new: false, wants: 0, cleans: false };

impl Client {
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Whether it wants messages of a kind.
    fn wants(&self, kind: Option<&u8>) -> bool {
        match kind {
            Some(&tell::STDOUT) => self.wants & want::STDOUT != 0,
            Some(&tell::STDERR) => self.wants & want::STDERR != 0,
            _ => true,
        }
    }
}

pub struct Clients {
    pub all: [Client; CLIENTS],
    /// Whether the leaving of one that writes to the container's input ends it, and whether that is so now.
    input_once: bool,
    ended: bool,
}

impl Clients {
    pub const fn new() -> Clients {
        Clients { all: [Client { fd: 0, ..NOBODY }; CLIENTS], input_once: false, ended: false }
    }

    /// The first client is there from the start, and what the container writes before it has said what it wants is kept for it.
    pub fn open(&mut self, given: &Given) {
        self.all = [NOBODY; CLIENTS];
        let (wants, cleans) = (want::STDOUT | want::STDERR, given.cleans != 0);
        self.all[0] = Client { fd: given.client, behind: false, new: true, wants, cleans };
        self.input_once = given.input_once != 0;
    }

    /// Accepts a connection. Returns whether there was one.
    pub fn accept(&mut self, listener: i32) -> bool {
        let Some(fd) = sys::accept(listener) else { return false };
        match self.all.iter_mut().find(|client| client.fd < 0) {
            Some(place) => *place = Client { fd, new: true, ..NOBODY },
            None => sys::close(fd),
        }
        true
    }

    pub fn is_new(&self, n: usize) -> bool {
        self.all.get(n).is_some_and(Client::is_new)
    }

    /// Takes the first message of a client.
    pub fn meet(&mut self, n: usize) {
        let Some(client) = self.all.get_mut(n).filter(|client| client.fd >= 0) else { return };
        let mut message = [0; 2];
        match sys::receive(client.fd, &mut message) {
            Moved::Bytes(_) if message[0] == ask::ATTACH => (client.new, client.wants) = (false, message[1]),
            Moved::Later => {}
            Moved::Bytes(_) | Moved::Ended => self.leave(n),
        }
    }

    /// Forgets a client that is gone.
    pub fn leave(&mut self, n: usize) {
        if let Some(client) = self.all.get_mut(n).filter(|client| client.fd >= 0) {
            sys::close(client.fd);
            self.ended |= self.input_once && client.wants & want::INPUT != 0;
            *client = NOBODY;
        }
    }

    /// Whether the container's input ends, since a client has left.
    pub fn end_input(&mut self) -> bool {
        core::mem::take(&mut self.ended)
    }

    pub fn any_behind(&self) -> bool {
        self.all.iter().any(|client| client.behind)
    }

    /// Sends a message to all. Those that cannot take it now are behind.
    pub fn send(&mut self, message: &[u8]) {
        for n in 0..CLIENTS {
            self.send_again(n, message);
        }
    }

    /// Sends a message to one client, if it wants it.
    pub fn send_again(&mut self, n: usize, message: &[u8]) {
        let Some(client) = self.all.get_mut(n).filter(|client| client.fd >= 0) else { return };
        if !client.wants(message.first()) {
            client.behind = false;
            return;
        }
        match sys::send(client.fd, message) {
            Moved::Bytes(_) => client.behind = false,
            Moved::Later => client.behind = true,
            Moved::Ended => self.leave(n),
        }
    }

    /// Sends a message to all, and waits until each has taken it or is gone.
    pub fn send_and_wait(&mut self, message: &[u8]) {
        self.send(message);
        self.wait_for(message);
    }

    /// Waits until nobody is behind with `message`.
    pub fn wait_for(&mut self, message: &[u8]) {
        while self.any_behind() {
            let mut set = [Poll { fd: -1, events: POLLOUT, ready: 0 }; CLIENTS];
            for (place, client) in set.iter_mut().zip(&self.all).filter(|(_, client)| client.behind) {
                place.fd = client.fd;
            }
            sys::poll(&mut set);
            for (n, place) in set.iter().enumerate() {
                if place.ready != 0 {
                    self.send_again(n, message);
                }
            }
        }
    }

    /// The connection of a client that has been told the end and cleans up now, if there is one.
    pub fn who_cleans(&self) -> Option<i32> {
        let fd = self.all.iter().find(|client| client.fd >= 0 && client.cleans)?.fd;
        let mut message = [0];
        // What comes before was sent before it knew.
        while message[0] != ask::CLEAN {
            sys::poll_for(PATIENCE, &mut [Poll { fd, events: POLLIN, ready: 0 }]);
            if !matches!(sys::receive(fd, &mut message), Moved::Bytes(_)) {
                return None;
            }
        }
        Some(fd)
    }

    /// Tells all how the container ended.
    pub fn tell_exit(&mut self, code: i32) {
        let mut message = [tell::EXIT; 5];
        message[1..].copy_from_slice(&code.to_ne_bytes());
        self.send_and_wait(&message);
    }
}
