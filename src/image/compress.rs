//! Compression by as many threads as there are processors: each chunk of a stream becomes a member of a gzip file of its own. Members
//! that follow each other are read as one stream (RFC 1952, section 2.2), and it depends on the content alone what they are.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A part of a stream.
pub type Chunk = Arc<Vec<u8>>;

/// How many threads are used at most, and how many chunks each is given ahead.
const WORKERS: usize = 16;
const AHEAD: usize = 4;

/// From so many places of a chunk so many bytes are taken to see what it is like.
const SAMPLES: usize = 4;
const SAMPLE: usize = 1 << 10;

/// Compresses chunks, in their order.
pub fn compress(chunks: impl Iterator<Item = io::Result<Chunk>>, mut into: impl Write) -> io::Result<()> {
    let count = thread::available_parallelism().map_or(1, usize::from).min(WORKERS);
    thread::scope(|scope| {
        let workers: Vec<Worker> = (0..count).map(|_| Worker::begin(scope)).collect();
        // Chunk `n` is given to worker `n % count`, and the first that was not taken back is `taken`.
        let (mut given, mut taken) = (0, 0);
        for chunk in chunks {
            workers[given % count].give(chunk?);
            given += 1;
            if given - taken == count * AHEAD {
                into.write_all(&workers[taken % count].take()?)?;
                taken += 1;
            }
        }
        for n in taken..given {
            into.write_all(&workers[n % count].take()?)?;
        }
        Ok(())
    })
}

struct Worker {
    chunks: SyncSender<Chunk>,
    members: Receiver<Vec<u8>>,
}

impl Worker {
    fn begin<'scope>(scope: &'scope Scope<'scope, '_>) -> Worker {
        let (chunks, to_do) = sync_channel::<Chunk>(AHEAD);
        let (done, members) = sync_channel(AHEAD);
        scope.spawn(move || {
            // Whoever has stopped to take them back has stopped to give any.
            let _ = to_do.iter().try_for_each(|chunk| done.send(member(&chunk)));
        });
        Worker { chunks, members }
    }

    fn give(&self, chunk: Chunk) {
        // If the worker is gone, that is seen when the chunk is taken back.
        let _ = self.chunks.send(chunk);
    }

    fn take(&self) -> io::Result<Vec<u8>> {
        self.members.recv().map_err(|_| io::Error::other("a thread panicked"))
    }
}

/// Compresses a chunk for speed: it is done with every commit, and read perhaps never. What is dense already is only wrapped.
fn member(chunk: &[u8]) -> Vec<u8> {
    let level = if is_dense(chunk) {
        Compression::none()
    } else {
        Compression::fast()
    };
    gzip(chunk, level)
}

fn is_dense(chunk: &[u8]) -> bool {
    let places = chunk.chunks(chunk.len().div_ceil(SAMPLES).max(1));
    let sample: Vec<u8> = places.flat_map(|place| &place[..place.len().min(SAMPLE)]).copied().collect();
    gzip(&sample, Compression::fast()).len() > sample.len()
}

fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), level);
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes all that is written")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn compressed(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut into = Vec::new();
        compress(chunks.iter().map(|chunk| Ok(Arc::new(chunk.clone()))), &mut into).unwrap();
        into
    }

    /// Bytes that nothing compresses.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn chunks_stay_in_their_order() {
        let chunks: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; 1000 + usize::from(n)]).collect();
        let mut read = Vec::new();
        MultiGzDecoder::new(&compressed(&chunks)[..]).read_to_end(&mut read).unwrap();
        assert!(read == chunks.concat());
    }

    #[test]
    fn only_what_is_not_dense_is_compressed() {
        let (noise, text) = (noise(100_000), b"the same again, ".repeat(5_000));
        assert!((100_000..101_000).contains(&compressed(std::slice::from_ref(&noise)).len()));
        assert!(compressed(std::slice::from_ref(&text)).len() < 2_000);
        let mut read = Vec::new();
        let both = compressed(&[noise.clone(), text.clone(), Vec::new()]);
        MultiGzDecoder::new(&both[..]).read_to_end(&mut read).unwrap();
        assert!(read == [noise, text].concat());
    }

    #[test]
    fn what_cannot_be_read_or_written_is_an_error() {
        let broken = [Ok(Arc::new(vec![1; 9])), Err(io::ErrorKind::UnexpectedEof.into())];
        assert_eq!(
            compress(broken.into_iter(), Vec::new()).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let mut full = [0u8; 10];
        let chunks = (0..100).map(|_| Ok(Arc::new(noise(1000))));
        assert_eq!(compress(chunks, &mut full[..]).unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
