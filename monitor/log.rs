//! The log: each line that the container writes is one line of JSON. Only whole lines are written, several at once where
//! they come at once.
//!
//! A log that would become too long becomes `log.1`, as `log.1` becomes `log.2` and so on, and a new one takes its place. The
//! new file is there before anything is renamed, so a full disk changes nothing; and every step is one rename, so whoever is
//! killed leaves whole files in their order, perhaps with a gap in their numbers.

use core::ffi::CStr;

use crate::clock;
use crate::line::{self, Writer};
use crate::protocol::Given;
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
    directory: i32,
    /// How many files there are at most, and how long each may become; 0 is any length.
    files: u32,
    limit: u64,
    size: u64,
    /// Whether the file ends within a line: the disk was full, or whoever wrote it was killed.
    torn: bool,
    attributes: Option<&'static [u8]>,
    partial: [Partial; 2],
    /// Lines that were spelled and not written yet.
    spelled: [u8; ROOM],
    length: usize,
}

impl Log {
    pub const fn new() -> Log {
        const NONE: Partial = Partial { text: [0; LINE], length: 0 };
        Log {
            fd: 0,
            directory: 0,
            files: 0,
            limit: 0,
            size: 0,
            torn: false,
            attributes: None,
            partial: [NONE; 2],
            spelled: [0; ROOM],
            length: 0,
        }
    }

    pub fn open(&mut self, given: &Given) {
        (self.fd, self.directory, self.files) = (given.log, given.directory, given.log_files as u32);
        (self.limit, self.size, self.torn) = (given.log_limit, given.log_size, given.log_torn != 0);
        if given.attributes_length > 0 {
            let start = given.attributes as *const u8;
            // SAFETY: the kernel mapped them with everything else that is given, which stays there and does not change.
            self.attributes = Some(unsafe { core::slice::from_raw_parts(start, given.attributes_length as usize) });
        }
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
        let attributes = self.attributes.unwrap_or_default();
        if self.spelled.len() - self.length < line::longest(end) + attributes.len() {
            self.flush();
        }
        let (Some(partial), Some(room)) = (self.partial.get_mut(stream), self.spelled.get_mut(self.length..)) else { return };
        let mut writer = Writer::new(room);
        let (text, name) = (partial.text.get(..end).unwrap_or_default(), STREAMS.get(stream).unwrap_or(&STREAMS[0]));
        line::write(&mut writer, text, name, attributes, time);
        let length = writer.len();
        partial.text.copy_within(end..partial.length, 0);
        partial.length -= end;
        self.append(length);
    }

    /// Lets the line that was spelled last follow those before it, in the next file if this one would become too long.
    fn append(&mut self, length: usize) {
        let before = self.size + self.length as u64;
        if self.limit == 0 || before == 0 || before + length as u64 <= self.limit {
            self.length += length;
            return;
        }
        let start = self.length;
        self.flush();
        self.rotate();
        self.spelled.copy_within(start..start + length, 0);
        self.length = length;
    }

    fn rotate(&mut self) {
        const NEW: &CStr = c".log.new";
        let Some(new) = sys::create_log(self.directory, NEW) else { return };
        for n in (0..self.files.saturating_sub(1)).rev() {
            sys::rename(self.directory, Name::of(n).text(), Name::of(n + 1).text());
        }
        sys::rename(self.directory, NEW, Name::of(0).text());
        sys::close(self.fd);
        (self.fd, self.size, self.torn) = (new, 0, false);
    }

    /// Writes the lines that were spelled, in one call where the system allows it. If it does not, because the disk is full,
    /// they are lost: the container must not stop for its log.
    fn flush(&mut self) {
        if self.torn && self.length > 0 {
            self.torn = !matches!(sys::write(self.fd, b"\n"), Moved::Bytes(_));
            self.size += 1;
        }
        let mut from = 0;
        while let Some(rest @ [_, ..]) = self.spelled.get(from..self.length) {
            match sys::write(self.fd, rest) {
                Moved::Bytes(length) => from += length,
                Moved::Later => {}
                Moved::Ended => break,
            }
        }
        self.size += from as u64;
        if let Some(last) = self.spelled.get(..from).and_then(<[u8]>::last) {
            self.torn = *last != b'\n';
        }
        self.length = 0;
    }
}

/// The name of a file of the log: `log` for the newest, `log.N` for older ones.
struct Name {
    text: [u8; 16],
}

impl Name {
    fn of(number: u32) -> Name {
        let mut text = *b"log\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut digits = [0; 10];
        let (mut count, mut rest) = (0, number);
        while rest > 0 {
            digits[count] = b'0' + (rest % 10) as u8;
            (count, rest) = (count + 1, rest / 10);
        }
        if count > 0 {
            text[3] = b'.';
        }
        for (place, digit) in text.iter_mut().skip(4).zip(digits.iter().take(count).rev()) {
            *place = *digit;
        }
        Name { text }
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"log")
    }
}
