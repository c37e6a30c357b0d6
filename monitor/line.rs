//! One line of a log, in the form of Docker's json-file driver:
//!
//! ```text
//! {"log":"text\n","stream":"stdout","time":"2026-11-24T04:04:30.123456789Z"}
//! {"log":"text\n","stream":"stdout","attrs":{"tag":"web"},"time":"2026-11-24T04:04:30.123456789Z"}
//! ```

use super::clock;

/// What a line of the log takes beside its text.
const FRAME: usize = 80;
/// What one byte of text becomes at most: `\u001b`.
const ESCAPED: usize = 6;

/// How many bytes a line with `text` bytes and no attributes takes at most.
pub const fn longest(text: usize) -> usize {
    text * ESCAPED + FRAME
}

/// Appends to a buffer that has room.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Writer<'a> {
        Writer { buffer, length: 0 }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.buffer.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    /// How much was appended.
    pub fn len(&self) -> usize {
        self.length
    }
}

/// Appends a line; its attributes are spelled already. Bytes that are not UTF-8 become U+FFFD, since JSON cannot carry them.
pub fn write(writer: &mut Writer, text: &[u8], stream: &[u8], attributes: &[u8], time: &[u8; clock::LENGTH]) {
    writer.put(b"{\"log\":\"");
    escape(writer, text);
    writer.put(b"\",\"stream\":\"");
    writer.put(stream);
    writer.put(b"\",");
    writer.put(attributes);
    writer.put(b"\"time\":\"");
    writer.put(time);
    writer.put(b"\"}\n");
}

fn escape(writer: &mut Writer, text: &[u8]) {
    for part in text.utf8_chunks() {
        part.valid().bytes().for_each(|byte| escape_byte(writer, byte));
        if !part.invalid().is_empty() {
            writer.put(b"\\ufffd");
        }
    }
}

fn escape_byte(writer: &mut Writer, byte: u8) {
    match byte {
        b'"' => writer.put(b"\\\""),
        b'\\' => writer.put(b"\\\\"),
        b'\n' => writer.put(b"\\n"),
        b'\r' => writer.put(b"\\r"),
        b'\t' => writer.put(b"\\t"),
        0..0x20 | 0x7f => {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
            writer.put(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
        _ => writer.put(&[byte]),
    }
}

/// Where to cut a text that is too long for one line: at most `limit`, and not within a character.
pub fn cut(text: &[u8], limit: usize) -> usize {
    let continues = |byte: Option<&u8>| byte.is_some_and(|byte| byte & 0xc0 == 0x80);
    (limit.saturating_sub(3)..=limit).rev().find(|at| !continues(text.get(*at))).unwrap_or(limit)
}
