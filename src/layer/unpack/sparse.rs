//! Sparse files: those that have holes, which a tarball leaves out.

use std::io::{self, Read, Write};

use tar::Entry;

use super::entry::number;
use crate::error::{Error, Result};

/// What a sparse file may claim to be. Writing it costs nothing, but so does claiming 8 EiB.
pub const LARGEST_SPARSE: u64 = 256 << 30;

/// A sparse file in the form that GNU tar writes into PAX archives (version 1.0): the entry's data begins with a map.
pub struct Sparse {
    pub name: Vec<u8>,
    size: u64,
}

impl Sparse {
    pub fn of<R: Read>(entry: &mut Entry<R>) -> Result<Option<Sparse>> {
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
    pub fn copy(&self, entry: &mut impl Read, file: &mut std::fs::File) -> io::Result<()> {
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
pub fn copy_sparse(reader: &mut impl Read, file: &mut std::fs::File) -> io::Result<()> {
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

pub fn too_large(size: u64) -> Error {
    Error::invalid(format!(
        "is a sparse file that claims to be {size} bytes long; at most {LARGEST_SPARSE} are unpacked"
    ))
}
