//! Making processes: the container's init, which shares nothing with us but for the moment until it executes, the monitor,
//! which has our memory until then, and forks.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::event::PollFlags;
use rustix::process::{Pid, Signal, WaitIdOptions, WaitIdStatus, set_parent_process_death_signal, waitid};
use rustix::thread::{UnshareFlags, futex, sched_yield, unshare_unsafe};

use super::arch;
use super::descriptor::ready;

/// The flags of clone3(2) that do not fit the `int` of clone(2), as which libc declares them.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// How every process starts that [`Spawn`] makes, beside its namespaces.
pub const SPAWN_FLAGS: u64 = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64 | CLONE_CLEAR_SIGHAND;

/// What a new process gets of its own, and where it starts.
#[derive(Default)]
pub struct Spawn<'a> {
    /// `CLONE_NEW…` flags.
    pub namespaces: u64,
    /// The cgroup v2 directory it is born into.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// A child process.
pub struct Child {
    pub pid: Pid,
    pub pidfd: OwnedFd,
}

/// Whether a process has ended, though nobody may have waited for it yet.
pub fn has_ended(process: impl AsFd) -> bool {
    ready(process, PollFlags::IN).is_ok_and(|told| !told.is_empty())
}

impl Spawn<'_> {
    /// Starts `image` without arguments and environment.
    ///
    /// The child inherits the descriptors that do not close on exec, and the default action for every signal we handle.
    /// We are suspended until it has executed, and run no code in it, so this may be called with threads running.
    pub fn execute(&self, image: impl AsFd) -> io::Result<Child> {
        let mut pidfd: i32 = -1;
        // SAFETY: the structure is plain numbers, for all of which zero means "not asked for".
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.flags = SPAWN_FLAGS | self.namespaces;
        arguments.pidfd = &raw mut pidfd as u64;
        arguments.exit_signal = libc::SIGCHLD as u64;
        if let Some(cgroup) = self.cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup.as_raw_fd() as u64;
        }
        let none: [*const c_char; 1] = [ptr::null()];
        let image = image.as_fd().as_raw_fd();
        // SAFETY: CLONE_VM and CLONE_VFORK are set, no stack is; both lists end with NULL.
        let pid = unsafe { arch::clone_and_execute(&arguments, image, none.as_ptr(), none.as_ptr()) };
        if pid < 0 {
            return Err(io::Error::from_raw_os_error(-pid as i32));
        }
        let pid = Pid::from_raw(pid as i32).expect("clone3 returns a positive pid");
        // SAFETY: CLONE_PIDFD made the descriptor, and nobody else knows it.
        Ok(Child {
            pid,
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        })
    }
}

/// Has a panic end the process that it is in. musl would send the signal to the thread that it remembers, which is another process's
/// where a child has the memory of whoever made it.
pub fn end_in_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        tell(panic);
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::ABORT);
    }));
}

/// The words that this process was executed with. Rust asks glibc for them, but not other C libraries where it does not begin itself.
///
/// # Safety
/// There are so many of them, and each ends with a NUL.
pub unsafe fn arguments(count: c_int, words: *const *const c_char) -> Vec<OsString> {
    (0..usize::try_from(count).unwrap_or(0))
        .map(|n| {
            // SAFETY: as the caller says.
            let word = unsafe { CStr::from_ptr(*words.add(n)) };
            OsStr::from_bytes(word.to_bytes()).into()
        })
        .collect()
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signaled(i32),
}

impl Ending {
    /// The exit status as shells and container engines report it: 128+n for death by signal n.
    pub fn code(self) -> i32 {
        match self {
            Ending::Exited(code) => code,
            Ending::Signaled(signal) => 128 + signal,
        }
    }
}

impl Child {
    /// A child that was made for us, by its number. Until we reap it no other process has that.
    pub fn adopt(pid: i32) -> io::Result<Child> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        // The number may have come from where a container can write: one that is not ours is an error, and is not waited for, let
        // alone killed.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(rustix::process::WaitId::PidFd(pidfd.as_fd()), look)?;
        Ok(Child { pid, pidfd })
    }

    /// Kills it, if it has not ended, and reaps it.
    pub fn end(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = self.wait();
    }

    /// Waits until the process has ended and reaps it.
    pub fn wait(&self) -> io::Result<Ending> {
        loop {
            let id = rustix::process::WaitId::PidFd(self.pidfd.as_fd());
            match waitid(id, WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(ending(&status)),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn ending(status: &WaitIdStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signaled(signal.unwrap_or(libc::SIGKILL)),
    }
}

/// What [`fork`] returns.
pub enum Fork {
    Parent(Pid),
    Child,
}

/// Forks. The child is a copy of the calling thread only, so no other thread may be running.
pub fn fork() -> io::Result<Fork> {
    debug_assert_eq!(
        std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count),
        1,
        "only one thread may fork"
    );
    // SAFETY: there is one thread, so no lock is held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid::from_raw(pid).expect("fork returns a positive pid"))),
    }
}

/// Whether a process that has our memory has left it as it may be left: it has ended by itself or executes a program. Who is killed may
/// be anywhere, also within an allocation.
static IS_WHOLE: AtomicBool = AtomicBool::new(true);

/// Does something in a child process, which then ends, unless it has executed a program.
///
/// If the child is killed before that, so are we, as far as others can tell: nothing in our memory can be relied on.
///
/// Until then the child has our memory, and this thread is suspended (vfork(2)): a copy would take the kernel 40 µs for each MB, and a
/// page fault for each page that one of us touches again. It has descriptors, signal handlers and a directory of its own, and the
/// part of our stack that is not in use. What it allocates stays behind in our memory.
pub fn beside(act: impl FnOnce()) -> io::Result<Pid> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    make_beside(act, |enter, act| {
        // SAFETY: this thread is suspended as long as the child uses our memory, and the function does not return.
        made(unsafe { arch::clone_and_call(flags, ptr::null_mut(), ptr::null_mut(), enter, act) })
    })
}

