//! Blobs: the content of images, each named by its digest.
//!
//! ```text
//!   image/draft/new-<id>      being written, digest not yet known
//!   image/draft/<digest>      being downloaded, or a part that a later download goes on with
//!          │ size and digest are right, on disk: rename
//!          ▼
//!   image/blobs/sha256/<digest>
//! ```
//!
//! A blob that is there was whole when it came, and documents are checked again each time they are read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::manifest::LARGEST_DOCUMENT;
use super::{Descriptor, Lease};
use crate::error::{Doing, Error, Result};
use crate::store::{Digest, Id, Lock, Store};

/// How long a part of a blob waits for the download that goes on with it.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How drafts begin whose digest is known only at the end.
const NEW: &str = "new-";

/// The blobs of a store.
#[derive(Clone, Copy)]
pub struct Blobs<'a> {
    store: &'a Store,
}

impl<'a> Blobs<'a> {
    pub fn new(store: &'a Store) -> Blobs<'a> {
        Blobs { store }
    }

    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.store.root().join("image/blobs/sha256").join(digest.hex())
    }

    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Reads a document: a manifest, an index or a configuration. Its size and its digest are checked.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let read = || {
            if descriptor.size > LARGEST_DOCUMENT {
                return Err(Error::invalid(format!(
                    "is {} bytes long; documents have at most {LARGEST_DOCUMENT}",
                    descriptor.size
                )));
            }
            let mut bytes = Vec::new();
            self.open(descriptor)?.take(descriptor.size + 1).read_to_end(&mut bytes)?;
            check(descriptor, bytes.len() as u64, &Digest::of(Sha256::new_with_prefix(&bytes)))?;
            Ok(bytes)
        };
        read().doing(|| format!("blob `{}`", descriptor.digest))
    }

    /// Opens a blob, which must have the right size. Whoever reads it checks the digest.
    pub fn open(&self, descriptor: &Descriptor) -> Result<File> {
        let file = match File::open(self.path(&descriptor.digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let missing = Error::not_found(format!("blob `{}` is missing", descriptor.digest));
                return Err(missing.hint("pull or load the image again"));
            }
            file => file?,
        };
        let size = file.metadata()?.len();
        if size != descriptor.size {
            return Err(wrong_size(descriptor, size));
        }
        Ok(file)
    }

    /// Adds a blob whose content is in memory.
    pub fn add(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let digest = Digest::of(Sha256::new_with_prefix(bytes));
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        if let Some(mut ingest) = self.resume(&descriptor)? {
            ingest.restart()?;
            ingest
                .write_all(bytes)
                .doing(|| format!("write blob `{}`", descriptor.digest))?;
            ingest.finish(media_type)?;
        }
        Ok(descriptor)
    }

    /// Begins a blob whose digest is known only at the end.
    pub fn ingest(&self) -> Result<Ingest<'a>> {
        let key = format!("{NEW}{}", Id::generate()?);
        Ingest::begin(self.store, &key, None)
    }

    /// Begins the blob that a descriptor describes, or goes on where an earlier try ended: see [`Ingest::written`]. Waits for
    /// others who do the same. Returns nothing if the blob is there.
    pub fn resume(&self, descriptor: &Descriptor) -> Result<Option<Ingest<'a>>> {
        if self.contains(&descriptor.digest) {
            return self.open(descriptor).map(|_| None);
        }
        let ingest = Ingest::begin(self.store, descriptor.digest.hex(), Some(descriptor.clone()))?;
        // Whoever had the lock before may have finished it.
        if self.contains(&descriptor.digest) {
            return ingest.discard().map(|()| None);
        }
        Ok(Some(ingest))
    }
}

/// A blob that is being written.
pub struct Ingest<'a> {
    store: &'a Store,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    written: u64,
    expected: Option<Descriptor>,
    /// Whether the disk is full: then what was written is in the way of others.
    is_in_the_way: bool,
    /// Held for as long as somebody writes; the file goes with a draft that nobody can go on with.
    _lock: DraftLock,
}

struct DraftLock {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for DraftLock {
    fn drop(&mut self) {
        // The lock is still held: whoever waits for it sees that the file is gone, and makes another.
        let _ = fs::remove_file(&self.path);
    }
}

impl<'a> Ingest<'a> {
    fn begin(store: &'a Store, key: &str, expected: Option<Descriptor>) -> Result<Ingest<'a>> {
        let lock_path = lock_path(store, key)?;
        let lock = DraftLock {
            _lock: Lock::acquire(&lock_path)?,
            path: lock_path,
        };
        let path = store.directory("image/draft")?.join(key);
        let doing = || format!("write `{}`", path.display());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o644);
        let mut file = options.open(&path).doing(doing)?;
        let (hasher, written) = hash(&mut file).doing(doing)?;
        let mut ingest = Ingest {
            store,
            path,
            file,
            hasher,
            written,
            expected,
            is_in_the_way: false,
            _lock: lock,
        };
        // What is too long cannot be a part of it.
        if ingest
            .expected
            .as_ref()
            .is_some_and(|expected| ingest.written > expected.size)
        {
            ingest.restart()?;
        }
        Ok(ingest)
    }

