//! nftables: packet filtering as data (nft(8), the kernel's `include/uapi/linux/netfilter/nf_tables.h`).
//!
//! A [`Batch`] is a transaction: all of it happens, or nothing. Rules are lists of [`Expression`]s that load values into
//! registers, compare them, look them up, and decide.

use std::io;

use super::{CREATE, EXCLUSIVE, Message, Refused, Socket, attributes};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = 0;
const GETTABLE: u16 = 1;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;
const APPEND: u16 = 0x800;

const FAMILY_IPV4: u8 = 2;
const NFGENMSG: usize = 4;

/// Where in the kernel's processing of a packet a chain is called, and when among others there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub kind: &'static str,
    pub number: u32,
    pub priority: i32,
}

/// Hook numbers of IPv4 (`linux/netfilter_ipv4.h`).
pub const PREROUTING: u32 = 0;
pub const FORWARD: u32 = 2;
pub const OUTPUT: u32 = 3;
pub const POSTROUTING: u32 = 4;

/// The types of a set's keys and values, as nft(8) shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Address,
    Protocol,
    Port,
    Interface,
}

impl Type {
    /// nft's number of the type, and its length in bytes.
    fn describe(self) -> (u32, u32) {
        match self {
            Type::Address => (7, 4),
            Type::Protocol => (12, 1),
            Type::Port => (13, 2),
            Type::Interface => (41, 16),
        }
    }
}

/// A set, or a map where it has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    pub name: &'static str,
    pub key: &'static [Type],
    pub value: &'static [Type],
    /// Whether elements are ranges: each beginning, and the first key after it.
    pub interval: bool,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// Whether the key is the first one after a range.
    pub end: bool,
}

/// One part of a rule. Registers are numbered from 0, 4 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads what is known about a packet.
    Meta(Meta, u32),
    /// Loads bytes of a header: which header, offset, length.
    Payload(Header, u32, u32, u32),
    /// Loads whether an address is local, as `RTN_` number of its route's type, of the packet's destination.
    DestinationKind(u32),
    /// Loads a word about the packet's connection.
    Connection(Connection, u32),
    /// Masks 4 bytes.
    Mask(u32, [u8; 4]),
    /// Goes on if a register has (or has not) this value.
    Compare(u32, bool, &'static [u8]),
    /// Goes on if the set has (or has not) what a register begins with.
    Lookup(&'static str, u32, bool),
    /// Goes on if the map has what a register begins with, and loads the value into the same register.
    Map(&'static str, u32),
    /// Sends the packet to the address and port in two registers.
    DestinationNat(u32, u32),
    /// Sends the packet under this host's address.
    Masquerade,
    Drop,
    Accept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    InputName,
    OutputName,
    Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    Network,
    Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    State,
    Status,
}

/// A transaction.
pub struct Batch<'a> {
    table: &'a str,
    messages: Vec<Message>,
}

impl<'a> Batch<'a> {
    /// Begins a transaction about one IPv4 table.
    pub fn new(table: &'a str) -> Batch<'a> {
        Batch {
            table,
            messages: vec![Message::new(BATCH_BEGIN, 0, &[0, 0, 0, SUBSYSTEM as u8])],
        }
    }

    fn message(&mut self, kind: u16, flags: u16) -> &mut Message {
        self.messages
            .push(Message::new(SUBSYSTEM << 8 | kind, flags, &[FAMILY_IPV4, 0, 0, 0]));
        self.messages.last_mut().expect("just pushed")
    }

    /// Makes the table, which does not exist, with a comment of which at most 128 bytes count.
    pub fn create_table(&mut self, comment: &str) {
        let table = self.table;
        // nft keeps comments as type, length and value; type 0 is a comment.
        let value = [&[0, comment.len() as u8 + 1], comment.as_bytes(), &[0]].concat();
        self.message(NEWTABLE, CREATE | EXCLUSIVE).text(1, table).attribute(6, &value);
    }

    /// Deletes the table with all that is in it.
    pub fn delete_table(&mut self) {
        let table = self.table;
        self.message(DELTABLE, 0).text(1, table);
    }

    pub fn create_chain(&mut self, name: &str, hook: Hook) {
        let table = self.table;
        let message = self.message(NEWCHAIN, CREATE);
        message.text(1, table).text(3, name).nest(4, |nested| {
            nested.big_word(1, hook.number).big_word(2, hook.priority as u32);
        });
        message.text(7, hook.kind);
    }

    pub fn create_set(&mut self, set: &Set, id: u32) {
        let table = self.table;
        let (key, value) = (described(set.key), described(set.value));
        let flags = if set.interval { 4 } else { 0 } | if set.value.is_empty() { 0 } else { 8 };
        let message = self.message(NEWSET, CREATE);
        message
            .text(1, table)
            .text(2, set.name)
            .big_word(3, flags)
            .big_word(4, key.0)
            .big_word(5, key.1)
            .big_word(10, id);
        if !set.value.is_empty() {
            message.big_word(6, value.0).big_word(7, value.1);
        }
        if set.key == [Type::Interface] {
            // Only nft(8) reads this: type 0 is the key's byte order, 1 the host's. Without it, names are shown as empty.
            let order = [&[0, 4][..], &1u32.to_ne_bytes()].concat();
            message.attribute(13, &order);
        }
    }

    pub fn create_rule(&mut self, chain: &str, expressions: &[Expression]) {
        let table = self.table;
        let message = self.message(NEWRULE, CREATE | APPEND);
        message.text(1, table).text(2, chain).nest(4, |list| {
            for expression in expressions {
                list.nest(1, |element| encode(element, expression));
            }
        });
    }

    /// Adds elements to a set, whether they are in it or not. A key of a map that has another value is an error.
    pub fn add_elements(&mut self, set: &str, elements: &[Element]) {
        self.elements(NEWSETELEM, CREATE, set, elements);
    }

    /// Deletes elements that are there from a set.
    pub fn delete_elements(&mut self, set: &str, elements: &[Element]) {
        self.elements(DELSETELEM, 0, set, elements);
    }

    fn elements(&mut self, kind: u16, flags: u16, set: &str, elements: &[Element]) {
        if elements.is_empty() {
            return;
        }
        let table = self.table;
        self.message(kind, flags).text(1, table).text(2, set).nest(3, |list| {
            for element in elements {
                list.nest(1, |one| {
                    one.nest(1, |data| {
                        data.attribute(1, &element.key);
                    });
                    if !element.value.is_empty() {
                        one.nest(2, |data| {
                            data.attribute(1, &element.value);
                        });
                    }
                    if element.end {
                        one.big_word(3, 1);
                    }
                });
            }
        });
    }

    /// Sends the transaction.
    pub fn commit(mut self, socket: &Socket) -> Result<(), Refused> {
        if self.messages.len() == 1 {
            return Ok(());
        }
        self.messages.push(Message::new(BATCH_END, 0, &[0, 0, 0, SUBSYSTEM as u8]));
        socket.transact(self.messages)
    }
}

/// The comment of an IPv4 table, if the table exists.
pub fn table_comment(socket: &Socket, table: &str) -> io::Result<Option<String>> {
    let mut message = Message::new(SUBSYSTEM << 8 | GETTABLE, 0, &[FAMILY_IPV4, 0, 0, 0]);
    message.text(1, table);
    match socket.ask(message) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
        Ok(body) => {
            let data = attributes(&body, NFGENMSG)
                .into_iter()
                .find(|(kind, _)| *kind == 6)
                .map(|(_, data)| data);
            let comment = data
                .and_then(|data| data.get(2..data.len().saturating_sub(1)))
                .unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(comment).into_owned()))
        }
    }
}

