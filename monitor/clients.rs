//! Whoever is attached to the container.

use crate::protocol::{Given, tell};
use crate::sys::{self, Moved, POLLOUT, Poll};

/// How many may be attached at once.
pub const CLIENTS: usize = 16;

#[derive(Clone, Copy)]
pub struct Client {
    /// The connection, or -1.
    pub fd: i32,
    /// Whether it has not taken the message that is being carried.
    behind: bool,
}

impl Client {
    pub fn is_behind(&self) -> bool {
        self.behind
    }
}

pub struct Clients {
    pub all: [Client; CLIENTS],
    /// Whether the first client's leaving ends the container's input.
    input_once: bool,
}

impl Clients {
    pub const fn new() -> Clients {
        Clients { all: [Client { fd: 0, behind: false }; CLIENTS], input_once: false }
    }

    pub fn open(&mut self, given: &Given) {
        self.all.iter_mut().for_each(|client| client.fd = -1);
        self.all[0].fd = given.client;
        self.input_once = given.input_once != 0;
    }

    pub fn accept(&mut self, listener: i32) {
        let Some(fd) = sys::accept(listener) else { return };
        match self.all.iter_mut().skip(1).find(|client| client.fd < 0) {
            Some(place) => *place = Client { fd, behind: false },
            None => sys::close(fd),
        }
    }

    /// Forgets a client that is gone. Returns whether the container's input ends with that.
    pub fn leave(&mut self, n: usize) -> bool {
        if let Some(client) = self.all.get_mut(n).filter(|client| client.fd >= 0) {
            sys::close(client.fd);
            *client = Client { fd: -1, behind: false };
        }
        n == 0 && self.input_once
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

    /// Sends a message to one client.
    pub fn send_again(&mut self, n: usize, message: &[u8]) {
        let Some(client) = self.all.get_mut(n).filter(|client| client.fd >= 0) else { return };
        match sys::send(client.fd, message) {
            Moved::Bytes(_) => client.behind = false,
            Moved::Later => client.behind = true,
            Moved::Ended => drop(self.leave(n)),
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

    /// Tells all how the container ended.
    pub fn tell_exit(&mut self, code: i32) {
        let mut message = [tell::EXIT; 5];
        message[1..].copy_from_slice(&code.to_ne_bytes());
        self.send_and_wait(&message);
    }
}