    /// How many bytes are there: what comes next is written after them.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest of what was written so far.
    pub fn digest(&self) -> Digest {
        Digest::of(self.hasher.clone())
    }

    /// Opens what was written so far, to read it from its beginning.
    pub fn reopen(&self) -> Result<File> {
        File::open(&self.path).doing(|| format!("read `{}`", self.path.display()))
    }

    /// Throws away what was written so far.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0)?;
        self.hasher = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Checks that the blob is what it should be, and puts it where blobs are: first its content is on disk, then its name. A
    /// blob that is not what it should be is thrown away.
    pub fn finish(self, media_type: &str) -> Result<Descriptor> {
        let digest = Digest::of(self.hasher.clone());
        if let Some(expected) = &self.expected
            && let Err(wrong) = check(expected, self.written, &digest)
        {
            let doing = format!("blob `{}`", expected.digest);
            return self.discard().and(Err(wrong.doing(doing)));
        }
        let blobs = self.store.directory("image/blobs/sha256")?;
        let doing = || format!("write blob `{digest}`");
        self.file.sync_data().doing(doing)?;
        fs::rename(&self.path, blobs.join(digest.hex())).doing(doing)?;
        Ok(Descriptor::new(media_type, digest, self.written))
    }

    /// The same, and keeps the blob from being collected before anybody can see it.
    pub fn finish_leased(self, media_type: &str, lease: &Lease) -> Result<Descriptor> {
        lease.keep([&Digest::of(self.hasher.clone())])?;
        self.finish(media_type)
    }

    /// Throws the draft away.
    pub fn discard(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::from(error).doing(format!("remove `{}`", self.path.display())))
            }
            _ => Ok(()),
        }
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(expected) = &self.expected
            && bytes.len() as u64 > expected.size - self.written
        {
            return Err(io::Error::other(format!(
                "it is longer than the {} bytes it should have",
                expected.size
            )));
        }
        let length = self.file.write(bytes).inspect_err(|error| {
            self.is_in_the_way |= error.kind() == io::ErrorKind::StorageFull;
        })?;
        self.hasher.update(&bytes[..length]);
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        // What nobody can name nobody can go on with. If it was renamed, there is nothing of this name.
        if self.expected.is_none() || self.is_in_the_way {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The digest and the length of a stream.
pub fn digest_of_stream(mut stream: impl Read) -> Result<(Digest, u64)> {
    let (hasher, length) = hash(&mut stream)?;
    Ok((Digest::of(hasher), length))
}

/// Hashes a stream from where it is to its end.
fn hash(stream: &mut impl Read) -> Result<(Sha256, u64)> {
    let (mut hasher, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok((hasher, length)),
            read => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// The digest and the length of a file.
pub fn digest_of(path: &Path) -> Result<(Digest, u64)> {
    let open = File::open(path).map_err(Error::from);
    open.and_then(digest_of_stream).doing(|| format!("read `{}`", path.display()))
}

fn check(expected: &Descriptor, size: u64, digest: &Digest) -> Result<()> {
    if size != expected.size {
        return Err(wrong_size(expected, size));
    }
    if *digest != expected.digest {
        return Err(Error::invalid(format!("its content has another digest, `{digest}`")));
    }
    Ok(())
}

fn wrong_size(expected: &Descriptor, size: u64) -> Error {
    Error::invalid(format!("it has {size} bytes instead of {}", expected.size))
}

fn lock_path(store: &Store, key: &str) -> Result<PathBuf> {
    Ok(store.run_directory("draft")?.join(format!("blob-{key}")))
}

/// Discards the drafts whose makers died: at once those that nobody can go on with, after a while, or if `all` says so, the
/// others. Returns how many bytes that were.
pub fn sweep_blob_drafts(store: &Store, all: bool) -> Result<u64> {
    let mut freed = 0;
    for entry in fs::read_dir(store.root().join("image/draft")).into_iter().flatten().flatten() {
        let key = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata();
        let age = metadata
            .as_ref()
            .ok()
            .and_then(|metadata| SystemTime::now().duration_since(metadata.modified().ok()?).ok());
        if !all && !key.starts_with(NEW) && age.is_none_or(|age| age < KEPT) {
            continue;
        }
        let lock = lock_path(store, &key)?;
        if let Some(lock_held) = Lock::try_acquire(&lock)? {
            if store.discard(&entry.path())? {
                freed += metadata.map_or(0, |metadata| metadata.len());
            }
            drop(DraftLock {
                path: lock,
                _lock: lock_held,
            });
        }
    }
    Ok(freed)
}
