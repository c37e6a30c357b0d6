//! Signals: received through a descriptor rather than by handlers, so that no code runs where it was not called.

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::time::Duration;

use super::status;

/// Signals that are blocked and can be read from a descriptor.
pub struct Signals {
    file: File,
}

impl Signals {
    /// Blocks `signals` and opens a descriptor that becomes readable when one arrives.
    pub fn catch(signals: &[i32]) -> io::Result<Signals> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before it is used; the descriptor is new.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Signals {
                    file: File::from_raw_fd(fd),
                }),
            }
        }
    }

    /// The next signal that has arrived.
    pub fn take(&mut self) -> Option<i32> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        self.file.read_exact(&mut info).ok()?;
        Some(i32::from_ne_bytes(info[..4].try_into().expect("4 bytes")))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A signal that does not end the process, but can be waited for.
pub struct Waiting {
    set: libc::sigset_t,
    before: libc::sigset_t,
}

impl Waiting {
    /// Blocks a signal that has its default action from now on.
    pub fn begin(number: i32) -> Waiting {
        let mut waiting = MaybeUninit::<Waiting>::zeroed();
        // SAFETY: all zeros is a valid set; the calls only change the process's own signals.
        unsafe {
            let waiting = waiting.assume_init_mut();
            libc::sigemptyset(&mut waiting.set);
            libc::sigaddset(&mut waiting.set, number);
            libc::sigprocmask(libc::SIG_BLOCK, &waiting.set, &mut waiting.before);
            libc::signal(number, libc::SIG_DFL);
        }
        // SAFETY: both sets are initialised.
        unsafe { waiting.assume_init() }
    }

    /// Waits for the signal. Returns whether it arrived in time. One that arrives later acts as usual.
    pub fn arrives_within(self, time: Duration) -> bool {
        let time = libc::timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: the set and the time are valid; no details are asked for.
        unsafe { libc::sigtimedwait(&self.set, std::ptr::null_mut(), &time) > 0 }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // SAFETY: the set is the one from before.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// Sends a signal to the process that a descriptor refers to, which cannot be another one with the same id.
pub fn send(process: impl AsFd, signal: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; the kernel makes up the details of the signal itself.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), signal, none, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives every signal that is ignored, here or by whoever started us, its default action. What has a handler gets that when the
/// next program is executed.
pub fn set_all_default() {
    let ignored = status::inherited().ignored | 1 << (PIPE - 1);
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| ignored & (1 << (signal - 1)) != 0) {
        // SAFETY: no handler is installed; for signals whose action cannot be set the call fails without effect.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// What a process gets that writes to a pipe that nobody reads.
pub const PIPE: i32 = libc::SIGPIPE;

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// The names of the signals that have no number of their own in all systems.
const NAMES: [(&str, i32); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The name of a signal, such as `SIGTERM`.
pub fn name(number: i32) -> String {
    let known = NAMES.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| format!("signal {number}"), |(name, _)| format!("SIG{name}"))
}

/// The number of a signal that is given by name, with or without `SIG` and in either case, or by number (signal(7)).
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, base: i32| {
        let rest = name.strip_prefix(prefix)?;
        let offset: i32 = if rest.is_empty() { 0 } else { rest.parse().ok()? };
        Some(base + offset).filter(|number| (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(number))
    };
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    known
        .or_else(|| real_time("RTMIN", libc::SIGRTMIN()))
        .or_else(|| real_time("RTMAX", libc::SIGRTMAX()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("usr1", 10),
            ("RTMIN+3", libc::SIGRTMIN() + 3),
            ("SIGRTMAX-1", libc::SIGRTMAX() - 1),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "0", "-1", "65", "SIG", "NOPE", "RTMIN+99", "RTMAX+1", "RTMINx"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
