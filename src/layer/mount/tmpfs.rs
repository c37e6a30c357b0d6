//! A file system in memory: what mount(8) and Docker call its options.

use serde::{Deserialize, Serialize};

use super::{Access, Mount, Source, clean};
use crate::error::{Error, Result};
use crate::program::flags::mount_attr as attr;

/// A file system in memory that only the container has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// `MOUNT_ATTR_…`.
    pub attributes: u64,
    /// What the file system is told: names and values.
    pub data: Vec<(String, String)>,
}

impl Default for Tmpfs {
    fn default() -> Tmpfs {
        Tmpfs {
            attributes: attr::NOSUID | attr::NODEV | attr::NOEXEC,
            data: Vec::new(),
        }
    }
}

/// The flags of mounts by their names, each with its opposite.
const FLAGS: [(&str, &str, u64); 8] = [
    ("ro", "rw", attr::RDONLY),
    ("nosuid", "suid", attr::NOSUID),
    ("nodev", "dev", attr::NODEV),
    ("noexec", "exec", attr::NOEXEC),
    ("nodiratime", "diratime", attr::NODIRATIME),
    ("nosymfollow", "symfollow", attr::NOSYMFOLLOW),
    ("noatime", "atime", attr::NOATIME),
    ("strictatime", "nostrictatime", attr::STRICTATIME),
];
/// What mount(8) knows and this file system has no use for: it has no disk, and nothing is mounted below it yet.
const IGNORED: [&str; 18] = [
    "defaults",
    "async",
    "sync",
    "dirsync",
    "mand",
    "nomand",
    "relatime",
    "norelatime",
    "iversion",
    "noiversion",
    "lazytime",
    "nolazytime",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
];
const DATA: [&str; 9] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
    "huge",
    "noswap",
];

/// Reads `TARGET[:OPTIONS]`.
pub fn parse(text: &str) -> Result<Mount> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let mut tmpfs = Tmpfs::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        tmpfs.take(option)?;
    }
    let access = match tmpfs.attributes & attr::RDONLY {
        0 => Access::Writable,
        _ => Access::ReadOnly,
    };
    tmpfs.attributes &= !attr::RDONLY;
    Ok(Mount {
        target: clean(target.as_bytes())?,
        source: Source::Tmpfs(tmpfs),
        access,
    })
}

/// What the words of mount(8) mean for any file system: `MOUNT_ATTR_…`, and what it is told.
pub fn mount_words(words: &str) -> (u64, Vec<(String, String)>) {
    let mut attributes = 0;
    let mut data = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty() && !IGNORED.contains(word)) {
        match FLAGS.iter().find(|(on, off, _)| *on == word || *off == word) {
            Some((on, _, flag)) if *on == word => attributes |= flag,
            Some((_, _, flag)) => attributes &= !flag,
            None => {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                data.push((name.into(), value.into()));
            }
        }
    }
    (attributes, data)
}

impl Tmpfs {
    fn take(&mut self, option: &str) -> Result<()> {
        if IGNORED.contains(&option) {
            return Ok(());
        }
        if let Some((on, _, flag)) = FLAGS.iter().find(|(on, off, _)| *on == option || *off == option) {
            if *on == option {
                self.attributes |= flag;
            } else {
                self.attributes &= !flag;
            }
            return Ok(());
        }
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "size" => self.set_size(value),
            "mode" => self.set_mode(value),
            _ if DATA.contains(&name) => {
                self.set(name, value.into());
                Ok(())
            }
            _ => Err(Error::invalid(format!("unknown option `{option}`"))),
        }
    }

    /// Takes a size: bytes, with a unit of 1024 or none, or a share of the memory.
    pub fn set_size(&mut self, text: &str) -> Result<()> {
        if let Some(percent) = text.strip_suffix('%') {
            percent.parse::<u32>().map_err(|_| invalid_size(text))?;
            self.set("size", text.into());
            return Ok(());
        }
        self.set("size", parse_size(text)?.to_string());
        Ok(())
    }

    /// Takes the mode of its root directory.
    pub fn set_mode(&mut self, text: &str) -> Result<()> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o7777 => {
                self.set("mode", format!("{mode:o}"));
                Ok(())
            }
            _ => Err(Error::invalid(format!("invalid mode `{text}`")).hint("write it in octal, as `1777`")),
        }
    }

    fn set(&mut self, name: &str, value: String) {
        self.data.retain(|(other, _)| other != name);
        self.data.push((name.into(), value));
    }

    /// Whether its root directory's mode was asked for.
    pub fn has_mode(&self) -> bool {
        self.data.iter().any(|(name, _)| name == "mode")
    }
}

fn invalid_size(text: &str) -> Error {
    Error::invalid(format!("invalid size `{text}`")).hint("write it as `64m`, or for a tmpfs as `50%`")
}

/// Reads an amount of bytes: a number, which may be a fraction, and a unit of 1024.
pub fn parse_size(text: &str) -> Result<u64> {
    bytes(text).ok_or_else(|| invalid_size(text))
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[number.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    (number >= 0.0 && number.is_finite()).then(|| (number * (1u64 << shift) as f64) as u64)
}
