//! The bytes of a tarball: inflated and hashed in a thread of its own, and handed over in chunks.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::limits::too_long;
use crate::error::{Error, Result};
use crate::store::Digest;

/// Large enough that handing one over costs nothing, small enough to stay in the cache.
const CHUNK: usize = 256 << 10;
/// How many chunks the inflating thread may be ahead.
const AHEAD: usize = 8;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// What others compress with, by the first bytes. A tarball begins with a name, in which nobody has bytes such as these.
const UNKNOWN: [(&str, &[u8]); 2] = [("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0]), ("lz4", &[0x04, 0x22, 0x4d, 0x18])];
/// What comes in bzip2 after `BZh` and a digit: together they are no name either.
const IN_BZIP2: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];

/// The tarball that `source` has, whatever it is compressed with.
pub fn inflated<'a>(source: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
    let mut source = BufReader::with_capacity(CHUNK, source);
    let start = source.fill_buf().map_err(unreadable)?;
    Ok(match start {
        [] => return Err(Error::invalid("the tarball is empty")),
        start if start.starts_with(GZIP) => Box::new(MultiGzDecoder::new(source)),
        start if start.starts_with(ZSTD) => Box::new(zstd::Decoder::with_buffer(source).map_err(unreadable)?),
        start => match unknown(start) {
            Some(program) => return Err(cannot_inflate(program)),
            None => Box::new(source),
        },
    })
}

/// The program that the rest of something must be inflated with, if its start tells, and we cannot do it.
fn unknown(start: &[u8]) -> Option<&'static str> {
    if let [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] = start
        && rest.starts_with(IN_BZIP2)
    {
        return Some("bzip2");
    }
    let found = UNKNOWN.iter().find(|(_, bytes)| start.starts_with(bytes));
    found.map(|(program, _)| *program)
}

fn cannot_inflate(program: &str) -> Error {
    let error = Error::invalid(format!("it is compressed with {program}; gzip and zstd are understood"));
    error.hint(format!("inflate it first, with `{program} -dc`"))
}

/// Inflates `source` and sends it in chunks, `limit` bytes at most. Returns the digest and the length of what it sent.
pub fn inflate(source: impl Read + Send, limit: u64, chunks: &SyncSender<Vec<u8>>) -> Result<(Digest, u64)> {
    let mut reader = inflated(source)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        reader
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)
            .map_err(unreadable)?;
        if chunk.is_empty() {
            return Ok((Digest::of(hasher), size));
        }
        hasher.update(&chunk);
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_long(limit));
        }
        // The parser hangs up when it met an error, which is the one to report.
        if chunks.send(chunk).is_err() {
            return Ok((Digest::of(hasher), size));
        }
    }
}

fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid("the tarball is truncated"),
        _ if error.raw_os_error().is_some() => error.into(),
        _ => Error::invalid(format!("the tarball is corrupt: {error}")),
    }
}

/// The receiving end: the chunks as one stream.
pub struct Chunks {
    receiver: Receiver<Vec<u8>>,
    /// Where each chunk is written when it comes.
    copy: Option<File>,
    chunk: Vec<u8>,
    read: usize,
}

impl Chunks {
    pub fn channel(copy: Option<File>) -> (SyncSender<Vec<u8>>, Chunks) {
        let (sender, receiver) = sync_channel(AHEAD);
        (
            sender,
            Chunks {
                receiver,
                copy,
                chunk: Vec::new(),
                read: 0,
            },
        )
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            self.chunk = self.receiver.recv().unwrap_or_default();
            if let Some(copy) = &mut self.copy {
                copy.write_all(&self.chunk)?;
            }
            self.read = 0;
        }
        let length = buffer.len().min(self.chunk.len() - self.read);
        buffer[..length].copy_from_slice(&self.chunk[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Remembers how a stream ended: a tarball ends with at least one block of zeros, so one that does not was cut off.
pub struct Tail<R> {
    reader: R,
    zeros: u64,
    length: u64,
}

const BLOCK: u64 = 512;

impl<R> Tail<R> {
    pub fn new(reader: R) -> Tail<R> {
        Tail {
            reader,
            zeros: 0,
            length: 0,
        }
    }

    /// Whether what was read so far ends with a block of zeros.
    pub fn is_terminated(&self) -> bool {
        self.zeros >= BLOCK && self.length.is_multiple_of(BLOCK)
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        let zeros = buffer[..length].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == length {
            self.zeros + zeros as u64
        } else {
            zeros as u64
        };
        self.length += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_inflated_is_named() {
        for (start, program) in [
            (b"\xfd7zXZ\0\0".as_slice(), Some("xz")),
            (b"BZh91AY&SY", Some("bzip2")),
            (b"\x04\x22\x4d\x18", Some("lz4")),
            (b"BZh9.txt", None),
            (b"BZh", None),
            (b"./", None),
        ] {
            assert_eq!(unknown(start), program, "{start:?}");
            let read = inflated(start);
            assert_eq!(read.is_err(), program.is_some());
        }
    }

    #[test]
    fn the_end_mark_is_seen_however_the_stream_is_cut() {
        for (bytes, terminated) in [
            (vec![0; 1024], true),
            (vec![1; 1024], false),
            ([vec![1; 512], vec![0; 512]].concat(), true),
            (vec![0; 700], false),
        ] {
            for size in [1, 100, 512, 4096] {
                let mut tail = Tail::new(bytes.as_slice());
                let mut buffer = vec![0; size];
                while tail.read(&mut buffer).unwrap() > 0 {}
                assert_eq!(tail.is_terminated(), terminated, "{} bytes by {size}", bytes.len());
            }
        }
    }
}
