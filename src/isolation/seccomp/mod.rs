//! seccomp: the system calls that a container cannot make, as a filter that the kernel runs before each call (seccomp(2)).
//!
//! There is a filter that containers have by default, and there are profiles, in which users say what may be called: in the form
//! of the OCI runtime specification, and in Docker's, which is resolved into it.
//!
//! ```text
//! docker ──▶ profile ──compile──▶ ways ──assemble──▶ instructions
//!                     builtin ──▶
//! ```
//!
//! A *way* into the kernel is what the kernel calls an architecture: 64-bit programs may make 32-bit calls, too.

mod assemble;
mod builtin;
mod compile;
mod decision;
mod docker;
mod names;
mod profile;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::Result;
// The table of the default filter is compiled by the build as well, where there is no crate.
use crate::program::flags::capability;
use assemble::{AND, IF_ABOVE, IF_ANY, IF_AT_LEAST, IF_EQUAL, Instruction, JUMP, LOAD, NUMBER, RETURN, WAY, WIDE, action};

pub use compile::compile;
pub use docker::read;
pub use profile::Profile;

/// Which calls of a container are filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Those that containers have no use for, as it follows from their capabilities.
    #[default]
    Builtin,
    /// None.
    Unconfined,
    /// Those that a profile says.
    Profile(Box<Profile>),
}

impl Seccomp {
    /// The filter of a container with these capabilities, a bit each.
    pub fn filter(&self, capabilities: u64) -> Result<Option<Filter>> {
        match self {
            Seccomp::Builtin => Ok(Some(builtin(capabilities))),
            Seccomp::Unconfined => Ok(None),
            Seccomp::Profile(profile) if profile.is_empty() => Ok(None),
            Seccomp::Profile(profile) => compile(profile).map(Some),
        }
    }
}

/// A filter, ready for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub instructions: Vec<Instruction>,
    /// The flags for seccomp(2).
    pub flags: u32,
    /// Whether seccomp(2) returns a descriptor, on which another program is asked about some calls.
    pub notifies: bool,
}

/// Where `struct seccomp_data` has the first argument, its low half before its high one.
const FIRST: u32 = 16;

/// The default filter for the usual capabilities, which `build.rs` makes.
const USUAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter"));

/// The default filter for a container with these capabilities, a bit each.
pub fn builtin(capabilities: u64) -> Filter {
    let instructions = if builtin::is_usual(capabilities) {
        let (chunks, _) = USUAL.as_chunks();
        chunks.iter().map(|bytes| Instruction::read(*bytes)).collect()
    } else {
        assemble::assemble(&builtin::ways(capabilities))
    };
    Filter {
        instructions,
        flags: 0,
        notifies: false,
    }
}

impl Filter {
    pub fn bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(|instruction| instruction.bytes()).collect()
    }

    /// Whether a 64-bit call is made, whatever its arguments are: follows every path that they can lead to.
    pub fn permits(&self, number: u32) -> bool {
        self.permits_with(number, None)
    }

    /// Whether a 64-bit call is made, or whoever answers for the filter is asked about it.
    pub fn permits_or_asks(&self, number: u32) -> bool {
        self.leads_to(number, None, &[action::ALLOW, action::LOG, action::NOTIFY])
    }

    /// The same as [`permits`](Filter::permits) with the first argument, if it is known.
    pub fn permits_with(&self, number: u32, first: Option<u32>) -> bool {
        self.leads_to(number, first, &[action::ALLOW, action::LOG])
    }

    /// Whether every path that a call can take ends with one of these actions.
    fn leads_to(&self, number: u32, first: Option<u32>, ends: &[u32]) -> bool {
        let mut seen = HashSet::new();
        let mut paths = vec![(0, None)];
        while let Some((at, loaded)) = paths.pop() {
            if !seen.insert((at, loaded)) {
                continue;
            }
            let Instruction { code, skip, value } = self.instructions[at];
            let skips = match (code, loaded) {
                (RETURN, _) if ends.contains(&value) => continue,
                (RETURN, _) => return false,
                (JUMP, _) => vec![value as usize],
                (LOAD | AND, _) => vec![0],
                (_, Some(loaded)) => vec![skip[usize::from(!holds(code, loaded, value))].into()],
                (_, None) => skip.map(usize::from).into(),
            };
            let loaded = match code {
                LOAD if value == NUMBER => Some(number),
                LOAD if value == WAY => Some(WIDE),
                LOAD if value == FIRST => first,
                LOAD if value == FIRST + 4 => first.map(|_| 0),
                LOAD => None,
                AND => loaded.map(|loaded| loaded & value),
                _ => loaded,
            };
            paths.extend(skips.into_iter().map(|skip| (at + 1 + skip, loaded)));
        }
        true
    }
}

/// The result of an instruction's condition.
fn holds(code: u16, loaded: u32, value: u32) -> bool {
    match code {
        IF_EQUAL => loaded == value,
        IF_ABOVE => loaded > value,
        IF_AT_LEAST => loaded >= value,
        IF_ANY => loaded & value != 0,
        _ => unreachable!("no filter of ours has an instruction {code:#x}"),
    }
}

#[cfg(test)]
mod tests;
