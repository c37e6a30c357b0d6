//! One entry of a tarball: what it means, and how it is written.

use std::io::{self, Read};

use rustix::fs::{FileType, Timespec};
use tar::EntryType;

use super::archive::{Archive, Entry, number};
use super::attributes::Attributes;
use super::target::{Data, Target};
use super::whiteout::Whiteout;
use crate::error::{Error, Result};

/// Extended attributes that are ours to set: they decide what overlayfs shows, so an image may not bring them.
const OURS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Writes the entry that the archive has read last.
pub fn write(entry: &Entry, archive: &mut Archive<impl Read>, tree: &mut impl Target) -> Result<()> {
    let kind = entry.header.entry_type();
    let attributes = attributes(entry)?;
    let sparse = entry.sparse.as_ref();
    let name = sparse.and_then(|sparse| sparse.name.as_ref()).unwrap_or(&entry.name);
    let mut path = components(name)?;
    let Some(last) = path.pop() else {
        return if kind.is_dir() {
            tree.set_root(&attributes)
        } else {
            Err(Error::invalid("has no name"))
        };
    };
    if tree.has_whiteouts()
        && let Some(whiteout) = Whiteout::of(&last)?
    {
        return whiteout.apply(tree, &path);
    }
    match kind {
        EntryType::Directory => tree.directory(&path, &last, &attributes),
        EntryType::Symlink => tree.symlink(&path, &last, link(entry)?, &attributes),
        EntryType::Link => tree.hard_link(&path, &last, &components(link(entry)?)?),
        EntryType::Char => tree.node(&path, &last, FileType::CharacterDevice, device(entry)?, &attributes),
        EntryType::Block => tree.node(&path, &last, FileType::BlockDevice, device(entry)?, &attributes),
        EntryType::Fifo => tree.node(&path, &last, FileType::Fifo, 0, &attributes),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            if sparse.is_none() && name.ends_with(b"/") {
                return tree.directory(&path, &last, &attributes);
            }
            let (offset, length) = archive.place();
            let data = Data {
                reader: archive,
                offset,
                length,
                sparse,
            };
            tree.file(&path, &last, &attributes, data)
        }
        other => Err(Error::invalid(format!("is of an unknown type, {other:?}"))),
    }
}

/// The components of a name. Names are relative to the root whether they begin with `/` or not.
fn components(name: &[u8]) -> Result<Vec<Vec<u8>>> {
    let components: Vec<Vec<u8>> = name
        .split(|c| *c == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .collect();
    if components.iter().any(|name| name == b"..") {
        return Err(Error::invalid(
            "has `..` in its name: an image must not name what is outside of it",
        ));
    }
    if name.contains(&0) {
        return Err(Error::invalid("has a NUL byte in its name"));
    }
    Ok(components)
}

fn link(entry: &Entry) -> Result<&[u8]> {
    if entry.link.is_empty() {
        Err(Error::invalid("links to nothing"))
    } else {
        Ok(&entry.link)
    }
}

fn device(entry: &Entry) -> Result<u64> {
    let header = &entry.header;
    let number = |part: io::Result<Option<u32>>| Ok::<u32, Error>(part.map_err(Error::invalid)?.unwrap_or(0));
    Ok(rustix::fs::makedev(
        number(header.device_major())?,
        number(header.device_minor())?,
    ))
}

fn attributes(entry: &Entry) -> Result<Attributes> {
    let header = &entry.header;
    let mut attributes = Attributes {
        mode: field(header.mode().map(u64::from), &header.as_old().mode)? as u32 & 0o7777,
        user: id(field(header.uid(), &header.as_old().uid)?)?,
        group: id(field(header.gid(), &header.as_old().gid)?)?,
        modified: Timespec {
            tv_sec: field(header.mtime(), &header.as_old().mtime)? as i64,
            tv_nsec: 0,
        },
        extended: Vec::new(),
    };
    for (key, value) in &entry.records {
        match key.as_slice() {
            b"mtime" => attributes.modified = time(value).unwrap_or(attributes.modified),
            b"uid" => attributes.user = id(number(value)?)?,
            b"gid" => attributes.group = id(number(value)?)?,
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                    && !OURS.iter().any(|ours| name.starts_with(ours))
                {
                    attributes.extended.push((name.to_vec(), value.clone()));
                }
            }
        }
    }
    Ok(attributes)
}

/// A user or a group. The largest number means nobody to chown(2).
fn id(number: u64) -> Result<u32> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| Error::invalid(format!("there is no user or group {number}")))
}

/// A number of a header. A field that was left blank is 0, as other tools read it.
fn field(read: std::io::Result<u64>, bytes: &[u8]) -> Result<u64> {
    let is_blank = bytes.iter().all(|byte| matches!(byte, 0 | b' '));
    if is_blank { Ok(0) } else { read.map_err(Error::invalid) }
}

/// A time as extended records spell it: seconds since 1970, with a fraction, perhaps negative.
fn time(text: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds_number: i64 = seconds.parse().ok()?;
    let nanoseconds: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    // -1.25 is a quarter before -1: a timespec counts its nanoseconds upwards from the second before.
    Some(match (seconds.starts_with('-'), nanoseconds) {
        (true, 1..) => Timespec {
            tv_sec: seconds_number.saturating_sub(1),
            tv_nsec: 1_000_000_000 - nanoseconds,
        },
        _ => Timespec {
            tv_sec: seconds_number,
            tv_nsec: nanoseconds,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_times_have_fractions_and_signs() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1700000000.5", 1_700_000_000, 500_000_000),
            ("12.123456789123", 12, 123_456_789),
            ("-1.25", -2, 750_000_000),
        ] {
            let time = time(text.as_bytes()).unwrap();
            assert_eq!((time.tv_sec, time.tv_nsec), (seconds, nanoseconds), "{text}");
        }
        assert!(time(b"soon").is_none());
    }

    #[test]
    fn names_are_relative_and_lead_nowhere_else() {
        assert_eq!(components(b"/./usr//bin/").unwrap(), [b"usr".to_vec(), b"bin".to_vec()]);
        assert!(components(b"./").unwrap().is_empty());
        for name in ["../x", "a/../../x", "a/..", ".."] {
            assert!(components(name.as_bytes()).is_err(), "{name}");
        }
    }
}
