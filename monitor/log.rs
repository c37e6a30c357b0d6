//! The log: each line that the container writes is one line of JSON. Only whole lines are written, several at once where
//! they come at once.

use crate::clock;
use crate::line::{self, Writer};
use crate::sys::{self, Moved};

/// A longer line becomes several, of which only the last ends with a line feed (as in Docker's logs).
const LINE: usize = 16 << 10;
/// Room for the longest line, and for many short ones.
const ROOM: usize = line::longest(LINE) + (16 << 10);

const STREAMS: [&[u8]; 2] = [b"stdout", b"stderr"];

/// The beginning of a line whose end was not written yet.
struct Partial {
    text: [u8; LINE],
    length: usize,
}

pub struct Log {
    fd: i32,
    partial: [Partial; 2],
    /// Lines that were spelled and not written yet.
    spelled: [u8; ROOM],
    length: usize,
}

impl Log {
    pub const fn new() -> Log {
        const NONE: Partial = Partial { text: [0; LINE], length: 0 };
        Log { fd: 0, partial: [NONE; 2], spelled: [0; ROOM], length: 0 }
    }

    pub fn open(&mut self, fd: i32) {
        self.fd = fd;
    }

    /// Logs what the container wrote to a stream.
    pub fn write(&mut self, stream: usize, mut text: &[u8]) {
        if self.fd < 0 {
            return;
        }
        let (seconds, nanoseconds) = sys::time();
        let time = clock::spell(seconds, nanoseconds);
        while !text.is_empty() {
            let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
            let Some(partial) = self.partial.get_mut(stream) else { return };
            let (head, rest) = text.split_at(end.min(LINE - partial.length));
            if let Some(room) = partial.text.get_mut(partial.length..partial.length + head.len()) {
                room.copy_from_slice(head);
                partial.length += head.len();
            }
            text = rest;
            if head.ends_with(b"\n") {
                self.spell(stream, usize::MAX, &time);
            } else if self.partial.get(stream).is_some_and(|partial| partial.length == LINE) {
                self.spell(stream, LINE, &time);
            }
        }
        self.flush();
    }

    /// Logs the lines that have no end.
    pub fn finish(&mut self) {
        let (seconds, nanoseconds) = sys::time();
        for stream in 0..STREAMS.len() {
            self.spell(stream, usize::MAX, &clock::spell(seconds, nanoseconds));
        }
        self.flush();
    }

    /// Makes a line of at most `limit` bytes of a stream's partial line; the rest becomes the beginning of the next one.
    fn spell(&mut self, stream: usize, limit: usize, time: &[u8; clock::LENGTH]) {
        let Some(text) = self.partial.get(stream).and_then(|partial| partial.text.get(..partial.length)) else { return };
        if text.is_empty() {
            return;
        }
        let end = if text.len() < limit { text.len() } else { line::cut(text, limit - 1) };
        if self.spelled.len() - self.length < line::longest(end) {
            self.flush();
        }
        let (Some(partial), Some(room)) = (self.partial.get_mut(stream), self.spelled.get_mut(self.length..)) else { return };
        let mut writer = Writer::new(room);
        line::write(&mut writer, partial.text.get(..end).unwrap_or_default(), STREAMS.get(stream).unwrap_or(&STREAMS[0]), time);
        self.length += writer.len();
        partial.text.copy_within(end..partial.length, 0);
        partial.length -= end;
    }

    /// Writes the lines that were spelled, in one call where the system allows it. If it does not, because the disk is full,
    /// they are lost: the container must not stop for its log.
    fn flush(&mut self) {
        let mut from = 0;
        while let Some(rest @ [_, ..]) = self.spelled.get(from..self.length) {
            match sys::write(self.fd, rest) {
                Moved::Bytes(length) => from += length,
                Moved::Later => {}
                Moved::Ended => break,
            }
        }
        self.length = 0;
    }
}
