//! Words that say how something is mounted, as `-v` and `--tmpfs` have them.

use super::{Access, Propagation};

/// What an option of `-v` means.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    Access(Access),
    Propagation(Propagation),
    NoCopy,
    IdMapped,
    /// A label of SELinux for one container, or for all.
    Label,
    /// How soon host and container see each other's changes: at once, on Linux.
    Consistency,
}

impl Word {
    pub fn parse(word: &str) -> Option<Word> {
        Some(match word {
            "rw" => Word::Access(Access::Writable),
            "ro" | "rro" | "ro-force-recursive" => Word::Access(Access::ReadOnly),
            "ro-non-recursive" => Word::Access(Access::ReadOnlyTop),
            "nocopy" => Word::NoCopy,
            "idmap" => Word::IdMapped,
            "z" | "Z" => Word::Label,
            "consistent" | "cached" | "delegated" | "default" => Word::Consistency,
            word => Word::Propagation(Propagation::parse(word)?),
        })
    }
}
