//! Filters, run as the kernel runs them.

mod builtin;
mod docker;
mod naive;
mod profiles;
mod table;

use super::*;

/// A call, as a filter sees it.
#[derive(Clone, Copy, Debug)]
struct Call {
    way: u32,
    number: u32,
    arguments: [u64; 6],
}

impl Call {
    fn wide(number: u32, arguments: [u64; 6]) -> Call {
        Call {
            way: WIDE,
            number,
            arguments,
        }
    }

    fn narrow(number: u32, arguments: [u64; 6]) -> Call {
        let way = assemble::NARROW;
        Call {
            way,
            number,
            arguments: arguments.map(|argument| argument & 0xffff_ffff),
        }
    }
}

/// What the kernel would return for a call: it runs the filter as `filter.rst` says.
fn run(filter: &Filter, call: Call) -> u32 {
    let (mut at, mut loaded) = (0, 0);
    loop {
        let Instruction { code, skip, value } = filter.instructions[at];
        at += 1;
        match code {
            LOAD => loaded = word(call, value),
            AND => loaded &= value,
            JUMP => at += value as usize,
            RETURN => return value,
            _ => at += usize::from(skip[usize::from(!holds(code, loaded, value))]),
        }
    }
}

/// A word of `struct seccomp_data`.
fn word(call: Call, at: u32) -> u32 {
    match at {
        NUMBER => call.number,
        WAY => call.way,
        16..64 => (call.arguments[at as usize / 8 - 2] >> (at % 8 * 8)) as u32,
        _ => panic!("nothing to load at {at}"),
    }
}
