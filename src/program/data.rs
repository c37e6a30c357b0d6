//! What a freestanding program works on, as it will lie in memory at [`BASE`].

use super::instruction::BASE;

/// Bytes that grow at their end. Whatever is put into them has its final address at once.
pub struct Data {
    bytes: Vec<u8>,
}

impl Data {
    /// Begins with `reserved` bytes that are filled in at the end.
    pub fn new(reserved: usize) -> Data {
        // What follows takes less room than that, as a rule.
        let mut bytes = Vec::with_capacity(2 * reserved);
        bytes.resize(reserved, 0);
        Data { bytes }
    }

    /// Appends bytes and returns their address.
    pub fn put(&mut self, bytes: &[u8], align: usize) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let address = BASE + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// Appends a string with a NUL at its end.
    pub fn put_text(&mut self, text: &[u8]) -> u64 {
        let address = self.put(text, 1);
        self.bytes.push(0);
        address
    }

    /// Appends strings, and an array of their addresses with a NULL at its end, whose address it returns.
    pub fn put_list(&mut self, list: &[Vec<u8>]) -> u64 {
        let mut pointers: Vec<u64> = list.iter().map(|text| self.put_text(text)).collect();
        pointers.push(0);
        self.put_words(&pointers)
    }

    pub fn put_words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.put(&bytes, 8)
    }

    /// Fills in some of the reserved bytes.
    pub fn fill(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
