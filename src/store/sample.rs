//! Some of what is in a directory, where looking at everything takes too long.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::clock;

/// At most so many of the names in a directory, each as likely as any other. One that cannot be read has none.
pub fn sample(directory: &Path, most: usize) -> Vec<OsString> {
    let mut chosen = Vec::new();
    let mut random = clock::since_1970().as_nanos() as u64;
    for (count, entry) in fs::read_dir(directory).into_iter().flatten().flatten().enumerate() {
        if count < most {
            chosen.push(entry.file_name());
            continue;
        }
        // A linear congruential generator (Knuth, MMIX). The lower bits of its numbers repeat soon.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let place = (random >> 33) as usize % (count + 1);
        if place < most {
            chosen[place] = entry.file_name();
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_is_found_in_the_end_and_never_more_than_asked_for() {
        let directory = std::env::temp_dir().join(format!("tinydock-sample-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let all: BTreeSet<OsString> = (0..20).map(|number| number.to_string().into()).collect();
        all.iter().for_each(|name| fs::write(directory.join(name), "").unwrap());
        let mut found = BTreeSet::new();
        for _ in 0..10_000 {
            let some = sample(&directory, 3);
            assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), 3);
            found.extend(some);
            if found == all {
                break;
            }
        }
        let whole: BTreeSet<_> = sample(&directory, usize::MAX).into_iter().collect();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found, all);
        assert_eq!(whole, all);
        assert!(sample(&directory, 3).is_empty());
    }
}
