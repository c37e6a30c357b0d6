//! Filters as the kernel runs them: instructions of its classic filter machine (`Documentation/networking/filter.rst`).
//!
//! A filter is a search over the ranges of call numbers that share a [`Decision`], for each way into the kernel, and what each
//! decision takes. It is written from its end: where an instruction jumps to is always there already, so its distance is known,
//! and what is there once can be shared by all that need it.
//!
//! `build.rs` compiles this file as well, to make the usual filter when tinydock is built.

use std::collections::HashMap;

use super::decision::{Decision, Word};

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    /// How many instructions to skip where a jump's condition is true, and where it is false.
    pub skip: [u8; 2],
    pub value: u32,
}

impl Instruction {
    pub fn bytes(self) -> [u8; 8] {
        let ([a, b], [c, d, e, f]) = (self.code.to_ne_bytes(), self.value.to_ne_bytes());
        [a, b, self.skip[0], self.skip[1], c, d, e, f]
    }

    pub fn read([a, b, yes, no, c, d, e, f]: [u8; 8]) -> Instruction {
        Instruction {
            code: u16::from_ne_bytes([a, b]),
            skip: [yes, no],
            value: u32::from_ne_bytes([c, d, e, f]),
        }
    }
}

pub const LOAD: u16 = 0x20;
pub const AND: u16 = 0x54;
pub const JUMP: u16 = 0x05;
pub const IF_EQUAL: u16 = 0x15;
pub const IF_ABOVE: u16 = 0x25;
pub const IF_AT_LEAST: u16 = 0x35;
pub const IF_ANY: u16 = 0x45;
pub const RETURN: u16 = 0x06;

/// What a filter can return (seccomp(2)); some take an error or a number in the lower half.
pub mod action {
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    pub const KILL_THREAD: u32 = 0;
    pub const TRAP: u32 = 0x0003_0000;
    pub const ERRNO: u32 = 0x0005_0000;
    pub const NOTIFY: u32 = 0x7fc0_0000;
    pub const TRACE: u32 = 0x7ff0_0000;
    pub const LOG: u32 = 0x7ffc_0000;
    pub const ALLOW: u32 = 0x7fff_0000;
}

/// Where `struct seccomp_data` has the call's number and the way it came.
pub const NUMBER: Word = 0;
pub const WAY: Word = 4;

/// The 64-bit and the 32-bit way into the kernel (`AUDIT_ARCH_…`).
pub const WIDE: u32 = 0xc000_003e;
pub const NARROW: u32 = 0x4000_0003;

/// What becomes of the calls that come one way: the ranges of numbers with the same decision, by their first numbers. The first
/// begins at 0, and the last has all numbers from there on.
pub struct Way {
    pub architecture: u32,
    pub ranges: Vec<(u32, Decision)>,
}

/// So many ranges or fewer are told apart one number after the other, where that takes fewer instructions. With more, the kernel
/// would spend what it saves on the length: when a filter is installed, it follows the path of every number.
const CHAIN: usize = 15;

/// The filter for these ways. A call that comes another way kills its process.
pub fn assemble(ways: &[Way]) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let ways: Vec<_> = ways
        .iter()
        .map(|way| (way.architecture, assembler.decide(&way.ranges)))
        .collect();
    let kill = assembler.returns(action::KILL_PROCESS);
    let roots = assembler.search_all(ways);
    let entry = roots.into_iter().rev().fold(kill, |otherwise, (architecture, root)| {
        let test = (IF_EQUAL, architecture);
        assembler.test(None, None, test, root, otherwise)
    });
    assembler.load(WAY, entry);
    assembler.code.reverse();
    assembler.code
}

/// Where something begins, counted from the end of the filter: its instruction is the last of so many.
pub type Label = usize;

/// A range of numbers, by its first, and where its decision is.
type Range = (u32, Label);

#[derive(PartialEq, Eq, Hash)]
enum Block {
    Return(u32),
    Test(Option<Word>, Option<u32>, (u16, u32), Label, Label),
}

#[derive(Default)]
pub struct Assembler {
    /// The instructions, last one first.
    code: Vec<Instruction>,
    made: HashMap<Block, Label>,
}

impl Assembler {
    fn push(&mut self, code: u16, skip: [u8; 2], value: u32) -> Label {
        self.code.push(Instruction { code, skip, value });
        self.code.len()
    }

