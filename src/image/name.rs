//! Names of images.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An image's name: a file name without surprises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name(String);

const LONGEST: usize = 128;

impl Name {
    /// Reads a name. The tag `latest` may be named, since there is no other.
    pub fn parse(text: &str) -> Result<Name> {
        let name = text.strip_suffix(":latest").unwrap_or(text);
        let valid = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !name.is_empty()
            && name.len() <= LONGEST
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(valid)
        {
            return Ok(Name(name.to_string()));
        }
        let hint = format!(
            "a name has letters, digits, `.`, `_` and `-`, begins with a letter or a digit, and is no longer than {LONGEST}"
        );
        Err(Error::invalid(format!("invalid image name `{text}`")).hint(hint))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_without_surprises() {
        for name in ["busybox", "redis7", "my_image-1.2", "Alpine"] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(Name::parse("alpine:latest").unwrap().as_str(), "alpine");
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "-rm",
            "a/b",
            "../x",
            "a:b",
            "a b",
            "é",
            &"x".repeat(200),
        ] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }
}
