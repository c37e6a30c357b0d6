//! Calls by their numbers, of which a mistake harms nobody's memory.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One argument of a call.
pub enum Value<'a> {
    Number(u64),
    Descriptor(BorrowedFd<'a>),
    Text(&'a CStr),
}

impl Value<'_> {
    fn raw(&self) -> u64 {
        match self {
            Value::Number(number) => *number,
            Value::Descriptor(file) => file.as_raw_fd() as u64,
            Value::Text(text) => text.as_ptr() as u64,
        }
    }
}

/// Calls that return a new descriptor, and others. All only read what their arguments point to, and close nothing.
const OPENING: [libc::c_long; 3] = [libc::SYS_fsopen, libc::SYS_fsmount, libc::SYS_openat];
const OTHERS: [libc::c_long; 3] = [libc::SYS_fsconfig, libc::SYS_mkdirat, libc::SYS_symlinkat];

/// Makes a call with up to six arguments. Returns the descriptor that it returns, if it is one that does.
///
/// # Panics
/// If the call is none of those that harm nobody's memory.
pub fn call(number: u16, arguments: &[Value]) -> io::Result<Option<OwnedFd>> {
    let number = number.into();
    let opens = OPENING.contains(&number);
    assert!(
        opens || OTHERS.contains(&number),
        "call {number} is not one to be made like this"
    );
    let mut raw = [0; 6];
    for (raw, argument) in raw.iter_mut().zip(arguments) {
        *raw = argument.raw();
    }
    let [a, b, c, d, e, f] = raw;
    // SAFETY: the kernel reads texts, which end with a NUL and outlive the call, and checks all other addresses.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it is new, so it is nobody else's.
        opened if opens => Ok(Some(unsafe { OwnedFd::from_raw_fd(opened as i32) })),
        _ => Ok(None),
    }
}