    /// Places the end of a call's way.
    pub fn returns(&mut self, action: u32) -> Label {
        if let Some(label) = self.made.get(&Block::Return(action)) {
            return *label;
        }
        let label = self.push(RETURN, [0, 0], action);
        self.made.insert(Block::Return(action), label);
        label
    }

    /// Places a test of a word, which is loaded and masked before if so asked.
    pub fn test(&mut self, load: Option<Word>, mask: Option<u32>, test: (u16, u32), yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let block = Block::Test(load, mask, test, yes, no);
        if let Some(label) = self.made.get(&block) {
            return *label;
        }
        // A detour for one of them moves the other away by one instruction.
        let no = self.near(no, 1);
        let yes = self.near(yes, 0);
        let skip = [yes, no].map(|label| (self.code.len() - label) as u8);
        let mut label = self.push(test.0, skip, test.1);
        if let Some(mask) = mask {
            label = self.push(AND, [0, 0], mask);
        }
        if let Some(word) = load {
            label = self.push(LOAD, [0, 0], word);
        }
        self.made.insert(block, label);
        label
    }

    /// A place from which a jump reaches `label`: itself, or a longer jump to it.
    fn near(&mut self, label: Label, spare: usize) -> Label {
        let distance = self.code.len() - label;
        if distance + spare <= usize::from(u8::MAX) {
            return label;
        }
        self.push(JUMP, [0, 0], distance as u32)
    }

    /// Places the loading of a word before something that needs it.
    fn load(&mut self, word: Word, next: Label) -> Label {
        let distance = self.code.len() - next;
        if distance > 0 {
            self.push(JUMP, [0, 0], distance as u32);
        }
        self.push(LOAD, [0, 0], word)
    }

    /// Places what the decisions take.
    fn decide(&mut self, ranges: &[(u32, Decision)]) -> Vec<Range> {
        let mut made: HashMap<&Decision, Label> = HashMap::new();
        let mut places = Vec::with_capacity(ranges.len());
        for (first, decision) in ranges {
            let label = match made.get(decision) {
                Some(label) => *label,
                None => decision.place(self),
            };
            made.insert(decision, label);
            places.push((*first, label));
        }
        places.dedup_by_key(|(_, label)| *label);
        places
    }

    /// Places the searches of all ways. The newest calls have the same numbers in all, so their search is shared.
    fn search_all(&mut self, ways: Vec<(u32, Vec<Range>)>) -> Vec<(u32, Label)> {
        let same = |n: usize| ways.windows(2).all(|pair| last(&pair[0].1, n) == last(&pair[1].1, n));
        let shared = (1..)
            .take_while(|n| ways.len() > 1 && same(*n) && last(&ways[0].1, *n).is_some())
            .last();
        let tail = shared.filter(|n| *n > 1).map(|n| {
            let ranges = &ways[0].1;
            (n, self.search(&ranges[ranges.len() - n..]))
        });
        let mut roots = Vec::new();
        for (architecture, mut ranges) in ways.into_iter().rev() {
            if let Some((count, label)) = tail {
                ranges.truncate(ranges.len() - count + 1);
                ranges.last_mut().expect("a tail").1 = label;
            }
            let root = self.search(&ranges);
            roots.push((architecture, self.load(NUMBER, root)));
        }
        roots.reverse();
        roots
    }

    /// Places the search for the range that the loaded number is in.
    fn search(&mut self, ranges: &[Range]) -> Label {
        if let [(_, label)] = ranges {
            return *label;
        }
        let single = (1..ranges.len() - 1).find(|n| {
            let [before, it, after] = [n - 1, *n, n + 1].map(|n| ranges[n]);
            before.1 == after.1 && it.0 + 1 == after.0
        });
        if let Some(n) = single.filter(|_| ranges.len() <= CHAIN) {
            let (number, label) = ranges[n];
            let others = self.search(&[&ranges[..n], &ranges[n + 2..]].concat());
            return self.test(None, None, (IF_EQUAL, number), label, others);
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let (above, below) = (self.search(high), self.search(low));
        self.test(None, None, (IF_AT_LEAST, high[0].0), above, below)
    }
}

/// The `n`th of some ranges from their end.
fn last(ranges: &[Range], n: usize) -> Option<Range> {
    ranges.len().checked_sub(n).map(|at| ranges[at])
}
