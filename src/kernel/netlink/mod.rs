//! Netlink: messages to the kernel about links, addresses and packet filters (netlink(7), rtnetlink(7)).
//!
//! ```text
//!   length │ type │ flags │ sequence │ port      16 bytes, native order
//!   a structure that the type decides about
//!   attributes: length │ type │ value, each padded to 4 bytes; a value may be attributes again
//! ```

pub mod nftables;
pub mod route;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

/// A message that is being written.
#[derive(Clone)]
pub struct Message {
    bytes: Vec<u8>,
}

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// Create what does not exist, and fail if it does.
pub const CREATE: u16 = 0x400;
pub const EXCLUSIVE: u16 = 0x200;
const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;
const DONE: u16 = 3;

impl Message {
    /// Begins a message of type `kind` with the structure that it starts with.
    pub fn new(kind: u16, flags: u16, head: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(head);
        let mut message = Message { bytes };
        message.pad();
        message
    }

    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        self.bytes.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    pub fn text(&mut self, kind: u16, value: &str) -> &mut Message {
        self.attribute(kind, format!("{value}\0").as_bytes())
    }

    pub fn word(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// A number in network order, as netfilter has them.
    pub fn big_word(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// An attribute whose value is what `fill` writes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        self
    }

    /// Bytes of a structure in the middle of a nested attribute.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Message {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A connection to one of the kernel's netlink families, in the network namespace in which it was opened.
pub struct Socket {
    fd: OwnedFd,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What the kernel refused: the message's place among those sent, and the error.
#[derive(Debug)]
pub struct Refused {
    pub index: usize,
    pub error: io::Error,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        refused.error
    }
}

/// Large enough for the kernel's dumps (the kernel's `userspace-api/netlink/intro.rst`).
const BUFFER: usize = 32 << 10;

impl Socket {
    pub fn route() -> io::Result<Socket> {
        Socket::open(None)
    }

    pub fn netfilter() -> io::Result<Socket> {
        Socket::open(Some(netlink::NETFILTER))
    }

    /// Without a protocol: the one numbered 0, which is `NETLINK_ROUTE`.
    fn open(protocol: Option<rustix::net::Protocol>) -> io::Result<Socket> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Socket { fd })
    }

    /// Sends messages at once and waits until each is done, or one is refused. The kernel works them off in order; what it
    /// did before the refused one stays done.
    pub fn request(&self, messages: Vec<Message>) -> Result<(), Refused> {
        let count = messages.len();
        self.send(messages, ACK).map_err(|error| Refused { index: 0, error })?;
        let mut acknowledged = 0;
        while acknowledged < count {
            for (kind, sequence, body) in self.receive().map_err(|error| Refused {
                index: acknowledged,
                error,
            })? {
                if kind == ERROR {
                    check(&body).map_err(|error| Refused {
                        index: sequence as usize,
                        error,
                    })?;
                    acknowledged += 1;
                }
            }
        }
        Ok(())
    }

    /// Sends messages of which only the last is acknowledged, as netfilter's transactions are.
    pub fn transact(&self, messages: Vec<Message>) -> Result<(), Refused> {
        let end = messages.len() - 1;
        // Whatever fails is reported before the acknowledgement of what comes last in the transaction.
        let last = end - 1;
        self.send_with(messages, |index| if index == last { ACK } else { 0 })
            .map_err(|error| Refused { index: 0, error })?;
        loop {
            for (kind, sequence, body) in self.receive().map_err(|error| Refused { index: 0, error })? {
                if kind == ERROR {
                    check(&body).map_err(|error| Refused {
                        index: sequence as usize,
                        error,
                    })?;
                    if sequence as usize == last {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends one request and returns the body of its one answer.
    pub fn ask(&self, message: Message) -> io::Result<Vec<u8>> {
        self.send(vec![message], 0)?;
        match self.receive()?.into_iter().next() {
            Some((ERROR, _, body)) => check(&body).map(|()| Vec::new()),
            Some((_, _, body)) => Ok(body),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Sends one request and returns the bodies of all answers.
    pub fn dump(&self, message: Message) -> io::Result<Vec<Vec<u8>>> {
        self.send(vec![message], DUMP)?;
        let mut bodies = Vec::new();
        loop {
            for (kind, _, body) in self.receive()? {
                match kind {
                    ERROR => check(&body)?,
                    DONE => return Ok(bodies),
                    _ => bodies.push(body),
                }
            }
        }
    }

    fn send(&self, messages: Vec<Message>, flags: u16) -> io::Result<()> {
        self.send_with(messages, |_| flags)
    }

    fn send_with(&self, messages: Vec<Message>, flags: impl Fn(usize) -> u16) -> io::Result<()> {
        let messages = messages.into_iter().enumerate();
        let bytes: Vec<u8> = messages
            .flat_map(|(index, message)| message.finish(index as u32, flags(index)))
            .collect();
        send(&self.fd, &bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Receives messages: type, sequence number and body of each.
    fn receive(&self) -> io::Result<Vec<(u16, u32, Vec<u8>)>> {
        let mut buffer = vec![0; BUFFER];
        let (length, _) = rustix::io::retry_on_intr(|| recv(&self.fd, &mut buffer[..], RecvFlags::empty()))?;
        let mut rest = &buffer[..length];
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            if length < HEADER || length > rest.len() {
                break;
            }
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            let sequence = u32::from_ne_bytes([rest[8], rest[9], rest[10], rest[11]]);
            messages.push((kind, sequence, rest[HEADER..length].to_vec()));
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

/// What an acknowledgement says: its first word is 0 or a negated error number.
fn check(body: &[u8]) -> io::Result<()> {
    let word = body
        .get(..4)
        .map_or(-libc::EIO, |word| i32::from_ne_bytes(word.try_into().expect("4 bytes")));
    if word == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-word))
    }
}

/// The attributes that follow a structure of `skip` bytes: type and value of each.
pub fn attributes(body: &[u8], skip: usize) -> Vec<(u16, &[u8])> {
    let mut rest = body.get(skip..).unwrap_or_default();
    let mut attributes = Vec::new();
    while rest.len() >= 4 {
        let length = u16::from_ne_bytes([rest[0], rest[1]]) as usize;
        if length < 4 || length > rest.len() {
            break;
        }
        attributes.push((u16::from_ne_bytes([rest[2], rest[3]]) & !NESTED, &rest[4..length]));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}
