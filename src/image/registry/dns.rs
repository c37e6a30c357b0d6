//! DNS messages: a question, and the addresses in its answer (RFC 1035, section 4).
//!
//! ```text
//!   id  flags  questions  answers  authorities  additions      16 bits each
//!   name  type  class                                          the question
//!   name  type  class  seconds to live (32)  length  data      each answer
//! ```
//!
//! A name is a list of labels, each after its length; in an answer the rest of a name may be a pointer, of 16 bits, to where it
//! was spelled before.

use std::net::IpAddr;

const HEADER: usize = 12;
const INTERNET: [u8; 2] = [0, 1];
const IS_REPLY: u8 = 0x80;
const IS_TRUNCATED: u8 = 0x02;
const WANTS_RECURSION: u8 = 0x01;
const NO_SUCH_NAME: u8 = 3;

/// Which addresses are asked for: the numbers of the record types A and AAAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4 = 1,
    V6 = 28,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Addresses(Vec<IpAddr>),
    /// It did not fit; the same question over TCP has the whole answer.
    Truncated,
    NoSuchName,
    /// It does not know, or does not want to say.
    Failed,
}

/// The message that asks for the addresses of a name, if that can be a name at all.
pub fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([WANTS_RECURSION, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, family as u8]);
    message.extend(INTERNET);
    // A name has at most 255 bytes, with the lengths and the end.
    (message.len() <= HEADER + 255 + 4).then_some(message)
}

/// Reads a reply to a question. One to another question is none.
pub fn reply(message: &[u8], question: &[u8]) -> Option<Reply> {
    let asked = &question[HEADER..];
    let echoed = message.get(HEADER..HEADER + asked.len())?;
    if message[..2] != question[..2] || message[2] & IS_REPLY == 0 || !echoed.eq_ignore_ascii_case(asked) {
        return None;
    }
    if message[2] & IS_TRUNCATED != 0 {
        return Some(Reply::Truncated);
    }
    match message[3] & 0x0f {
        0 => {}
        NO_SUCH_NAME => return Some(Reply::NoSuchName),
        _ => return Some(Reply::Failed),
    }
    let family = asked[asked.len() - 3];
    let count = u16::from_be_bytes([message[6], message[7]]);
    let mut addresses = Vec::new();
    let mut at = HEADER + asked.len();
    for _ in 0..count {
        let (kind, data, next) = record(message, at)?;
        if kind == [0, family] {
            addresses.extend(address(data));
        }
        at = next;
    }
    Some(Reply::Addresses(addresses))
}

/// The type and the data of the record at a place, and where the next one is.
fn record(message: &[u8], at: usize) -> Option<([u8; 2], &[u8], usize)> {
    let fields = skip_name(message, at)?;
    let head = message.get(fields..fields + 10)?;
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let data = message.get(fields + 10..fields + 10 + length)?;
    Some(([head[0], head[1]], data, fields + 10 + length))
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn address(data: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(data).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with an alias and an address.
    fn answer(question: &[u8]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2] |= IS_REPLY;
        message[7] = 2;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'x', 0xc0, 12]);
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 1, 2, 3]);
        message
    }

    #[test]
    fn addresses_are_found_behind_aliases() {
        let asked = question(7, "a.test.", Family::V4).unwrap();
        let expected = Reply::Addresses(vec![[10, 1, 2, 3].into()]);
        assert_eq!(reply(&answer(&asked), &asked), Some(expected));
    }

    #[test]
    fn replies_to_other_questions_are_none() {
        let asked = question(7, "a.test", Family::V4).unwrap();
        for other in [
            question(8, "a.test", Family::V4),
            question(7, "b.test", Family::V4),
            question(7, "a.test", Family::V6),
        ] {
            assert_eq!(reply(&answer(&other.unwrap()), &asked), None);
        }
        assert_eq!(reply(&asked, &asked), None);
    }

    #[test]
    fn a_reply_that_is_cut_anywhere_is_no_address() {
        let asked = question(7, "a.test", Family::V4).unwrap();
        let whole = answer(&asked);
        for length in 0..whole.len() {
            assert_eq!(reply(&whole[..length], &asked), None, "{length}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(question(1, name, Family::V4), None, "{name}");
        }
    }
}
