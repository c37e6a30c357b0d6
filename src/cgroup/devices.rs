//! Rules about devices, compiled: into a program for version 2, into a list for version 1.
//!
//! The last rule that fits a device decides, for each kind of access by itself. A rule that says nothing fits all. What no
//! rule fits is refused.

use std::fmt::{self, Display};

use super::DeviceRule;
use super::check::invalid;
use crate::error::Result;
use crate::kernel::bpf::Instruction as I;

/// The kinds of device and of access in the context of such a program (linux/bpf.h).
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const ALL: i32 = MKNOD | READ | WRITE;

/// Character devices that every container may open: major numbers, each with its minor numbers or none for all of them.
const ALLOWED: [(i64, &[i64]); 3] = [
    (1, &[3, 5, 7, 8, 9]), // null zero full random urandom
    (5, &[0, 1, 2]),       // tty console ptmx
    (136, &[]),            // pts
];

/// What every container may do, whatever else is said: make nodes of all devices, and use the harmless ones. Other runtimes
/// add the same to the rules of a container's configuration, after them.
pub fn default_devices() -> Vec<DeviceRule> {
    let rule = |kind: &str, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.into()),
        major,
        minor,
        access: Some(access.into()),
    };
    let mut rules = vec![rule("c", None, None, "m"), rule("b", None, None, "m")];
    for (major, minors) in ALLOWED {
        if minors.is_empty() {
            rules.push(rule("c", Some(major), None, "rwm"));
        }
        rules.extend(minors.iter().map(|minor| rule("c", Some(major), Some(*minor), "rwm")));
    }
    rules
}

/// A rule in numbers. Nothing is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    allow: bool,
    kind: Option<i32>,
    major: Option<u32>,
    minor: Option<u32>,
    access: i32,
}

impl Entry {
    fn new(rule: &DeviceRule) -> Entry {
        let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        let bit = |letter| match letter {
            'm' => MKNOD,
            'r' => READ,
            'w' => WRITE,
            _ => 0,
        };
        let access = rule.access.as_deref().unwrap_or_default();
        Entry {
            allow: rule.allow,
            kind: match rule.kind.as_deref() {
                Some("b") => Some(BLOCK),
                Some("c") => Some(CHARACTER),
                _ => None,
            },
            major: number(rule.major),
            minor: number(rule.minor),
            access: if access.is_empty() {
                ALL
            } else {
                access.chars().map(bit).fold(0, |all, bit| all | bit)
            },
        }
    }

    fn is_everything(&self) -> bool {
        (self.kind, self.major, self.minor, self.access) == (None, None, None, ALL)
    }

    /// Whether all that another speaks of is also spoken of by this one.
    fn covers(&self, other: &Entry) -> bool {
        let covers = |ours: Option<u32>, theirs: Option<u32>| ours.is_none() || ours == theirs;
        (self.kind.is_none() || self.kind == other.kind)
            && covers(self.major, other.major)
            && covers(self.minor, other.minor)
            && other.access & !self.access == 0
    }

    fn overlaps(&self, other: &Entry) -> bool {
        let meets = |ours: Option<u32>, theirs: Option<u32>| ours.is_none() || theirs.is_none() || ours == theirs;
        (self.kind.is_none() || other.kind.is_none() || self.kind == other.kind)
            && meets(self.major, other.major)
            && meets(self.minor, other.minor)
            && self.access & other.access != 0
    }
}

/// As `devices.allow` and `devices.deny` read it.
impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".into(), |number| number.to_string());
        let kind = if self.kind == Some(BLOCK) { 'b' } else { 'c' };
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        let letters = [(READ, "r"), (WRITE, "w"), (MKNOD, "m")];
        letters
            .iter()
            .filter(|(bit, _)| self.access & bit != 0)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// Compiles rules into a program that returns 1 for what is allowed. It goes through them from the last to the first, and
/// forgets each kind of access that is allowed. Registers: 1 the context, 3 the kind of device, 4 the major and 5 the minor
/// number, 6 the access that is not allowed yet, 7 what a rule refuses of it.
pub fn compile(rules: &[DeviceRule]) -> Vec<I> {
    let mut program = vec![
        I::load(6, 1, 0),
        I::copy(3, 6),
        I::and(3, 0xffff),
        I::shift_right(6, 16),
        I::load(4, 1, 4),
        I::load(5, 1, 8),
    ];
    let result = |allow: bool| [I::set(0, allow.into()), I::exit()];
    for entry in rules.iter().rev().map(Entry::new) {
        let mut body = match (entry.allow, entry.access) {
            (_, ALL) => Vec::new(),
            (true, access) => vec![I::and(6, !access), I::skip_unless_equal(6, 0, 2)],
            (false, access) => vec![I::copy(7, 6), I::and(7, access), I::skip_if_equal(7, 0, 2)],
        };
        body.extend(result(entry.allow));
        // Instructions that nothing leads to are refused by the kernel, so that nothing may follow a rule for everything.
        if entry.is_everything() {
            program.extend(body);
            return program;
        }
        let tests = [
            (3, entry.kind),
            (4, entry.major.map(|major| major as i32)),
            (5, entry.minor.map(|minor| minor as i32)),
        ];
        for (register, value) in tests.into_iter().rev() {
            if let Some(value) = value {
                body.insert(0, I::skip_unless_equal(register, value, body.len() as i16));
            }
        }
        program.extend(body);
    }
    program.extend(result(false));
    program
}

/// What version 1 has: everything or nothing, and exceptions from it.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    pub allow: bool,
    pub exceptions: Vec<Entry>,
}

/// Compiles rules into a list. Exceptions from an exception cannot be told to version 1.
pub fn list(rules: &[DeviceRule]) -> Result<List> {
    let mut list = List {
        allow: false,
        exceptions: Vec::new(),
    };
    for (n, rule) in rules.iter().enumerate() {
        let entry = Entry::new(rule);
        if entry.is_everything() {
            list.allow = entry.allow;
            list.exceptions.clear();
        } else if entry.allow == list.allow {
            list.exceptions.retain(|exception| !entry.covers(exception));
            if list.exceptions.iter().any(|exception| entry.overlaps(exception)) {
                let wrong = "takes back a part of a rule before it, which cgroups of version 1 cannot";
                return Err(invalid(&format!("devices[{n}]"), wrong));
            }
        } else {
            let kinds = entry.kind.map_or(vec![BLOCK, CHARACTER], |kind| vec![kind]);
            let of_kind = |kind| Entry {
                kind: Some(kind),
                ..entry
            };
            list.exceptions.extend(kinds.into_iter().map(of_kind));
        }
    }
    Ok(list)
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
