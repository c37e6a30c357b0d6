//! How EROFS lies on disk (the kernel's `fs/erofs/erofs_fs.h`), as far as an index needs it. Numbers have their low byte first.
//!
//! ```text
//!   0     nothing
//!   1024  superblock             128 bytes
//!   1152  the tarball as device  128 bytes
//!   1280  inodes                 64 bytes each, at multiples of 32; behind each its extended attributes, and then
//!         │                      a file's place in the tarball, or a short directory or target of a link
//!   …     long directories and targets, in blocks of their own
//! ```
//!
//! A block has 512 bytes, as a tarball's have, so a file's content is where the tarball has it. An inode's number is its place,
//! divided by 32.

use std::collections::BTreeMap;

use rustix::fs::FileType;

pub const BLOCK: usize = 512;
const BLOCK_BITS: u8 = 9;

const SUPERBLOCK: usize = 1024;
const DEVICE: usize = 1152;
/// Where the first inode may be.
pub const INODES: usize = 1280;
/// What inodes begin at multiples of.
pub const SLOT: usize = 32;
pub const INODE: usize = 64;

const MAGIC: u32 = 0xe0f5_e1e2;
/// There is a checksum, and times are those of changes of content.
const COMPATIBLE: u32 = 1 | 2;
/// Files are made of chunks, and these are on other devices.
const INCOMPATIBLE: u32 = 4 | 8;

/// How an inode's content is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In blocks that follow each other, the first of which is named, if there is content.
    Plain(u32),
    /// Behind the inode.
    Inline,
    /// In one chunk of at least so many blocks, as a power of 2.
    Chunk(u8),
}

/// The number of an inode, as directories name it.
pub fn number(place: usize) -> u64 {
    (place / SLOT) as u64
}

/// What an inode says.
pub struct Inode<'a> {
    pub layout: Layout,
    pub kind: FileType,
    pub mode: u32,
    pub size: u64,
    /// Of a device node, the device.
    pub device: u32,
    pub serial: u32,
    pub user: u32,
    pub group: u32,
    pub seconds: i64,
    pub nanoseconds: u32,
    pub links: u32,
    pub extended: &'a BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Inode<'_> {
    /// Writes it and its extended attributes.
    pub fn write(&self, image: &mut [u8], place: usize) {
        let (layout, content) = match self.layout {
            Layout::Plain(block) => (0, block),
            Layout::Inline => (2, 0),
            Layout::Chunk(bits) => (4, u32::from(bits) | 0x20),
        };
        let extended = extended_size(self.extended);
        let count = if extended == 0 { 0 } else { (extended - 12) / 4 + 1 };
        let mut put = |at: usize, bytes: &[u8]| image[place + at..place + at + bytes.len()].copy_from_slice(bytes);
        // The form of 64 bytes.
        put(0, &(1u16 | layout << 1).to_le_bytes());
        put(2, &(count as u16).to_le_bytes());
        put(4, &((self.kind.as_raw_mode() | self.mode) as u16).to_le_bytes());
        put(8, &self.size.to_le_bytes());
        put(16, &(content | self.device).to_le_bytes());
        put(20, &self.serial.to_le_bytes());
        put(24, &self.user.to_le_bytes());
        put(28, &self.group.to_le_bytes());
        put(32, &self.seconds.to_le_bytes());
        put(40, &self.nanoseconds.to_le_bytes());
        put(44, &self.links.to_le_bytes());
        // Behind a header of 12 bytes, in which nothing is said.
        let mut at = INODE + 12;
        for (name, value) in self.extended {
            let (prefix, name) = split(name);
            put(at, &[name.len() as u8, prefix]);
            put(at + 2, &(value.len() as u16).to_le_bytes());
            put(at + 4, name);
            put(at + 4 + name.len(), value);
            at += (4 + name.len() + value.len()).next_multiple_of(4);
        }
    }
}

/// How much room extended attributes take.
pub fn extended_size(extended: &BTreeMap<Vec<u8>, Vec<u8>>) -> usize {
    if extended.is_empty() {
        return 0;
    }
    let size = |(name, value): (&Vec<u8>, &Vec<u8>)| (4 + split(name).1.len() + value.len()).next_multiple_of(4);
    12 + extended.iter().map(size).sum::<usize>()
}

/// How much room they may take: its length is told in 16 bits, as a number of words.
pub const MOST_EXTENDED: usize = 12 + 4 * (u16::MAX as usize - 1);

/// The first part of an attribute's name as a number, and the rest.
fn split(name: &[u8]) -> (u8, &[u8]) {
    for (prefix, number) in [(b"user.".as_slice(), 1), (b"trusted.", 4), (b"security.", 6)] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return (number, rest);
        }
    }
    unreachable!("a sketch has no other attributes")
}

/// How large a chunk must be that has a whole file, as a power of 2 of blocks.
pub fn chunk_bits(size: u64) -> u8 {
    let blocks = size.div_ceil(BLOCK as u64).max(1);
    blocks.next_power_of_two().trailing_zeros() as u8
}

/// Where the only chunk of a file is: on the first device, the tarball.
pub fn chunk(block: u32) -> [u8; 8] {
    let [a, b, c, d] = block.to_le_bytes();
    [0, 0, 1, 0, a, b, c, d]
}

/// A directory's entries, in the order of their names: in each block first the numbers, then the names.
#[derive(Default)]
pub struct Entries {
    bytes: Vec<u8>,
    block: Vec<(u64, FileType, Vec<u8>)>,
    used: usize,
}