/// The same, but the child has our descriptors as well, and they are what it opens and closes, until it calls [`leave_descriptors`].
///
/// Other threads go on meanwhile, and this one waits, but may be stopped: a process is stopped when all its threads are, and this may
/// take long. The child has what is this thread's own, and is for all that is done with memory this thread.
pub fn beside_with_descriptors(act: impl FnOnce()) -> io::Result<Pid> {
    /// How much of the stack is for what this thread does when it waits.
    const OURS: usize = 64 << 10;
    let is_here = AtomicU32::new(1);
    let stack = (is_here.as_ptr() as usize - OURS) & !0xf;
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    make_beside(act, |enter, act| {
        // SAFETY: the function does not return. The child has the part of this stack that is below ours, and all is there until the kernel
        // has told that it does not use our memory any more (set_tid_address(2)).
        let child = made(unsafe { arch::clone_and_call(flags, stack as *mut c_void, is_here.as_ptr(), enter, act) })?;
        while is_here.load(Ordering::SeqCst) != 0 {
            // Not by way of the C library: the place where that notes errors is the child's as well.
            let _ = futex::wait(&is_here, futex::Flags::empty(), 1, None);
        }
        Ok(child)
    })
}

/// What clone(2) returned.
fn made(child: isize) -> io::Result<i32> {
    match child {
        ..0 => Err(io::Error::from_raw_os_error(-child as i32)),
        _ => Ok(child as i32),
    }
}

/// Goes on with a copy of the descriptors that were another process's as well.
pub fn leave_descriptors() -> io::Result<()> {
    // SAFETY: no thread of this process relies on having the same as another one.
    Ok(unsafe { unshare_unsafe(UnshareFlags::FILES) }?)
}

/// Has this process be killed when the thread ends that made it, of the process `parent`, until [`outlive_parent`] is called.
pub fn die_with(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before.
    match rustix::process::getppid() == Some(parent) {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

pub fn outlive_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(None)?)
}

/// What a child begins with, and its argument.
type Enter = extern "C" fn(*mut c_void) -> c_int;

/// Makes a child by `make`, which returns when that has left our memory.
fn make_beside<F: FnOnce()>(act: F, make: impl FnOnce(Enter, *mut c_void) -> io::Result<i32>) -> io::Result<Pid> {
    extern "C" fn enter<F: FnOnce()>(act: *mut c_void) -> c_int {
        // SAFETY: it is the value below, which waits there and is taken once.
        let act = unsafe { (*act.cast::<Option<F>>()).take() };
        act.expect("taken once")();
        exit_now(0)
    }
    let mut act = Some(act);
    IS_WHOLE.store(false, Ordering::SeqCst);
    let made = make(enter::<F>, (&raw mut act).cast()).inspect_err(|_| IS_WHOLE.store(true, Ordering::SeqCst))?;
    if !IS_WHOLE.load(Ordering::SeqCst) {
        const TOLD: &[u8] = b"tinydock: a process that was starting a container was killed\n";
        // SAFETY: the pointer and the length are of the text.
        unsafe { libc::write(libc::STDERR_FILENO, TOLD.as_ptr().cast(), TOLD.len()) };
        exit_now(125);
    }
    Ok(Pid::from_raw(made).expect("clone returns a positive pid"))
}

/// Becomes `image`, without arguments and environment. Returns if that fails.
pub fn become_image(image: impl AsFd) -> io::Error {
    let none: [*const c_char; 1] = [ptr::null()];
    IS_WHOLE.store(true, Ordering::SeqCst);
    // SAFETY: both lists end with NULL; the path is a string.
    unsafe {
        let image = image.as_fd().as_raw_fd();
        libc::syscall(
            libc::SYS_execveat,
            image,
            c"".as_ptr(),
            none.as_ptr(),
            none.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    IS_WHOLE.store(false, Ordering::SeqCst);
    io::Error::last_os_error()
}

/// Ends this process with `code`, and goes on in a child, which has our memory and our descriptors, and for which nobody waits. Fails
/// where there are other threads, which would not go on.
///
/// It is a copy of nothing but the kernel's own records, so whoever waits for us is told sooner than if our memory had to be taken
/// down first.
pub fn leave_to_child(code: u8) -> io::Result<()> {
    // Who has no other threads may leave them, which does nothing (unshare(2)). One that has just ended may not be gone yet.
    // SAFETY: as the only thread this shares nothing that it could lose.
    let is_alone = || unsafe { libc::unshare(libc::CLONE_THREAD) } == 0;
    let mut waits = 0;
    while !is_alone() {
        if waits == 100 {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        waits += 1;
        sched_yield();
    }
    // Otherwise the kernel would overwrite the number of this thread when it ends, in the memory of the child (set_tid_address(2)).
    // SAFETY: no address.
    unsafe { libc::syscall(libc::SYS_set_tid_address, 0) };
    // SAFETY: there is no other thread.
    match unsafe { arch::clone_and_exit(code) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error as i32)),
    }
}

/// Ends this process at once, without running what Rust and the C library run at the end of a program: in a forked child
/// that belongs to the parent.
pub fn exit_now(status: i32) -> ! {
    IS_WHOLE.store(true, Ordering::SeqCst);
    // SAFETY: does not return.
    unsafe { libc::_exit(status) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_process_with_other_threads_does_not_end_in_a_child() {
        let (go_on, waits) = channel::<()>();
        let other = thread::spawn(move || waits.recv());
        let refused = leave_to_child(1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        drop(go_on);
        assert!(other.join().unwrap().is_err());
    }
}
