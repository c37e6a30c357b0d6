//! The first process of a container that has one of ours: what Docker's `--init` asks for.
//!
//! The kernel does not give a first process signals that it has no handler for, and makes it the parent of orphans. A command that
//! knows of neither cannot be stopped, and leaves zombies. This passes signals on and reaps. All signals are blocked when it begins.

use crate::arch::{self, syscall};
use crate::exit;

const SIGCHLD: isize = 17;
const WNOHANG: u64 = 1;
const LAST_DESCRIPTOR: u64 = u32::MAX as u64;

/// Stays for as long as `child` lives.
pub fn stay(child: isize) -> ! {
    // Whoever waits for the report or for the streams to end must not wait for us.
    call(arch::CLOSE_RANGE, [0, LAST_DESCRIPTOR, 0, 0]);
    loop {
        let all = u64::MAX;
        let signal = call(arch::RT_SIGTIMEDWAIT, [&raw const all as u64, 0, 0, 8]);
        if signal == SIGCHLD {
            reap(child);
        } else if signal > 0 {
            call(arch::KILL, [child as u64, signal as u64, 0, 0]);
        }
    }
}

/// Reaps all that has ended, and ends if `child` has.
fn reap(child: isize) {
    loop {
        let mut status = 0u32;
        let pid = call(arch::WAIT4, [u64::MAX, &raw mut status as u64, WNOHANG, 0]);
        if pid <= 0 {
            return;
        }
        if pid == child {
            let signal = status & 0x7f;
            exit(u64::from(if signal == 0 { status >> 8 & 0xff } else { 128 + signal }));
        }
    }
}

fn call(number: usize, a: [u64; 4]) -> isize {
    // SAFETY: the pointers are to variables that outlive the call.
    unsafe { syscall(number, [a[0], a[1], a[2], a[3], 0, 0]) }
}