/// nft's number and the length of a key or a value of several parts, each padded to 4 bytes.
fn described(types: &[Type]) -> (u32, u32) {
    match types {
        [one] => one.describe(),
        many => many.iter().fold((0, 0), |(number, length), part| {
            let (n, l) = part.describe();
            (number << 6 | n, length + l.next_multiple_of(4))
        }),
    }
}

/// The kernel's number of a 4-byte register.
fn register(number: u32) -> u32 {
    8 + number
}

/// Writes the name and the attributes of an expression.
fn encode(message: &mut Message, expression: &Expression) {
    match *expression {
        Expression::Meta(key, to) => named(message, "meta", |data| {
            let key = match key {
                Meta::InputName => 6,
                Meta::OutputName => 7,
                Meta::Protocol => 16,
            };
            data.big_word(2, key).big_word(1, register(to));
        }),
        Expression::Payload(header, offset, length, to) => named(message, "payload", |data| {
            let header = if header == Header::Network { 1 } else { 2 };
            data.big_word(1, register(to))
                .big_word(2, header)
                .big_word(3, offset)
                .big_word(4, length);
        }),
        Expression::DestinationKind(to) => named(message, "fib", |data| {
            data.big_word(1, register(to)).big_word(2, 3).big_word(3, 2);
        }),
        Expression::Connection(key, to) => named(message, "ct", |data| {
            let key = if key == Connection::State { 0 } else { 2 };
            data.big_word(2, key).big_word(1, register(to));
        }),
        Expression::Mask(at, mask) => named(message, "bitwise", |data| {
            data.big_word(1, register(at)).big_word(2, register(at)).big_word(3, 4);
            data.nest(4, |value| {
                value.attribute(1, &mask);
            });
            data.nest(5, |value| {
                value.attribute(1, &[0; 4]);
            });
        }),
        Expression::Compare(at, equal, value) => named(message, "cmp", |data| {
            data.big_word(1, register(at)).big_word(2, u32::from(!equal)).nest(3, |data| {
                data.attribute(1, value);
            });
        }),
        Expression::Lookup(set, at, has) => named(message, "lookup", |data| {
            data.text(1, set).big_word(2, register(at)).big_word(5, u32::from(!has));
        }),
        Expression::Map(map, at) => named(message, "lookup", |data| {
            data.text(1, map).big_word(2, register(at)).big_word(3, register(at));
        }),
        Expression::DestinationNat(address, port) => named(message, "nat", |data| {
            data.big_word(1, 1)
                .big_word(2, FAMILY_IPV4.into())
                .big_word(3, register(address))
                .big_word(5, register(port));
        }),
        Expression::Masquerade => named(message, "masq", |_| {}),
        Expression::Drop => verdict(message, 0),
        Expression::Accept => verdict(message, 1),
    }
}

fn named(message: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    message.text(1, name).nest(2, fill);
}

/// Ends the rule with a decision, which is a value of the verdict register 0.
fn verdict(message: &mut Message, code: u32) {
    named(message, "immediate", |data| {
        data.big_word(1, 0).nest(2, |value| {
            value.nest(2, |verdict| {
                verdict.big_word(1, code);
            });
        });
    });
}
