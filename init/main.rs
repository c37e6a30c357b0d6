//! init: runs a program, one system call after another, and ends by executing the user's command.
//!
//! It is the only code that ever runs half inside a container, so it is kept small enough to review in one sitting: no
//! allocator, no C library, no branches that depend on what a container holds. Whatever needs thought was thought by
//! the process that encoded the program. init makes no system call of its own but to receive a program that is written later than it
//! is born, and to report: a [`Failure`] when an instruction fails, a [`Timing`] after each one when the program is traced.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
mod arch;
mod instruction;
mod stay;

use instruction::{BASE, CONTROL, CONTROL_HEADER, Failure, Header, Instruction, RECEIVED, ROOM, Timing, kind};

const ENOENT: u32 = 2;
const EAGAIN: isize = -11;
const EMFILE: u32 = 24;
const EPIPE: u32 = 32;
const CLOCK_MONOTONIC: u64 = 1;
const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;
const MSG_CTRUNC: u64 = 8;

/// The exit status that tells that it was not the command that ended.
const FAILED: u64 = 125;

/// How often a path lookup that raced with a rename elsewhere is repeated (openat2(2), EAGAIN).
const LOOKUPS: u32 = 1024;

/// Runs the program at [`BASE`].
#[unsafe(no_mangle)]
extern "C" fn enter() -> ! {
    // SAFETY: the kernel mapped a header there.
    let Header { count, wire, .. } = unsafe { *(BASE as *const Header) };
    if count == 0 {
        receive(wire);
    }
    // SAFETY: the program is there, and the encoder wrote a header and `count` instructions.
    let (header, instructions) = unsafe {
        let header = &*(BASE as *const Header);
        let first = (BASE as *const u8).add(size_of::<Header>()).cast::<Instruction>();
        (header, core::slice::from_raw_parts(first, header.count as usize))
    };
    let mut remembered = 0;
    for (step, instruction) in instructions.iter().enumerate() {
        let before = if header.trace >= 0 { now() } else { 0 };
        let result = execute(instruction);
        if header.trace >= 0 {
            let nanoseconds = (now() - before) as u32;
            write(header.trace, &Timing { step: step as u32, nanoseconds });
        }
        if let Err(errno) = judge(instruction, result, &mut remembered) {
            write(header.report, &Failure { step: step as u32, errno });
            exit(FAILED);
        }
        if instruction.kind == kind::FORK && result > 0 {
            write(header.report, &Failure { step: step as u32, errno: -result as u32 });
            exit(0);
        }
        if instruction.kind == kind::STAY && result > 0 {
            stay::stay(result);
        }
    }
    exit(FAILED)
}

/// Receives the program at [`BASE`], and the descriptors that it needs. Whoever would send it may be gone.
fn receive(wire: i32) {
    let mut length = 0u64;
    let parts = [[&raw mut length as u64, 8], [BASE, ROOM - CONTROL]];
    let mut message = [0, 0, parts.as_ptr() as u64, 2, RECEIVED - CONTROL_HEADER, CONTROL, 0];
    let arguments = [wire as u64, message.as_mut_ptr() as u64, MSG_CMSG_CLOEXEC, 0, 0, 0];
    // SAFETY: a `struct msghdr` that describes `length`, and the room that the kernel mapped for the program.
    let mut come = unsafe { arch::syscall(arch::RECVMSG, arguments) } - 8;
    while come >= 0 && (come as u64) < length {
        let arguments = [wire as u64, BASE + come as u64, length - come as u64, 0, 0, 0];
        // SAFETY: whoever sends it keeps to the room.
        match unsafe { arch::syscall(arch::READ, arguments) } {
            more @ 1.. => come += more,
            _ => come = -1,
        }
    }
    if come < 0 {
        exit(FAILED);
    }
    if message[6] & MSG_CTRUNC != 0 {
        // SAFETY: the program is there.
        let report = unsafe { (*(BASE as *const Header)).report };
        write(report, &Failure { step: 0, errno: EMFILE });
        exit(FAILED);
    }
}

/// Makes the instruction's call and keeps its result.
fn execute(instruction: &Instruction) -> isize {
    let mut arguments = instruction.arguments;
    for (n, argument) in arguments.iter_mut().enumerate() {
        if instruction.loads & (1 << n) != 0 {
            // SAFETY: the encoder put a register's address here.
            *argument = unsafe { *(*argument as *const i32) } as i64 as u64;
        }
    }
    let mut result = EAGAIN;
    for _ in 0..LOOKUPS {
        // SAFETY: the encoder wrote arguments that are valid for the call.
        result = unsafe { arch::syscall(instruction.number as usize, arguments) };
        if result != EAGAIN {
            break;
        }
    }
    if instruction.keep != 0 {
        // SAFETY: the encoder put a register's address here; the program is mapped writable.
        unsafe { *(instruction.keep as usize as *mut i32) = result as i32 };
    }
    result
}

/// Decides whether the program goes on after `result`, or with which error it ends.
fn judge(instruction: &Instruction, result: isize, remembered: &mut u32) -> Result<(), u32> {
    let errno = -result as u32;
    let forgiven = instruction.forgiven.iter().any(|&e| e != 0 && u32::from(e) == errno);
    match instruction.kind {
        kind::WAIT if result == 0 => Err(EPIPE),
        _ if result >= 0 => Ok(()),
        kind::CALL | kind::WAIT if forgiven => Ok(()),
        kind::TRY => {
            if errno != ENOENT {
                *remembered = errno;
            }
            if forgiven {
                return Ok(());
            }
            Err(if *remembered != 0 { *remembered } else { errno })
        }
        _ => Err(errno),
    }
}

/// The monotonic clock in nanoseconds.
fn now() -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: `time` has the layout of a timespec.
    unsafe { arch::syscall(arch::CLOCK_GETTIME, [CLOCK_MONOTONIC, &raw mut time as u64, 0, 0, 0, 0]) };
    time[0] * 1_000_000_000 + time[1]
}

/// Writes a report; whoever reads it may be gone, and then nobody is left to tell.
fn write<T>(descriptor: i32, report: &T) {
    let pointer = core::ptr::from_ref(report) as u64;
    // SAFETY: the pointer and the length describe `report`.
    unsafe { arch::syscall(arch::WRITE, [descriptor as u64, pointer, size_of::<T>() as u64, 0, 0, 0]) };
}

fn exit(status: u64) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { arch::syscall(arch::EXIT_GROUP, [status, 0, 0, 0, 0, 0]) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(FAILED)
}
