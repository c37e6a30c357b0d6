//! Sparse files: those that have holes, which a tarball leaves out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::archive::number;
use crate::error::{Error, Result};

/// What a sparse file may claim to be. Writing it costs nothing, but so does claiming 8 EiB.
const LARGEST_SPARSE: u64 = 256 << 30;
/// How many parts a file may have between its holes: the list of them is kept in memory.
const MOST_PARTS: u64 = 4 << 20;

/// A sparse file.
pub struct Sparse {
    /// Its name, if the entry's is another one.
    pub name: Option<Vec<u8>>,
    size: u64,
    /// Where the data goes: offsets and lengths. If they are not known, the data begins with them.
    parts: Option<Vec<(u64, u64)>>,
}

impl Sparse {
    /// The sparse file of an entry in GNU tar's own format, where the map is in the header and in blocks that follow it.
    pub fn of_header(header: &Header, reader: &mut impl Read) -> Result<Sparse> {
        let gnu = header
            .as_gnu()
            .ok_or_else(|| Error::invalid("is a sparse file in a format that has none"))?;
        let mut parts = Vec::new();
        let mut add = |listed: &[GnuSparseHeader]| {
            for part in listed.iter().filter(|part| !part.is_empty()) {
                parts.push((part.offset().map_err(Error::invalid)?, part.length().map_err(Error::invalid)?));
                check_count(parts.len() as u64)?;
            }
            Ok::<_, Error>(())
        };
        add(&gnu.sparse)?;
        let mut is_extended = gnu.is_extended();
        while is_extended {
            let mut more = GnuExtSparseHeader::new();
            reader.read_exact(more.as_mut_bytes()).map_err(super::malformed)?;
            add(&more.sparse)?;
            is_extended = more.is_extended();
        }
        Ok(Sparse {
            name: None,
            size: check_size(gnu.real_size().map_err(Error::invalid)?)?,
            parts: Some(parts),
        })
    }

    /// The sparse file of an entry with extended records, as GNU tar writes them (version 1.0): its data begins with the map.
    pub fn of_records(records: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<Sparse>> {
        let (mut name, mut size, mut version) = (None, None, None);
        for (key, value) in records {
            match key.as_slice() {
                b"GNU.sparse.name" => name = Some(value.clone()),
                b"GNU.sparse.realsize" => size = Some(number(value)?),
                b"GNU.sparse.major" => version = Some(number(value)?),
                b"GNU.sparse.map" | b"GNU.sparse.numblocks" => version = Some(0),
                _ => {}
            }
        }
        match (version, name, size) {
            (None, _, _) => Ok(None),
            (Some(1), Some(name), Some(size)) => Ok(Some(Sparse {
                name: Some(name),
                size: check_size(size)?,
                parts: None,
            })),
            _ => Err(Error::invalid("is a sparse file in a form that is not supported").hint("pack it without `--sparse-version`")),
        }
    }

    /// Copies the parts to where they belong.
    pub fn copy(&self, data: &mut impl Read, file: &mut File) -> io::Result<()> {
        let read;
        let parts = match &self.parts {
            Some(parts) => parts,
            None => {
                read = parts_before(data)?;
                &read
            }
        };
        for (offset, length) in parts {
            let end = offset.checked_add(*length).filter(|end| *end <= self.size);
            end.ok_or_else(|| io::Error::other("the map of a sparse file leads beyond its end"))?;
            file.seek(SeekFrom::Start(*offset))?;
            if io::copy(&mut data.by_ref().take(*length), file)? != *length {
                return Err(io::Error::other("the map of a sparse file lists more than there is"));
            }
        }
        file.set_len(self.size)
    }
}

/// Reads the map that the data begins with: a count, then an offset and a length for each part, all as decimal numbers on lines of
/// their own, padded to a block.
fn parts_before(data: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut map = Lines { reader: data, read: 0 };
    let count = map.number()?;
    check_count(count).map_err(io::Error::other)?;
    let parts = (0..count).map(|_| Ok((map.number()?, map.number()?)));
    let parts = parts.collect::<io::Result<_>>()?;
    map.skip_to_block()?;
    Ok(parts)
}

fn check_count(count: u64) -> Result<()> {
    if count <= MOST_PARTS {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the map of a sparse file has more than {MOST_PARTS} parts"
    )))
}

fn check_size(size: u64) -> Result<u64> {
    if size <= LARGEST_SPARSE {
        return Ok(size);
    }
    Err(Error::invalid(format!(
        "is a sparse file that claims to be {size} bytes long; at most {LARGEST_SPARSE} are unpacked"
    )))
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
