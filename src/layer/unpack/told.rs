//! What the entries of a layer have told of its directories. Some of it can only be said of them when all entries are written: their
//! times, and that nothing was told.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use rustix::fs::Timespec;

use crate::error::{Error, Result};

/// A path from the root, as an entry spells it, in one piece: one entry may have thousands of directories above it.
type Place = Rc<[u8]>;

/// How much may be remembered of the directories of a layer.
const MOST: usize = 512 << 20;
/// What a place takes beside its bytes.
const BESIDE: usize = 96;

/// The time of what has none of its own.
pub const EPOCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Default)]
pub struct Told {
    /// Directories and their times, which writing into them would change again.
    times: Vec<(Place, Timespec)>,
    /// Directories of which no entry has told anything so far.
    implied: BTreeSet<Place>,
    held: usize,
}

impl Told {
    /// Of a layer without entries, which has a root.
    pub fn of_layer() -> Told {
        Told {
            times: vec![(Place::default(), EPOCH)],
            implied: [Place::default()].into(),
            held: 0,
        }
    }

    /// An entry tells of a directory.
    pub fn directory(&mut self, place: &[u8], modified: Timespec) {
        self.implied.remove(place);
        self.remember(place.into(), modified);
    }

    fn remember(&mut self, place: Place, modified: Timespec) {
        self.held += place.len() + BESIDE;
        self.times.push((place, modified));
    }

    /// Checks that there is not more to remember than any layer has.
    pub fn check(&self) -> Result<()> {
        if self.held <= MOST {
            return Ok(());
        }
        Err(Error::invalid("the layer has too many directories, or has them too deep"))
    }

    /// A directory was made that no entry has told of; it `is_new` if nothing was in its place.
    pub fn made(&mut self, path: &[Vec<u8>], is_new: bool) {
        let place: Place = path.join(&b'/').into();
        if is_new {
            self.implied.insert(place.clone());
        }
        // The same tarball makes the same tree, whenever it is unpacked.
        self.remember(place, EPOCH);
    }

    /// What is below a directory is gone, so it is a new one.
    pub fn begins_anew(&mut self, place: &[u8]) {
        self.implied.remove(place);
    }

    /// Whether no entry has told anything of the root.
    pub fn implies_root(&self) -> bool {
        self.implied.contains(&[][..])
    }

    /// The directories below the root of which no entry has told anything. A later entry may have replaced one.
    pub fn implied(&self) -> impl Iterator<Item = &[u8]> {
        self.implied.iter().map(|place| &**place).filter(|place| !place.is_empty())
    }

    /// The times of directories, in the order in which they were told. Of two entries with one name, the later one counts.
    pub fn times(&self) -> impl Iterator<Item = (&[u8], Timespec)> {
        let mut done = HashSet::new();
        let mut times: Vec<_> = self.times.iter().rev().filter(|(place, _)| done.insert(place)).collect();
        times.reverse();
        times.into_iter().map(|(place, modified)| (&**place, *modified))
    }
}

/// The place of a name.
pub fn join(path: &[Vec<u8>], name: &[u8]) -> Vec<u8> {
    let names = path.iter().map(Vec::as_slice).chain([name]);
    names.collect::<Vec<_>>().join(&b'/')
}

/// The names that lead to a place.
pub fn names(place: &[u8]) -> Vec<Vec<u8>> {
    let names = place.split(|c| *c == b'/').filter(|name| !name.is_empty());
    names.map(<[u8]>::to_vec).collect()
}
