//! Container ids.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};

/// A container's id: 64 hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(String);

const LENGTH: usize = 64;
const SHORT: usize = 12;

impl Id {
    /// Makes a new id. Its short form is never all digits, since it becomes a host name and those are taken for numbers.
    pub fn generate() -> Result<Id> {
        loop {
            let mut bytes = [0u8; LENGTH / 2];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).doing(|| "make a container id")?;
            let id = Id(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
            if id.short().contains(|c: char| !c.is_ascii_digit()) {
                return Ok(id);
            }
        }
    }

    /// The id that `text` spells in full.
    pub fn parse(text: &str) -> Option<Id> {
        (text.len() == LENGTH && is_prefix(text)).then(|| Id(text.to_string()))
    }

    /// The first 12 digits: what is shown, and enough to refer to a container.
    pub fn short(&self) -> &str {
        &self.0[..SHORT]
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` could be the beginning of an id.
pub fn is_prefix(text: &str) -> bool {
    (1..=LENGTH).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

impl Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_digits_and_differ() {
        let (one, other) = (Id::generate().unwrap(), Id::generate().unwrap());
        assert_eq!(Id::parse(one.as_str()), Some(one.clone()));
        assert_ne!(one, other);
        assert!(one.as_str().starts_with(one.short()) && one.short().len() == 12);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "abc", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65), "../../../etc"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
