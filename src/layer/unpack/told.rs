//! What the entries of a layer have told of its directories. Some of it can only be said of them when all entries are written: their
//! times, and that nothing was told.

use std::collections::{BTreeSet, HashSet};

use rustix::fs::Timespec;

/// A path from the root, as an entry spells it.
type Place = Vec<Vec<u8>>;

/// The time of what has none of its own.
pub const EPOCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Default)]
pub struct Told {
    /// Directories and their times, which writing into them would change again.
    times: Vec<(Place, Timespec)>,
    /// Directories of which no entry has told anything so far.
    implied: BTreeSet<Place>,
}

impl Told {
    /// Of a layer without entries, which has a root.
    pub fn of_layer() -> Told {
        Told {
            times: vec![(Vec::new(), EPOCH)],
            implied: [Vec::new()].into(),
        }
    }

    /// An entry tells of a directory.
    pub fn directory(&mut self, place: Place, modified: Timespec) {
        self.implied.remove(&place);
        self.times.push((place, modified));
    }

    /// A directory was made that no entry has told of; it `is_new` if nothing was in its place.
    pub fn made(&mut self, place: &[Vec<u8>], is_new: bool) {
        // The same tarball makes the same tree, whenever it is unpacked.
        self.times.push((place.to_vec(), EPOCH));
        if is_new {
            self.implied.insert(place.to_vec());
        }
    }

    /// What is below a directory is gone, so it is a new one.
    pub fn begins_anew(&mut self, place: &Place) {
        self.implied.remove(place);
    }

    /// Whether no entry has told anything of the root.
    pub fn implies_root(&self) -> bool {
        self.implied.contains(&[][..])
    }

    /// The directories below the root of which no entry has told anything. A later entry may have replaced one.
    pub fn implied(&self) -> impl Iterator<Item = &Place> {
        self.implied.iter().filter(|place| !place.is_empty())
    }

    /// The times of directories, the last one made first. Of two entries with one name, the later one counts.
    pub fn times(&self) -> impl Iterator<Item = (&Place, Timespec)> {
        let mut done = HashSet::new();
        let times = self.times.iter().rev().filter(move |(place, _)| done.insert(place));
        times.map(|(place, modified)| (place, *modified))
    }
}
