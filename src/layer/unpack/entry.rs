//! One entry of a tarball, written to the tree.

use std::io::{self, Read, Write};

use rustix::fs::{FileType, Timespec};
use tar::{Entry, EntryType};

use super::tree::{Attributes, Tree};
use crate::error::{Error, Result};

/// What a sparse file may claim to be. Writing it costs nothing, but so does claiming 8 EiB.
const LARGEST_SPARSE: u64 = 256 << 30;

/// Extended attributes that are ours to set: they decide what overlayfs shows, so an image may not bring them.
const OURS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Writes one entry.
pub fn write<R: Read>(entry: &mut Entry<R>, tree: &mut Tree) -> Result<()> {
    let kind = entry.header().entry_type();
    if matches!(
        kind,
        EntryType::XGlobalHeader | EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink
    ) {
        return Ok(());
    }
    let attributes = attributes(entry)?;
    let sparse = Sparse::of(entry)?;
    let name = sparse
        .as_ref()
        .map_or_else(|| entry.path_bytes().into_owned(), |sparse| sparse.name.clone());
    let mut path = components(&name)?;
    let Some(last) = path.pop() else {
        return if kind.is_dir() {
            tree.set_root(&attributes)
        } else {
            Err(Error::invalid("has no name"))
        };
    };
    match kind {
        EntryType::Directory => tree.directory(&path, &last, &attributes),
        EntryType::Symlink => tree.symlink(&path, &last, &link(entry)?, &attributes),
        EntryType::Link => tree.hard_link(&path, &last, &components(&link(entry)?)?),
        EntryType::Char => tree.node(&path, &last, FileType::CharacterDevice, device(entry)?, &attributes),
        EntryType::Block => tree.node(&path, &last, FileType::BlockDevice, device(entry)?, &attributes),
        EntryType::Fifo => tree.node(&path, &last, FileType::Fifo, 0, &attributes),
        EntryType::GNUSparse if entry.size() > LARGEST_SPARSE => Err(too_large(entry.size())),
        EntryType::GNUSparse => tree.file(&path, &last, &attributes, |file| copy_sparse(entry, file)),
        EntryType::Regular | EntryType::Continuous => match sparse {
            Some(sparse) => tree.file(&path, &last, &attributes, |file| sparse.copy(entry, file)),
            None if name.ends_with(b"/") => tree.directory(&path, &last, &attributes),
            None => tree.file(&path, &last, &attributes, |file| io::copy(entry, file).map(|_| ())),
        },
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

fn link<R: Read>(entry: &Entry<R>) -> Result<Vec<u8>> {
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    if target.is_empty() {
        Err(Error::invalid("links to nothing"))
    } else {
        Ok(target)
    }
}

fn device<R: Read>(entry: &Entry<R>) -> Result<u64> {
    let header = entry.header();
    let number = |part: io::Result<Option<u32>>| Ok::<u32, Error>(part.map_err(Error::invalid)?.unwrap_or(0));
    Ok(rustix::fs::makedev(
        number(header.device_major())?,
        number(header.device_minor())?,
    ))
}

fn attributes<R: Read>(entry: &mut Entry<R>) -> Result<Attributes> {
    let header = entry.header();
    let mut attributes = Attributes {
        mode: header.mode().map_err(Error::invalid)? & 0o7777,
        user: header.uid().map_err(Error::invalid)? as u32,
        group: header.gid().map_err(Error::invalid)? as u32,
        modified: Timespec {
            tv_sec: header.mtime().map_err(Error::invalid)? as i64,
            tv_nsec: 0,
        },
        extended: Vec::new(),
    };
    let Some(extensions) = entry.pax_extensions().map_err(Error::invalid)? else {
        return Ok(attributes);
    };
    for extension in extensions {
        let extension = extension.map_err(Error::invalid)?;
        let (key, value) = (extension.key_bytes(), extension.value_bytes());
        match key {
            b"mtime" => attributes.modified = time(value).unwrap_or(attributes.modified),
            b"uid" => attributes.user = number(value)? as u32,
            b"gid" => attributes.group = number(value)? as u32,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                    && !OURS.iter().any(|ours| name.starts_with(ours))
                {
                    attributes.extended.push((name.to_vec(), value.to_vec()));
                }
            }
        }
    }
    Ok(attributes)
}

fn number(text: &[u8]) -> Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::invalid(format!("has an invalid number, `{}`", text.escape_ascii())))
}

