//! The system calls that the monitor makes.

use crate::arch::{self, syscall};

/// What became of a call that moves bytes.
pub enum Moved {
    Bytes(usize),
    /// Not now: it would block.
    Later,
    /// The other end is gone, or there is nothing more.
    Ended,
}

const EAGAIN: isize = -11;
const EINTR: isize = -4;

fn moved(result: isize) -> Moved {
    match result {
        1.. => Moved::Bytes(result as usize),
        EAGAIN | EINTR => Moved::Later,
        _ => Moved::Ended,
    }
}

fn call(number: usize, a: [u64; 6]) -> isize {
    // SAFETY: every caller below passes pointers to live memory of the length that it passes, or none.
    unsafe { syscall(number, a) }
}

pub fn read(fd: i32, buffer: &mut [u8]) -> Moved {
    moved(call(arch::READ, [fd as u64, buffer.as_mut_ptr() as u64, buffer.len() as u64, 0, 0, 0]))
}

/// Reads from the start of a file.
pub fn read_start(fd: i32, buffer: &mut [u8]) -> usize {
    let length = call(arch::PREAD64, [fd as u64, buffer.as_mut_ptr() as u64, buffer.len() as u64, 0, 0, 0]);
    length.max(0) as usize
}

pub fn write(fd: i32, bytes: &[u8]) -> Moved {
    moved(call(arch::WRITE, [fd as u64, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0]))
}

const MSG_DONTWAIT: u64 = 0x40;
const MSG_NOSIGNAL: u64 = 0x4000;

/// Receives one message.
pub fn receive(fd: i32, buffer: &mut [u8]) -> Moved {
    moved(call(arch::RECVFROM, [fd as u64, buffer.as_mut_ptr() as u64, buffer.len() as u64, MSG_DONTWAIT, 0, 0]))
}

/// Sends one message.
pub fn send(fd: i32, message: &[u8]) -> Moved {
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    moved(call(arch::SENDTO, [fd as u64, message.as_ptr() as u64, message.len() as u64, flags, 0, 0]))
}

const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;

/// A `struct cmsghdr` with a descriptor.
#[repr(C)]
struct Rights {
    length: u64,
    level: u32,
    kind: u32,
    descriptor: i32,
}

/// Sends one message, and a descriptor with it.
pub fn send_with(fd: i32, message: &[u8], descriptor: i32) {
    let length = (core::mem::offset_of!(Rights, descriptor) + size_of::<i32>()) as u64;
    let rights = Rights { length, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptor };
    let part = [message.as_ptr() as u64, message.len() as u64];
    // A `struct msghdr`: to nobody in particular, one part, one control message.
    let header = [0, 0, part.as_ptr() as u64, 1, &raw const rights as u64, size_of::<Rights>() as u64, 0];
    call(arch::SENDMSG, [fd as u64, header.as_ptr() as u64, MSG_NOSIGNAL, 0, 0, 0]);
}

const SOCK_CLOEXEC: u64 = 0o2000000;

/// Accepts a connection.
pub fn accept(listener: i32) -> Option<i32> {
    let fd = call(arch::ACCEPT4, [listener as u64, 0, 0, SOCK_CLOEXEC, 0, 0]);
    (fd >= 0).then_some(fd as i32)
}

/// Lets nobody connect any more. Those who have and were not accepted yet can still be.
pub fn refuse(listener: i32) {
    call(arch::SHUTDOWN, [listener as u64, 0, 0, 0, 0, 0]);
}

pub fn close(fd: i32) {
    call(arch::CLOSE, [fd as u64, 0, 0, 0, 0, 0]);
}

/// A `struct pollfd`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Poll {
    pub fd: i32,
    pub events: i16,
    pub ready: i16,
}

pub const POLLIN: i16 = 1;
pub const POLLOUT: i16 = 4;

/// Waits until something is ready.
pub fn poll(set: &mut [Poll]) {
    poll_for(-1, set);
}

/// The same, for so many milliseconds at most.
pub fn poll_for(milliseconds: i64, set: &mut [Poll]) {
    // There may be more places than this process may have open, and then the kernel would take none of them (poll(2), EINVAL).
    let length = set.iter().rposition(|place| place.fd >= 0).map_or(0, |last| last + 1);
    call(arch::POLL, [set.as_mut_ptr() as u64, length as u64, milliseconds as u64, 0, 0, 0]);
}

/// The time in seconds and nanoseconds since 1970.
pub fn time() -> (u64, u32) {
    let mut time = [0u64; 2];
    call(arch::CLOCK_GETTIME, [0, time.as_mut_ptr() as u64, 0, 0, 0, 0]);
    (time[0], time[1] as u32)
}

const P_PIDFD: u64 = 3;
const WEXITED: u64 = 4;
const WNOWAIT: u64 = 0x0100_0000;
const CLD_EXITED: i32 = 1;

