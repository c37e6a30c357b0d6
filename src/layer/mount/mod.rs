//! What a container sees besides its image: parts of the host, volumes, file systems in memory, other images.
//!
//! There are three ways to ask for one. All are read into a [`Mount`], and all that follows knows no difference:
//!
//! ```text
//!   -v SOURCE:TARGET[:OPTIONS]              short: made where it is missing        short.rs
//!   --mount type=TYPE,src=…,dst=…,…         long: says everything, makes nothing   long.rs
//!   --tmpfs TARGET[:OPTIONS]                a file system in memory                tmpfs.rs
//! ```

mod long;
mod options;
mod origin;
mod short;
mod steps;
mod tmpfs;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::program::flags::propagation;
use crate::store::{Digest, Text};

pub use origin::{Origin, locate};
pub use steps::{Bind, bind, open_bind, protect};
pub use tmpfs::{Tmpfs, mount_words, parse_size};

/// One thing that a container sees at a path of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// An absolute path of the container, without `.` and `..`.
    pub target: Text,
    pub source: Source,
    #[serde(default)]
    pub access: Access,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Bind(HostPath),
    Volume(VolumeUse),
    Tmpfs(Tmpfs),
    Image(ImageUse),
}

/// A file or a directory of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPath {
    /// An absolute path.
    pub path: Text,
    /// Whether a directory is made where nothing is.
    pub create: bool,
    /// Whether what is mounted below it on the host is left out.
    pub alone: bool,
    pub propagation: Propagation,
    /// Whether its files belong to the container's users by the ids that they have on disk.
    pub id_mapped: bool,
}

/// A volume, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// Its name; empty for one that is made for this container and gets a name then.
    pub name: String,
    /// Whether nobody has named it, so that it may go with the container.
    pub anonymous: bool,
    /// Whether it stays empty where the image has something at its place.
    pub no_copy: bool,
    /// What is shown of it; empty for all.
    pub subpath: Text,
    /// What it is given if it is made now.
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

/// The files of an image, to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUse {
    pub name: String,
    /// Its layers, bottom first, once it is known.
    pub layers: Vec<Digest>,
    /// What is shown of it; empty for all.
    pub subpath: Text,
}

/// Who may write to what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    #[default]
    Writable,
    /// Nobody, neither to it nor to what is mounted below it.
    ReadOnly,
    /// Nobody, but what is mounted below it stays as it is.
    ReadOnlyTop,
}

/// Whether what is mounted below the source later, here or there, is seen there or here as well (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    #[default]
    RPrivate,
    Private,
    RSlave,
    Slave,
    RShared,
    Shared,
}

const PROPAGATIONS: [(&str, Propagation); 6] = [
    ("rprivate", Propagation::RPrivate),
    ("private", Propagation::Private),
    ("rslave", Propagation::RSlave),
    ("slave", Propagation::Slave),
    ("rshared", Propagation::RShared),
    ("shared", Propagation::Shared),
];

impl Propagation {
    pub fn parse(word: &str) -> Option<Propagation> {
        PROPAGATIONS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        PROPAGATIONS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("rprivate", |(name, _)| name)
    }

    /// `MS_…`, and whether what is mounted below is meant, too; none for what all mounts of a container are anyway.
    fn change(self) -> Option<(u64, bool)> {
        match self {
            Propagation::RPrivate | Propagation::Private => None,
            Propagation::RSlave => Some((propagation::SLAVE, true)),
            Propagation::Slave => Some((propagation::SLAVE, false)),
            Propagation::RShared => Some((propagation::SHARED, true)),
            Propagation::Shared => Some((propagation::SHARED, false)),
        }
    }

    /// Whether mounts are seen from one side on the other.
    pub fn is_open(self) -> bool {
        self.change().is_some()
    }
}

impl Mount {
    /// Reads the value of `-v`. A relative source begins with `.` and is below `directory`.
    pub fn parse_short(text: &[u8], directory: &std::path::Path) -> Result<Mount> {
        short::parse(text, directory).map_err(|error| {
            error
                .doing(format!("volume `{}`", String::from_utf8_lossy(text)))
                .hint("write it as `SOURCE:TARGET` or `SOURCE:TARGET:ro`")
        })
    }

    /// Reads the value of `--mount`.
    pub fn parse_long(text: &str, directory: &std::path::Path) -> Result<Mount> {
        long::parse(text, directory).map_err(|error| error.doing(format!("mount `{text}`")))
    }

    /// Reads the value of `--tmpfs`.
    pub fn parse_tmpfs(text: &str) -> Result<Mount> {
        tmpfs::parse(text).map_err(|error| error.doing(format!("tmpfs `{text}`")))
    }

    /// A volume without a name, as an image asks for it.
    pub fn anonymous(target: &[u8]) -> Result<Mount> {
        Ok(Mount {
            target: clean(target)?,
            source: Source::Volume(VolumeUse {
                anonymous: true,
                ..VolumeUse::default()
            }),
            access: Access::Writable,
        })
    }

    /// Docker's word for what is shown.
    pub fn kind(&self) -> &'static str {
        match self.source {
            Source::Bind(_) => "bind",
            Source::Volume(_) => "volume",
            Source::Tmpfs(_) => "tmpfs",
            Source::Image(_) => "image",
        }
    }

    /// The volume that is used, if it is one.
    pub fn volume(&self) -> Option<&VolumeUse> {
        match &self.source {
            Source::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn volume_mut(&mut self) -> Option<&mut VolumeUse> {
        match &mut self.source {
            Source::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// Whether it takes users of the container's own to make sense of it.
    pub fn is_id_mapped(&self) -> bool {
        matches!(&self.source, Source::Bind(host) if host.id_mapped)
    }
}

/// The target that a text means: absolute, not the root, and without `.` and `..`.
fn clean(target: &[u8]) -> Result<Text> {
    if !target.starts_with(b"/") {
        return Err(Error::invalid("the target is no absolute path"));
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in target.split(|c| *c == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    if names.is_empty() {
        return Err(Error::invalid("the target must not be the root directory"));
    }
    Ok([b"/", names.join(&b'/').as_slice()].concat().into())
}

/// The part of a volume or an image that a text means. Links in it may lead on, but nothing leads out of it.
fn subpath(text: &[u8]) -> Result<Text> {
    if text.is_empty() || text.starts_with(b"/") || text.split(|c| *c == b'/').any(|name| name == b"..") {
        return Err(Error::invalid("the subpath is no relative path without `..`"));
    }
    Ok(text.to_vec().into())
}

#[cfg(test)]
mod tests;
