//! Limits: a tarball of a few kilobytes can inflate to petabytes. What is unpacked stops where no real layer goes, and who has
//! one that does says so.

use std::env;

use crate::error::{Error, Result};

/// How much one layer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The length of its tarball, inflated.
    pub bytes: u64,
    /// How many entries that has.
    pub entries: u64,
}

const BYTES: &str = "TINYDOCK_LAYER_BYTES";
const ENTRIES: &str = "TINYDOCK_LAYER_ENTRIES";

const USUAL: Limits = Limits {
    bytes: 64 << 30,
    entries: 4_000_000,
};

impl Limits {
    /// The usual limits, or those that the environment names.
    pub fn find() -> Result<Limits> {
        let number = |name: &str, usual| match env::var(name) {
            Err(_) => Ok(usual),
            Ok(text) => text
                .parse()
                .map_err(|_| Error::invalid(format!("`{name}`: `{}` is not a number", text.escape_debug()))),
        };
        Ok(Limits {
            bytes: number(BYTES, USUAL.bytes)?,
            entries: number(ENTRIES, USUAL.entries)?,
        })
    }

    pub fn check_entries(&self, count: u64) -> Result<()> {
        if count <= self.entries {
            return Ok(());
        }
        Err(Error::invalid(format!("the layer has more than {} entries", self.entries))
            .hint(format!("if that is right, name a higher limit in {ENTRIES}")))
    }
}

/// Why inflating ends at a limit.
pub fn too_long(limit: u64) -> Error {
    Error::invalid(format!("the layer inflates to more than {limit} bytes"))
        .hint(format!("if that is right, name a higher limit in {BYTES}"))
}