/// A time as PAX headers spell it: seconds since 1970, with a fraction, perhaps negative.
fn time(text: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds_number: i64 = seconds.parse().ok()?;
    let nanoseconds: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    // -1.25 is a quarter before -1: a timespec counts its nanoseconds upwards from the second before.
    Some(match (seconds.starts_with('-'), nanoseconds) {
        (true, 1..) => Timespec {
            tv_sec: seconds_number - 1,
            tv_nsec: 1_000_000_000 - nanoseconds,
        },
        _ => Timespec {
            tv_sec: seconds_number,
            tv_nsec: nanoseconds,
        },
    })
}

/// A sparse file in the form that GNU tar writes into PAX archives (version 1.0): the entry's data begins with a map.
struct Sparse {
    name: Vec<u8>,
    size: u64,
}

impl Sparse {
    fn of<R: Read>(entry: &mut Entry<R>) -> Result<Option<Sparse>> {
        let Some(extensions) = entry.pax_extensions().map_err(Error::invalid)? else {
            return Ok(None);
        };
        let (mut name, mut size, mut version) = (None, None, None);
        for extension in extensions.flatten() {
            match extension.key_bytes() {
                b"GNU.sparse.name" => name = Some(extension.value_bytes().to_vec()),
                b"GNU.sparse.realsize" => size = Some(number(extension.value_bytes())?),
                b"GNU.sparse.major" => version = Some(number(extension.value_bytes())?),
                b"GNU.sparse.map" | b"GNU.sparse.numblocks" => version = Some(0),
                _ => {}
            }
        }
        match (version, name, size) {
            (None, _, _) => Ok(None),
            (Some(1), Some(_), Some(size)) if size > LARGEST_SPARSE => Err(too_large(size)),
            (Some(1), Some(name), Some(size)) => Ok(Some(Sparse { name, size })),
            _ => Err(Error::invalid("is a sparse file in a form that is not supported").hint("pack it without `--sparse-version`")),
        }
    }

    /// Copies the parts that the map lists to where they belong: a count, then an offset and a length for each, all as
    /// decimal numbers on lines of their own, padded to a block.
    fn copy(&self, entry: &mut impl Read, file: &mut std::fs::File) -> io::Result<()> {
        let mut map = Lines { reader: entry, read: 0 };
        let count = map.number()?;
        let parts: Vec<(u64, u64)> = (0..count)
            .map(|_| Ok((map.number()?, map.number()?)))
            .collect::<io::Result<_>>()?;
        map.skip_to_block()?;
        for (offset, length) in parts {
            let end = offset.checked_add(length).filter(|end| *end <= self.size);
            end.ok_or_else(|| io::Error::other("the map of a sparse file leads beyond its end"))?;
            io::Seek::seek(file, io::SeekFrom::Start(offset))?;
            let copied = io::copy(&mut entry.by_ref().take(length), file)?;
            if copied != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        file.set_len(self.size)
    }
}

/// Reads decimal numbers, each on a line of its own.
struct Lines<'a, R> {
    reader: &'a mut R,
    read: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut number: u64 = 0;
        loop {
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            self.read += 1;
            let digit = match byte[0] {
                b'\n' => return Ok(number),
                digit @ b'0'..=b'9' => u64::from(digit - b'0'),
                _ => return Err(io::Error::other("the map of a sparse file is no list of numbers")),
            };
            let next = number.checked_mul(10).and_then(|number| number.checked_add(digit));
            number = next.ok_or_else(|| io::Error::other("the map of a sparse file has too large a number"))?;
        }
    }

    fn skip_to_block(&mut self) -> io::Result<()> {
        let rest = self.read.next_multiple_of(512) - self.read;
        io::copy(&mut self.reader.by_ref().take(rest as u64), &mut io::sink()).map(|_| ())
    }
}

/// Copies, leaving holes where there are only zeros.
fn copy_sparse(reader: &mut impl Read, file: &mut std::fs::File) -> io::Result<()> {
    const BLOCK: usize = 64 << 10;
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    let mut buffer = vec![0; BLOCK];
    let mut length = 0;
    loop {
        let mut filled = 0;
        while filled < BLOCK {
            match reader.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return file.set_len(length);
        }
        if buffer[..filled] == ZEROS[..filled] {
            io::Seek::seek(file, io::SeekFrom::Current(filled as i64))?;
        } else {
            file.write_all(&buffer[..filled])?;
        }
        length += filled as u64;
    }
}

fn too_large(size: u64) -> Error {
    Error::invalid(format!(
        "is a sparse file that claims to be {size} bytes long; at most {LARGEST_SPARSE} are unpacked"
    ))
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
