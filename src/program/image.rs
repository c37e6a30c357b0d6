//! The executables that are embedded in tinydock, and how one is given what it shall work on.
//!
//! ```text
//!      0 ┌─────────────────────────┐
//!        │ ELF header, segments     │  the last segment's sizes are set to the length of what is given
//!        ├─────────────────────────┤
//!        │ code, state             │
//!  given ├─────────────────────────┤  a page boundary; the kernel maps the rest at `instruction::BASE`
//!        │ what is given           │
//!        └─────────────────────────┘
//! ```
//!
//! So the kernel itself loads the program, and init finds it in memory when its first instruction runs.

use super::instruction::BASE;

/// A freestanding executable, built by build.rs.
pub struct Image {
    elf: &'static [u8],
}

/// Offsets in a 64-bit ELF file (elf(5)): the section table's place and count, the segments' count, place and length.
const SECTIONS: usize = 40;
const SECTION_COUNT: usize = 60;
const SEGMENT_COUNT: usize = 56;
const SEGMENTS: usize = 64;
const SEGMENT: usize = 56;
/// Offsets in a segment: where it is in the file, where in memory, and its length in both.
const OFFSET: usize = 8;
const ADDRESS: usize = 16;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;

impl Image {
    /// Runs programs.
    pub const INIT: Image = Image {
        elf: include_bytes!(concat!(env!("OUT_DIR"), "/init")),
    };

    /// Watches a container.
    pub const MONITOR: Image = Image {
        elf: include_bytes!(concat!(env!("OUT_DIR"), "/monitor")),
    };

    /// The executable with `given` in the segment at [`BASE`].
    pub fn with(&self, given: &[u8]) -> Vec<u8> {
        self.with_room(given, given.len() as u64)
    }

    /// The same, with so many bytes for what comes later, those of `given` among them.
    pub fn with_room(&self, given: &[u8], room: u64) -> Vec<u8> {
        let segment = self.given();
        let own = &self.elf[..self.word(segment + OFFSET) as usize];
        let mut image = Vec::with_capacity(own.len() + given.len());
        image.extend_from_slice(own);
        for (place, size) in [(FILE_SIZE, given.len() as u64), (MEMORY_SIZE, room)] {
            image[segment + place..segment + place + 8].copy_from_slice(&size.to_ne_bytes());
        }
        image[SECTIONS..SECTIONS + 8].fill(0);
        image[SECTION_COUNT..SECTION_COUNT + 4].fill(0);
        image.extend_from_slice(given);
        image
    }

    /// Where the segment is described that the kernel maps at [`BASE`].
    fn given(&self) -> usize {
        let segments = (0..usize::from(self.elf[SEGMENT_COUNT])).map(|n| SEGMENTS + n * SEGMENT);
        segments
            .into_iter()
            .find(|segment| self.word(segment + ADDRESS) == BASE)
            .expect("init/image.ld puts a segment there")
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.elf[at..at + 8].try_into().expect("8 bytes"))
    }
}
