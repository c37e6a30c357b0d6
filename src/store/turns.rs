//! Some of what is in a directory, in turn, where looking at everything takes too long.

use std::ffi::OsString;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{RawDir, SeekFrom, seek};

/// Room for a dozen names of containers: the kernel looks at no more entries than there is room for.
const ROOM: usize = 1 << 10;

/// At most so many of the names in a directory, in no order. The next call goes on behind them, and begins anew at the end: `place`
/// is the file where it finds out where. A directory that cannot be read has no names.
pub fn next_names(directory: &Path, place: &Path, most: usize) -> Vec<OsString> {
    let Ok(directory) = File::open(directory) else {
        return Vec::new();
    };
    let (names, more) = names_from(&directory, 0, most);
    if more.is_none() {
        return names;
    }
    let (mut names, mut next) = names_from(&directory, read(place), most);
    if next.is_none() {
        let others;
        (others, next) = names_from(&directory, 0, most - names.len());
        names.extend(others);
        names.sort();
        names.dedup();
    }
    // Of several who look at once each may look at the same.
    let _ = fs::write(place, next.unwrap_or(0).to_string());
    names
}

/// Where to go on. Whatever is no such place is as good as the beginning.
fn read(place: &Path) -> u64 {
    let text = fs::read_to_string(place).unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// At most so many names from a place on, and where the next one is, unless the directory has ended before.
fn names_from(directory: &File, place: u64, most: usize) -> (Vec<OsString>, Option<u64>) {
    let (mut names, mut next) = (Vec::new(), Some(place));
    if seek(directory, SeekFrom::Start(place)).is_err() {
        return (names, None);
    }
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut entries = RawDir::new(directory, &mut room);
    while names.len() < most {
        let Some(Ok(entry)) = entries.next() else {
            return (names, None);
        };
        next = Some(entry.next_entry_cookie());
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    (names, next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_has_its_turn_and_never_more_than_asked_for() {
        let above = std::env::temp_dir().join(format!("tinydock-turns-{}", std::process::id()));
        let (directory, place) = (above.join("directory"), above.join("place"));
        fs::create_dir_all(&directory).unwrap();
        let all: BTreeSet<OsString> = (0..40).map(|number| number.to_string().into()).collect();
        all.iter().for_each(|name| fs::write(directory.join(name), "").unwrap());
        for _ in 0..3 {
            let mut found = BTreeSet::new();
            for _ in 0..14 {
                let some = next_names(&directory, &place, 3);
                assert!(!some.is_empty() && some.len() <= 3, "{some:?}");
                assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), some.len());
                found.extend(some);
            }
            assert_eq!(found, all);
        }
        fs::write(&place, "elsewhere").unwrap();
        assert_eq!(next_names(&directory, &place, 3).len(), 3);
        fs::remove_dir_all(&above).unwrap();
        assert!(next_names(&directory, &place, 3).is_empty());
    }

    #[test]
    fn of_few_all_are_found_each_time_and_no_place_is_kept() {
        let above = std::env::temp_dir().join(format!("tinydock-turns-few-{}", std::process::id()));
        let (directory, place) = (above.join("directory"), above.join("place"));
        fs::create_dir_all(directory.join("one")).unwrap();
        fs::create_dir_all(directory.join("two")).unwrap();
        for _ in 0..3 {
            let mut found = next_names(&directory, &place, 3);
            found.sort();
            assert_eq!(found, ["one", "two"]);
        }
        assert!(!place.exists());
        fs::remove_dir_all(&above).unwrap();
    }
}
