//! Directories that are made ahead.
//!
//! A new directory that has nothing to do with others gets a place of its own on the disk, which the kernel takes a while to find
//! (`Store::directory_of_many`). So whoever has time makes one to spare, and whoever has not takes it: that is a rename.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};
use crate::store::Store;

/// How many there are at most: as many as may be wanted at once before anybody has time again.
const SPARES: usize = 8;

impl Store {
    /// Makes a directory out of one to spare. Returns false if there is none, and sees to it that there can be.
    pub fn take_spare(&self, path: &Path) -> bool {
        let is_taken = self.spares().any(|spare| fs::rename(spare, path).is_ok());
        if !is_taken {
            let _ = self.directory_of_many("spare");
        }
        is_taken
    }

    /// Has a directory made to spare, unless there are enough, by `make`: it may find one that somebody had begun, and its directory
    /// may be taken at any time. The place for it is not made here: somebody may have removed the store meanwhile.
    ///
    /// Its first `name` should be one of a few hundred that are met with by chance, and is changed to a number when it is there: ext4
    /// chooses the place by the name, and with always the same it would be where others have just gone.
    pub fn make_spare(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.spares().all(|spare| spare.exists()) {
            return Ok(());
        }
        let begun = self.root().join("spare").join(name);
        let made = make(&begun).and_then(|()| self.number_spare(&begun));
        // Somebody else may have met with the name, too.
        made.or_else(|error| if begun.exists() { Err(error) } else { Ok(()) })
    }

    /// Gives a directory to spare a number that is free. If others were faster and there are enough, it goes.
    fn number_spare(&self, begun: &Path) -> Result<()> {
        for spare in self.spares() {
            match fs::rename(begun, &spare) {
                Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
                renamed => return renamed.doing(|| format!("rename `{}`", begun.display())),
            }
        }
        self.discard(begun)?;
        self.empty_trash()
    }

    fn spares(&self) -> impl Iterator<Item = PathBuf> {
        let directory = self.root().join("spare");
        (0..SPARES).map(move |number| directory.join(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_is_taken_once_and_there_are_not_too_many() {
        let root = std::env::temp_dir().join(format!("tinydock-spare-{}", std::process::id()));
        let store = Store::find(Some(root.clone())).unwrap();
        let make = |path: &Path| {
            fs::create_dir(path)
                .and_then(|()| fs::create_dir(path.join("upper")))
                .doing(|| "make it")
        };
        store.make_spare("a", make).unwrap();
        assert!(!root.exists(), "a store that is not there is not made");
        assert!(!store.take_spare(&root.join("none")));
        for number in 0..SPARES + 2 {
            store.make_spare(&format!("a{number}"), make).unwrap();
        }
        assert_eq!(fs::read_dir(root.join("spare")).unwrap().count(), SPARES);
        let taken = (0..SPARES + 2).filter(|number| store.take_spare(&root.join(format!("taken-{number}"))));
        assert_eq!(taken.count(), SPARES);
        assert!(root.join("taken-7/upper").is_dir());
        assert_eq!(fs::read_dir(root.join("spare")).unwrap().count(), 0);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn those_who_make_one_at_once_leave_no_more_than_enough() {
        let root = std::env::temp_dir().join(format!("tinydock-spare-many-{}", std::process::id()));
        let store = Store::find(Some(root.clone())).unwrap();
        assert!(!store.take_spare(&root.join("none")));
        make_within(&store, SPARES + 2);
        let names = fs::read_dir(root.join("spare")).unwrap().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        fs::remove_dir_all(root).unwrap();
    }

    /// Makes one while others make theirs.
    fn make_within(store: &Store, others: usize) {
        let make = |path: &Path| {
            if others > 0 {
                make_within(store, others - 1);
            }
            fs::create_dir_all(path.join("upper")).doing(|| "make it")
        };
        store.make_spare(&format!("a{others}"), make).unwrap();
    }

    #[test]
    fn a_spare_that_cannot_be_made_is_an_error_unless_it_was_taken() {
        let root = std::env::temp_dir().join(format!("tinydock-spare-taken-{}", std::process::id()));
        let store = Store::find(Some(root.clone())).unwrap();
        let half = |path: &Path| {
            fs::create_dir(path).doing(|| "make it")?;
            fs::create_dir(path.join("a/b")).doing(|| "make what is in it")
        };
        assert!(!store.take_spare(&root.join("none")));
        assert!(store.make_spare("a", half).is_err());
        let taken = |path: &Path| {
            fs::create_dir(path.join("b")).doing(|| "make what is in one that was begun")?;
            fs::rename(path, root.join("taken")).doing(|| "take it")?;
            fs::create_dir(path.join("upper")).doing(|| "make what is in it")
        };
        store.make_spare("a", taken).unwrap();
        fs::remove_dir_all(root).unwrap();
    }
}
