//! Leases: what a pull, a load or a commit needs is not collected before it is finished.
//!
//! ```text
//!   run/image          a lock: shared by whoever looks something up that must not vanish meanwhile,
//!                      exclusive while garbage is collected
//!   run/lease/<id>     locked by whoever is at work; the digests of blobs and layers that they need, one a line
//! ```
//!
//! A container needs its layers from the moment when its image is found. It takes the shared lock until its record, which
//! keeps them from then on, is written. That is short. Work that takes long writes down what it needs instead: the collector
//! waits for nobody who downloads, and keeps what a lease names. A lease whose lock is free was of somebody who died.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};
use crate::store::{Digest, Id, Lock, Store};

/// Nothing is collected while this is held.
#[must_use]
pub struct Steady {
    _lock: Lock,
}

impl Steady {
    pub fn hold(store: &Store) -> Result<Steady> {
        let lock = Lock::share(&store.run_directory("")?.join("image"))?;
        Ok(Steady { _lock: lock })
    }
}

/// Nobody finds, and then needs, anything while this is held.
#[must_use]
pub struct Collecting {
    _lock: Lock,
}

impl Collecting {
    pub fn begin(store: &Store) -> Result<Collecting> {
        let lock = Lock::acquire(&store.run_directory("")?.join("image"))?;
        Ok(Collecting { _lock: lock })
    }

    /// What is needed by whoever is at work.
    pub fn leased(&self, store: &Store) -> Result<BTreeSet<Digest>> {
        let mut needed = BTreeSet::new();
        for entry in fs::read_dir(store.run().join("lease")).into_iter().flatten().flatten() {
            let path = entry.path();
            if Lock::is_held(&path) {
                needed.extend(kept(&path)?);
            } else if let Some(_lock) = Lock::try_acquire(&path)? {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(needed)
    }
}

/// A lease. It ends when it is dropped, or with its holder.
pub struct Lease<'a> {
    store: &'a Store,
    path: PathBuf,
    _lock: Lock,
}

impl Lease<'_> {
    pub fn begin(store: &Store) -> Result<Lease<'_>> {
        let path = store.run_directory("lease")?.join(Id::generate()?.as_str());
        let lock = Lock::acquire(&path)?;
        Ok(Lease {
            store,
            path,
            _lock: lock,
        })
    }

    /// Keeps blobs and layers from being collected. Whether they are there is for the caller to look after this.
    pub fn keep<'d>(&self, digests: impl IntoIterator<Item = &'d Digest>) -> Result<()> {
        let lines: String = digests.into_iter().map(|digest| format!("{digest}\n")).collect();
        let _steady = Steady::hold(self.store)?;
        let doing = || format!("write `{}`", self.path.display());
        let mut file = OpenOptions::new().append(true).open(&self.path).doing(doing)?;
        file.write_all(lines.as_bytes()).doing(doing)
    }

    /// Ends the lease, and returns what it kept.
    pub fn end(self) -> Result<BTreeSet<Digest>> {
        kept(&self.path)
    }
}

/// The digests that a lease names.
fn kept(path: &Path) -> Result<BTreeSet<Digest>> {
    let text = fs::read_to_string(path).doing(|| format!("read `{}`", path.display()))?;
    Ok(text.lines().filter_map(Digest::parse).collect())
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
