//! Names for containers that are given none: an adjective and the surname of somebody whose work this rests on.

use crate::error::{Doing, Result};

const ADJECTIVES: [&str; 48] = [
    "able", "agile", "amber", "brave", "bright", "brisk", "calm", "clever", "cosmic", "crisp", "curious", "eager", "early",
    "exact", "fair", "fast", "fluent", "fresh", "gentle", "golden", "happy", "honest", "keen", "kind", "lively", "lucid", "lucky",
    "mellow", "mighty", "modest", "neat", "nimble", "noble", "patient", "proud", "quick", "quiet", "ready", "sharp", "silent",
    "simple", "solid", "steady", "sunny", "swift", "tidy", "vivid", "wise",
];
const SURNAMES: [&str; 48] = [
    "allen",
    "babbage",
    "bartik",
    "boole",
    "cerf",
    "cocke",
    "codd",
    "conway",
    "cook",
    "cray",
    "dijkstra",
    "easley",
    "engelbart",
    "euler",
    "feinler",
    "floyd",
    "gauss",
    "goldberg",
    "gray",
    "hamilton",
    "hamming",
    "hoare",
    "holberton",
    "hopper",
    "iverson",
    "johnson",
    "kay",
    "kernighan",
    "knuth",
    "lamport",
    "liskov",
    "lovelace",
    "mccarthy",
    "milner",
    "naur",
    "nygaard",
    "perlman",
    "pike",
    "postel",
    "ritchie",
    "shannon",
    "stallman",
    "sutherland",
    "tarjan",
    "thompson",
    "turing",
    "wilkes",
    "wirth",
];

/// Makes up a name that `is_taken` does not know.
pub fn generate(is_taken: impl Fn(&str) -> bool) -> Result<String> {
    for attempt in 0usize.. {
        let mut bytes = [0u8; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).doing(|| "make up a name")?;
        let number = u32::from_ne_bytes(bytes) as usize;
        let base = format!(
            "{}_{}",
            ADJECTIVES[number % ADJECTIVES.len()],
            SURNAMES[number / ADJECTIVES.len() % SURNAMES.len()]
        );
        let name = if attempt == 0 {
            base
        } else {
            format!("{base}{}", number % (10 * attempt))
        };
        if !is_taken(&name) {
            return Ok(name);
        }
    }
    unreachable!("attempts never end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::check_name;

    #[test]
    fn made_up_names_are_names_and_not_taken() {
        let name = generate(|_| false).unwrap();
        assert!(check_name(&name).is_ok(), "{name}");
        let with_number = generate(|name| !name.ends_with(|c: char| c.is_ascii_digit())).unwrap();
        assert!(check_name(&with_number).is_ok(), "{with_number}");
    }
}
