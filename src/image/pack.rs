//! A directory becomes a layer, and the blob that it is transferred as, in one pass: what a container has changed stays with the
//! container, which may change it further.
//!
//! ```text
//!                 ┌──▶ a thread: compress, hash, write ──▶ a blob
//!   pack ──chunks─┤
//!                 └──▶ a thread: unpack, or keep and index ──▶ a layer
//! ```

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

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

/// Compresses what comes. It is done with every commit, and read perhaps never: that it is done soon counts for more.
fn write_blob(store: &Store, chunks: Receiver<Chunk>, lease: &Lease) -> Result<Descriptor> {
    let doing = || "write the layer";
    let mut gzip = GzEncoder::new(Blobs::new(store).ingest()?, Compression::fast());
    io::copy(&mut Chunks::new(chunks), &mut gzip).doing(doing)?;
    gzip.finish().doing(doing)?.finish_leased(media::LAYER_GZIP, lease)
}

fn unpack(store: &Store, chunks: Receiver<Chunk>, lease: &Lease) -> Result<Digest> {
    let limits = Limits::find()?;
    let draft = Draft::begin(store, &format!("commit-{}", Id::generate()?))?;
    let filled = draft.fill(|into| layer::make(Chunks::new(chunks), None, into, &limits))?;
    let diff_id = filled.content.diff_id.clone();
    lease.keep([&diff_id])?;
    layer::seal(store, vec![filled]).map(|()| diff_id)
}

/// A part of a stream; an empty one is its end.
type Chunk = Arc<Vec<u8>>;

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

/// The receiving end: the chunks as one stream. One that ends without its end is an error.
struct Chunks {
    receiver: Receiver<Chunk>,
    chunk: Chunk,
    read: usize,
    is_over: bool,
}

impl Chunks {
    fn new(receiver: Receiver<Chunk>) -> Chunks {
        Chunks {
            receiver,
            chunk: Chunk::default(),
            read: 0,
            is_over: false,
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() && !self.is_over {
            self.chunk = self.receiver.recv().map_err(|_| io::ErrorKind::UnexpectedEof)?;
            self.read = 0;
            self.is_over = self.chunk.is_empty();
        }
        let length = buffer.len().min(self.chunk.len() - self.read);
        buffer[..length].copy_from_slice(&self.chunk[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}