const ENTRY: usize = 12;

impl Entries {
    pub fn add(&mut self, name: &[u8], number: u64, kind: FileType) {
        if self.used + ENTRY + name.len() > BLOCK {
            self.end_block();
            self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        }
        self.used += ENTRY + name.len();
        self.block.push((number, kind, name.to_vec()));
    }

    fn end_block(&mut self) {
        let mut at = ENTRY * self.block.len();
        for (number, kind, name) in &self.block {
            self.bytes.extend(number.to_le_bytes());
            self.bytes.extend((at as u16).to_le_bytes());
            self.bytes.extend([kind_number(*kind), 0]);
            at += name.len();
        }
        let names = self.block.drain(..).flat_map(|(.., name)| name);
        self.bytes.extend(names);
        self.used = 0;
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.end_block();
        self.bytes
    }
}

/// How long a directory is that has these names, and how many blocks it fills.
pub fn directory_size<'a>(names: impl Iterator<Item = &'a [u8]>) -> usize {
    let (mut full, mut used) = (0, 0);
    for name in names {
        if used + ENTRY + name.len() > BLOCK {
            (full, used) = (full + BLOCK, 0);
        }
        used += ENTRY + name.len();
    }
    full + used
}

/// A kind of file, as entries tell it.
fn kind_number(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => 1,
        FileType::Directory => 2,
        FileType::CharacterDevice => 3,
        FileType::BlockDevice => 4,
        FileType::Fifo => 5,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        FileType::Unknown => 0,
    }
}

/// What is said of the whole.
pub struct Superblock<'a> {
    pub root: usize,
    pub inodes: u64,
    /// The digest of the tarball, in hexadecimal digits, and its length in blocks.
    pub tarball: &'a str,
    pub blocks: u32,
}

impl Superblock<'_> {
    /// Writes it, the device and, since all else is written, the checksum.
    pub fn write(&self, image: &mut [u8]) {
        let own = (image.len() / BLOCK) as u32;
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(SUPERBLOCK, &MAGIC.to_le_bytes());
        put(SUPERBLOCK + 8, &COMPATIBLE.to_le_bytes());
        put(SUPERBLOCK + 12, &[BLOCK_BITS]);
        put(SUPERBLOCK + 14, &(number(self.root) as u16).to_le_bytes());
        put(SUPERBLOCK + 16, &self.inodes.to_le_bytes());
        put(SUPERBLOCK + 36, &own.to_le_bytes());
        put(SUPERBLOCK + 48, &uuid(self.tarball));
        put(SUPERBLOCK + 80, &INCOMPATIBLE.to_le_bytes());
        // One device more than this one, and in which slot of 128 bytes it is described.
        put(SUPERBLOCK + 86, &1u16.to_le_bytes());
        put(SUPERBLOCK + 88, &((DEVICE / 128) as u16).to_le_bytes());
        put(DEVICE, &self.tarball.as_bytes()[..64]);
        put(DEVICE + 64, &self.blocks.to_le_bytes());
        let sum = checksum(&image[SUPERBLOCK..SUPERBLOCK + BLOCK]);
        image[SUPERBLOCK + 4..SUPERBLOCK + 8].copy_from_slice(&sum.to_le_bytes());
    }
}

/// The beginning of a digest.
fn uuid(digits: &str) -> [u8; 16] {
    let byte = |n: usize| {
        digits
            .get(2 * n..2 * n + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    std::array::from_fn(|n| byte(n).unwrap_or_default())
}

/// What the kernel says of a file system with such a digest (statfs(2), `f_fsid`).
pub fn file_system_id(digits: &str) -> u64 {
    let uuid = u128::from_le_bytes(uuid(digits));
    uuid as u64 ^ (uuid >> 64) as u64
}

/// CRC-32C, as the kernel begins and ends it: with all bits set, and not inverted.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 * (sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(!checksum(b"123456789"), 0xe306_9283);
        // What the kernel begins with behind the magic number and a checksum of 0.
        assert_eq!(checksum(&[0xe2, 0xe1, 0xf5, 0xe0, 0, 0, 0, 0]), 0x5045_b54a);
    }

    #[test]
    fn a_chunk_has_the_whole_file() {
        for (size, bits) in [(1, 0), (512, 0), (513, 1), (1024, 1), (1025, 2), (1 << 40, 31)] {
            assert_eq!(chunk_bits(size), bits, "{size}");
        }
    }

    #[test]
    fn entries_fill_blocks_and_never_cross_them() {
        for lengths in [
            vec![1],
            vec![255; 5],
            (1..=255).collect(),
            vec![250, 249, 1, 1],
            vec![3; 1000],
        ] {
            let mut entries = Entries::default();
            let names: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
            for (n, name) in names.iter().enumerate() {
                entries.add(name, n as u64, FileType::Fifo);
            }
            let bytes = entries.finish();
            assert_eq!(bytes.len(), directory_size(names.iter().map(Vec::as_slice)));
            assert_eq!(read(&bytes), lengths);
        }
    }

    /// The lengths of names, read as the kernel does.
    fn read(bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        for block in bytes.chunks(BLOCK) {
            let offset = |n: usize| usize::from(u16::from_le_bytes([block[12 * n + 8], block[12 * n + 9]]));
            let count = offset(0) / 12;
            for n in 0..count {
                let end = if n + 1 < count { offset(n + 1) } else { block.len() };
                let name = &block[offset(n)..end];
                lengths.push(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
            }
        }
        lengths
    }
}
