//! Open file description locks (fcntl_locking(2)). They belong to the open file, not to a process, so a lock passes to
//! the children that inherit the descriptor and ends with the last of them; and one can be asked for without being taken.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Which bytes of a file a lock is on. They need not be there.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    All,
    First,
    AllButFirst,
}

/// Waits for an exclusive lock.
pub fn acquire(file: &impl AsFd, part: Part) -> io::Result<()> {
    wait(file, libc::F_WRLCK, part)
}

/// Waits for a lock that many may have, but nobody who has an exclusive one. The file must be open for reading.
pub fn share(file: &impl AsFd) -> io::Result<()> {
    wait(file, libc::F_RDLCK, Part::All)
}

fn wait(file: &impl AsFd, kind: i32, part: Part) -> io::Result<()> {
    loop {
        match control(file, libc::F_OFD_SETLKW, kind, part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Takes an exclusive lock on the whole file if nobody has one; returns whether it was taken.
pub fn try_acquire(file: &impl AsFd) -> io::Result<bool> {
    match control(file, libc::F_OFD_SETLK, libc::F_WRLCK, Part::All) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Whether some other open file has a lock.
pub fn is_held(file: &impl AsFd, part: Part) -> io::Result<bool> {
    let kind = control(file, libc::F_OFD_GETLK, libc::F_WRLCK, part)?;
    Ok(kind != libc::F_UNLCK as i16)
}

/// Makes the call and returns the kind of lock that the kernel left in the structure.
fn control(file: &impl AsFd, command: i32, kind: i32, part: Part) -> io::Result<i16> {
    // SAFETY: the structure is plain numbers, and `l_pid` must be zero for these commands.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // A length of zero is everything from there on.
    (lock.l_start, lock.l_len) = match part {
        Part::All => (0, 0),
        Part::First => (0, 1),
        Part::AllButFirst => (1, 0),
    };
    lock.l_type = kind as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    // SAFETY: the descriptor is open, the structure is valid.
    match unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, &raw mut lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(lock.l_type),
    }
}