/// How a child ended: its exit status, or the signal that killed it. It stays a zombie until [`reap`].
pub fn ending(pidfd: i32) -> (bool, i32) {
    let mut info = [0i32; 32];
    call(arch::WAITID, [P_PIDFD, pidfd as u64, info.as_mut_ptr() as u64, WEXITED | WNOWAIT, 0, 0]);
    // siginfo_t of SIGCHLD: signal, errno, code, padding, pid, user, status.
    (info[2] == CLD_EXITED, info[6])
}

/// Lets a child that ended be forgotten.
pub fn reap(pidfd: i32) {
    call(arch::WAITID, [P_PIDFD, pidfd as u64, 0, WEXITED, 0, 0]);
}

const O_RDONLY_CLOEXEC: u64 = 0o2000000;

/// Opens a file for reading.
pub fn open(directory: i32, name: &core::ffi::CStr) -> Option<i32> {
    let fd = call(arch::OPENAT, [directory as u64, name.as_ptr() as u64, O_RDONLY_CLOEXEC, 0, 0, 0]);
    (fd >= 0).then_some(fd as i32)
}

/// Closes everything else. The descriptors may be in any order.
pub fn close_all_but(mut keep: [i32; 5]) {
    keep.sort_unstable();
    let mut from = 0;
    for fd in keep.into_iter().filter(|fd| *fd >= 0) {
        if fd > from {
            call(arch::CLOSE_RANGE, [from as u64, fd as u64 - 1, 0, 0, 0, 0]);
        }
        from = fd + 1;
    }
    call(arch::CLOSE_RANGE, [from as u64, u64::from(u32::MAX), 0, 0, 0, 0]);
}

/// A `struct flock` about a whole file.
#[repr(C)]
struct FileLock {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    pid: i32,
}

const F_OFD_GETLK: u64 = 36;
const F_OFD_SETLKW: u64 = 38;
const F_RDLCK: i16 = 0;
const F_UNLCK: i16 = 2;

fn lock(fd: i32, command: u64) -> (isize, i16) {
    let mut lock = FileLock { kind: F_RDLCK, whence: 0, start: 0, length: 0, pid: 0 };
    let result = call(arch::FCNTL, [fd as u64, command, &raw mut lock as u64, 0, 0, 0]);
    (result, lock.kind)
}

/// Whether somebody holds an exclusive lock on a file (fcntl_locking(2)).
pub fn is_locked(fd: i32) -> bool {
    let (result, kind) = lock(fd, F_OFD_GETLK);
    result == 0 && kind != F_UNLCK
}

/// Waits until nobody does.
pub fn wait_unlocked(fd: i32) {
    while lock(fd, F_OFD_SETLKW).0 == EINTR {}
}

const O_WRONLY_CREAT_TRUNC_APPEND_CLOEXEC: u64 = 0o2003101;

/// Makes an empty file to append to, or empties the one that is there.
pub fn create_log(directory: i32, name: &core::ffi::CStr) -> Option<i32> {
    let arguments = [directory as u64, name.as_ptr() as u64, O_WRONLY_CREAT_TRUNC_APPEND_CLOEXEC, 0o640, 0, 0];
    let fd = call(arch::OPENAT, arguments);
    (fd >= 0).then_some(fd as i32)
}

pub fn rename(directory: i32, from: &core::ffi::CStr, to: &core::ffi::CStr) {
    call(arch::RENAMEAT, [directory as u64, from.as_ptr() as u64, directory as u64, to.as_ptr() as u64, 0, 0]);
}

const TIOCSWINSZ: u64 = 0x5414;

/// Sets a terminal's size.
pub fn resize(terminal: i32, rows: u16, columns: u16) {
    let size = [rows, columns, 0, 0];
    call(arch::IOCTL, [terminal as u64, TIOCSWINSZ, size.as_ptr() as u64, 0, 0, 0]);
}

/// Ignores a signal.
pub fn ignore(signal: u64) {
    // struct sigaction: handler (1 is SIG_IGN), flags, restorer, mask.
    let action = [1u64, 0, 0, 0];
    call(arch::RT_SIGACTION, [signal, action.as_ptr() as u64, 0, 8, 0, 0]);
}

/// Lets others go first that wait for this processor.
pub fn step_back() {
    call(arch::SCHED_YIELD, [0; 6]);
}

const AT_EMPTY_PATH: u64 = 0x1000;

/// Becomes another program, whose arguments and environment are at these addresses. Returns if that fails.
pub fn become_program(program: i32, arguments: u64, environment: u64) {
    call(arch::EXECVEAT, [program as u64, c"".as_ptr() as u64, arguments, environment, AT_EMPTY_PATH, 0]);
}

pub fn exit(status: u64) -> ! {
    loop {
        call(arch::EXIT_GROUP, [status, 0, 0, 0, 0, 0]);
    }
}
