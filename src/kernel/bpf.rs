//! BPF programs that decide about devices, loaded and attached to a cgroup (bpf(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One instruction (the kernel's `bpf/standardization/instruction-set.rst`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_UNEQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

impl Instruction {
    fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
        Instruction {
            code,
            registers: source << 4 | destination,
            offset,
            immediate,
        }
    }

    /// Loads 32 bits from `offset` after the address in `source`.
    pub fn load(destination: u8, source: u8, offset: i16) -> Instruction {
        Instruction::new(LOAD_WORD, destination, source, offset, 0)
    }

    pub fn copy(destination: u8, source: u8) -> Instruction {
        Instruction::new(COPY, destination, source, 0, 0)
    }

    pub fn set(destination: u8, value: i32) -> Instruction {
        Instruction::new(SET, destination, 0, 0, value)
    }

    pub fn and(destination: u8, mask: i32) -> Instruction {
        Instruction::new(AND, destination, 0, 0, mask)
    }

    pub fn shift_right(destination: u8, bits: i32) -> Instruction {
        Instruction::new(SHIFT_RIGHT, destination, 0, 0, bits)
    }

    /// Skips `count` instructions if a register has a value.
    pub fn skip_if_equal(register: u8, value: i32, count: i16) -> Instruction {
        Instruction::new(JUMP_EQUAL, register, 0, count, value)
    }

    /// Skips `count` instructions if a register has another value.
    pub fn skip_unless_equal(register: u8, value: i32, count: i16) -> Instruction {
        Instruction::new(JUMP_UNEQUAL, register, 0, count, value)
    }

    /// Ends the program with the result in register 0.
    pub fn exit() -> Instruction {
        Instruction::new(EXIT, 0, 0, 0, 0)
    }
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_OVERRIDE: u32 = 1;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;
/// How many programs of one cgroup are told of: the kernel allows no more.
const MOST: usize = 64;

/// The head of the `bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The head of the `bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

/// The head of the `bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// The head of the `bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// Attaches a program that decides about devices for a cgroup and those below it, unless one of them has a program of its
/// own, which decides instead.
pub fn attach_default(cgroup: &impl AsFd, program: &[Instruction]) -> io::Result<()> {
    attach_with(cgroup, program, ALLOW_OVERRIDE, None)
}

/// Attaches a program that decides about devices to a cgroup, in the place of the one that is attached, or as the first.
/// Others may attach theirs beside it: then all must agree.
pub fn attach(cgroup: &impl AsFd, program: &[Instruction], old: Option<OwnedFd>) -> io::Result<()> {
    attach_with(cgroup, program, ALLOW_MULTI, old)
}

/// The programs that decide about devices and are attached to a cgroup itself.
pub fn attached(cgroup: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MOST];
    let mut query = Query {
        target: cgroup.as_fd().as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Query::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    Ok(ids[..MOST.min(query.count as usize)].to_vec())
}

/// A descriptor of a program that is loaded.
pub fn open(id: u32) -> io::Result<OwnedFd> {
    let mut by_id = ById { id, ..ById::default() };
    let fd = bpf(PROG_GET_FD_BY_ID, &mut by_id)?;
    // SAFETY: the call made the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut load = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    let fd = bpf(PROG_LOAD, &mut load)?;
    // SAFETY: the call made the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach_with(cgroup: &impl AsFd, program: &[Instruction], flags: u32, old: Option<OwnedFd>) -> io::Result<()> {
    let loaded = load(program)?;
    let mut attach = Attach {
        target: cgroup.as_fd().as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: flags | if old.is_some() { REPLACE } else { 0 },
        replaced: old.as_ref().map_or(0, |old| old.as_raw_fd() as u32),
    };
    bpf(PROG_ATTACH, &mut attach).map(|_| ())
}

fn bpf<T>(command: i32, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the structure is the head of what the command takes, and what it points to lives until the call returns.
    match unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result as i32),
    }
}

/// What a program returns for a context of three words, as the kernel's machine would.
#[cfg(test)]
pub fn interpret(program: &[Instruction], context: [u32; 3]) -> u64 {
    const CONTEXT: u64 = 0x1000;
    let mut registers = [0u64; 11];
    registers[1] = CONTEXT;
    let mut at = 0;
    loop {
        let I {
            code,
            registers: pair,
            offset,
            immediate,
        } = program[at];
        let (to, from, value) = (usize::from(pair & 15), usize::from(pair >> 4), immediate as i64 as u64);
        at += 1;
        match code {
            LOAD_WORD => registers[to] = context[((registers[from] - CONTEXT) as usize + offset as usize) / 4].into(),
            COPY => registers[to] = registers[from],
            SET => registers[to] = value,
            AND => registers[to] &= value,
            SHIFT_RIGHT => registers[to] >>= value,
            JUMP_EQUAL if registers[to] == value => at += offset as usize,
            JUMP_UNEQUAL if registers[to] != value => at += offset as usize,
            JUMP_EQUAL | JUMP_UNEQUAL => {}
            EXIT => return registers[0],
            code => panic!("no instruction {code:#x}"),
        }
    }
}

#[cfg(test)]
use Instruction as I;
