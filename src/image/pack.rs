//! A directory becomes a layer, and the blob that it is transferred as, in one pass: what a container has changed stays with the
//! container, which may change it further.
//!
//! ```text
//!                 ┌──▶ threads: compress, hash, write ──▶ a blob
//!   pack ──chunks─┤
//!                 └──▶ a thread: unpack, or keep and index ──▶ a layer
//! ```

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::compress::{Chunk, compress};
use super::{Blobs, Descriptor, Lease, media};
use crate::error::{Doing, Error, Result};
use crate::layer::{self, Draft, Limits, Packed};
use crate::store::{Digest, Id, Store};

const CHUNK: usize = 256 << 10;
/// How many chunks the packer may be ahead.
const AHEAD: usize = 16;

/// Packs a directory, and puts both the blob and the layer where they belong. No file is said to be younger than `latest`.
pub fn pack_layer(store: &Store, directory: &Path, latest: u64, lease: &Lease) -> Result<(Descriptor, Packed)> {
    let (to_blob, of_blob) = sync_channel(AHEAD);
    let (to_layer, of_layer) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let blob = scope.spawn(move || write_blob(store, of_blob, lease));
        let diff_id = scope.spawn(move || unpack(store, of_layer, lease));
        let mut sender = Sender {
            receivers: [to_blob, to_layer],
            chunk: Vec::with_capacity(CHUNK),
            is_alone: false,
        };
        let packed = layer::pack(directory, latest, &mut sender).and_then(|packed| {
            sender.finish()?;
            Ok(packed)
        });
        let is_own = !sender.is_alone;
        drop(sender);
        let panicked = |_| Error::system("a thread panicked");
        let (blob, diff_id) = (blob.join().map_err(panicked)?, diff_id.join().map_err(panicked)?);
        let packed = match packed {
            // Those who got only a part fail as well, but that is not why.
            Err(error) if is_own => return Err(error),
            packed => packed,
        };
        let (blob, diff_id, packed) = (blob?, diff_id?, packed?);
        if diff_id != packed.content.diff_id {
            return Err(Error::system("what was packed is not what was unpacked"));
        }
        Ok((blob, packed))
    })
}

fn write_blob(store: &Store, chunks: Receiver<Chunk>, lease: &Lease) -> Result<Descriptor> {
    let mut ingest = Blobs::new(store).ingest()?;
    compress(Chunks(Some(chunks)), &mut ingest).doing(|| "write the layer")?;
    ingest.finish_leased(media::LAYER_GZIP, lease)
}

fn unpack(store: &Store, chunks: Receiver<Chunk>, lease: &Lease) -> Result<Digest> {
    let limits = Limits::find()?;
    let draft = Draft::begin(store, &format!("commit-{}", Id::generate()?))?;
    let filled = draft.fill(|into| layer::make(Stream::new(Chunks(Some(chunks))), None, into, &limits))?;
    let diff_id = filled.content.diff_id.clone();
    lease.keep([&diff_id])?;
    layer::seal(store, vec![filled]).map(|()| diff_id)
}

/// Gives all that is written to several threads.
struct Sender {
    receivers: [SyncSender<Chunk>; 2],
    chunk: Vec<u8>,
    /// Whether somebody has stopped to listen, who knows why.
    is_alone: bool,
}

impl Sender {
    fn finish(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.send()?;
        }
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = Arc::new(std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK)));
        for receiver in &self.receivers {
            if receiver.send(chunk.clone()).is_err() {
                self.is_alone = true;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..length]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The receiving end. An empty chunk is the end; a stream that ends without is an error.
struct Chunks(Option<Receiver<Chunk>>);

impl Iterator for Chunks {
    type Item = io::Result<Chunk>;

    fn next(&mut self) -> Option<io::Result<Chunk>> {
        match self.0.as_ref()?.recv() {
            Ok(chunk) if !chunk.is_empty() => Some(Ok(chunk)),
            ended => {
                self.0 = None;
                ended.err().map(|_| Err(io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }
}

/// Chunks as one stream.
struct Stream {
    chunks: Chunks,
    chunk: Chunk,
    read: usize,
}

impl Stream {
    fn new(chunks: Chunks) -> Stream {
        let (chunk, read) = (Chunk::default(), 0);
        Stream { chunks, chunk, read }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            self.chunk = self.chunks.next().transpose()?.unwrap_or_default();
            self.read = 0;
        }
        let length = buffer.len().min(self.chunk.len() - self.read);
        buffer[..length].copy_from_slice(&self.chunk[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}
