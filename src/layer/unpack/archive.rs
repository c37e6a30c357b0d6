//! The entries of a tarball. A name, a link or an attribute that has no room in an entry's header comes in entries before it
//! (pax(1), "pax Extended Header"; the GNU tar manual, "Basic Tar Format").
//!
//! An extended record says how long it is, and its value may have any byte in it: a file capability is binary.

use std::collections::HashMap;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::sparse::Sparse;
use crate::error::{Error, Result};

/// What is said about one entry before its header. Attributes of 64 KiB are the largest that Linux has.
const LARGEST_EXTENSION: u64 = 4 << 20;
const BLOCK: u64 = 512;

/// A tarball that is read once from its beginning. Reading from it gives the data of the entry that came last.
pub struct Archive<R> {
    reader: Counted<R>,
    /// How much data of the last entry was not read.
    left: u64,
    /// What fills its last block.
    padding: u64,
}

/// An entry, without its data.
pub struct Entry {
    pub header: Header,
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    /// The extended records. One that is empty takes back what the header says, or another record, and is not among them.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data goes in a file with holes.
    pub sparse: Option<Sparse>,
}

/// What was said about an entry before its header.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub fn new(reader: R) -> Archive<R> {
        Archive {
            reader: Counted { reader, count: 0 },
            left: 0,
            padding: 0,
        }
    }

    /// The next entry. There is none after a block of zeros, or at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut before = Before::default();
        loop {
            let Some(header) = self.header()? else {
                return match before {
                    Before {
                        name: None,
                        link: None,
                        records: None,
                    } => Ok(None),
                    _ => Err(Error::invalid("something is said about an entry that does not come")),
                };
            };
            let part = match header.entry_type() {
                EntryType::GNULongName => &mut before.name,
                EntryType::GNULongLink => &mut before.link,
                EntryType::XHeader => &mut before.records,
                // It is about all entries, and says nothing that a file has.
                EntryType::XGlobalHeader => {
                    self.begin(header.entry_size().map_err(Error::invalid)?);
                    continue;
                }
                _ => return self.entry(header, before).map(Some),
            };
            let size = header.entry_size().map_err(Error::invalid)?;
            if size > LARGEST_EXTENSION || part.is_some() {
                return Err(Error::invalid("too much is said about one entry"));
            }
            self.begin(size);
            let mut bytes = Vec::new();
            self.read_to_end(&mut bytes).map_err(super::malformed)?;
            *part = Some(bytes);
        }
    }

    fn entry(&mut self, header: Header, before: Before) -> Result<Entry> {
        let records = records(&before.records.unwrap_or_default())?;
        let find = |key: &[u8]| records.iter().find(|record| record.0 == key).map(|record| record.1.clone());
        let until_zero = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
            bytes
        };
        let name = find(b"path").or_else(|| before.name.map(until_zero));
        let link = find(b"linkpath").or_else(|| before.link.map(until_zero));
        let size = match find(b"size") {
            Some(size) => number(&size)?,
            None => header.entry_size().map_err(Error::invalid)?,
        };
        let sparse = match header.entry_type() {
            EntryType::GNUSparse => Some(Sparse::of_header(&header, &mut self.reader)?),
            _ => Sparse::of_records(&records)?,
        };
        // What has no content has none in the tarball, whatever size it says (pax(1), "ustar Interchange Format").
        let has_data = !matches!(
            header.entry_type(),
            EntryType::Link | EntryType::Symlink | EntryType::Char | EntryType::Block | EntryType::Directory | EntryType::Fifo
        );
        self.begin(if has_data { size } else { 0 });
        Ok(Entry {
            name: name.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: link.unwrap_or_else(|| header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default()),
            header,
            records,
            sparse,
        })
    }

    /// Skips what was not read of the last entry, and reads the header that follows.
    fn header(&mut self) -> Result<Option<Header>> {
        let rest = self.left.saturating_add(self.padding);
        if io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink()).map_err(super::malformed)? < rest {
            return Err(super::malformed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.begin(0);
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let mut length = 0;
        while length < bytes.len() {
            match self.reader.read(&mut bytes[length..]).map_err(super::malformed)? {
                0 if length == 0 => return Ok(None),
                0 => return Err(super::malformed(io::ErrorKind::UnexpectedEof.into())),
                read => length += read,
            }
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let sum = sum(&bytes[..148]) + sum(&bytes[156..]) + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(sum) {
            return Err(Error::invalid("not a valid tarball: the checksum of a header is wrong"));
        }
        Ok(Some(header))
    }

    /// Where in the tarball what is read next is, and how much there is left of the entry.
    pub fn place(&self) -> (u64, u64) {
        (self.reader.count, self.left)
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..length])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// Counts what is read through it.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.count += length as u64;
        Ok(length)
    }
}

/// The records of an extended header, each `LENGTH KEY=VALUE` and a line's end. The last of several with one key counts.
fn records(mut bytes: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    while !bytes.is_empty() {
        let (record, rest) = record(bytes).ok_or_else(|| Error::invalid("malformed extended header"))?;
        let (key, value) = record;
        let place = *places.entry(key).or_insert(records.len());
        match records.get_mut(place) {
            Some(record) => record.1 = value.to_vec(),
            None => records.push((key.to_vec(), value.to_vec())),
        }
        bytes = rest;
    }
    // An empty value takes the record back.
    records.retain(|(_, value)| !value.is_empty());
    Ok(records)
}

type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits the first record off.
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space]).ok()?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), rest))
}

pub fn number(text: &[u8]) -> Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::invalid(format!("has an invalid number, `{}`", text.escape_ascii())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_long_as_it_says() {
        let found = |text: &[u8]| records(text).map_err(|_| ());
        let one = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
        assert_eq!(found(b"8 a=b=c\n5 d=\n"), Ok(vec![one(b"a", b"b=c")]));
        assert_eq!(found(b"14 a=b\n6 c=d\n\n"), Ok(vec![one(b"a", b"b\n6 c=d\n")]));
        assert_eq!(found(b"6 a=b\n6 a=c\n"), Ok(vec![one(b"a", b"c")]));
        assert_eq!(found(b"6 a=b\n5 a=\n"), Ok(vec![]));
        for wrong in [
            &b"6 a=b"[..],
            b"7 a=b\n",
            b"5 a=b\n",
            b"x a=b\n",
            b"4 a\n",
            b"0 a=b\n",
            b"a=b\n",
            b"1 ",
        ] {
            assert_eq!(found(wrong), Err(()), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_directory_has_no_data_whatever_it_says() {
        let header = |name: &[u8], kind, size| {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            header
        };
        let headers = [header(b"d/", EntryType::Directory, 512), header(b"f", EntryType::Regular, 0)];
        let bytes: Vec<u8> = headers.iter().flat_map(|header| *header.as_bytes()).collect();
        let mut archive = Archive::new(bytes.as_slice());
        let mut next = || archive.next_entry().unwrap().map(|entry| entry.name);
        assert_eq!((next(), next(), next()), (Some(b"d/".to_vec()), Some(b"f".to_vec()), None));
    }
}
