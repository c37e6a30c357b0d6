//! Signals: received through a descriptor rather than by handlers, so that no code runs where it was not called.

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::time::Duration;

use super::status;

/// The real-time signals, of which glibc keeps the first two for itself, and musl three (signal(7)). Who names one means what it is with
/// glibc, as Docker does, which is not what `SIGRTMIN` is here.
pub const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// A set of signals, also of those that the C library keeps for itself.
fn set(signals: &[i32]) -> libc::sigset_t {
    let bits = signals.iter().fold(0_u64, |bits, signal| bits | 1 << (signal - 1));
    // SAFETY: all zeros is a valid set, of which the kernel looks at the first 64 bits.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        (&raw mut set).cast::<u64>().write(bits);
        set
    }
}

/// Signals that are blocked and can be read from a descriptor.
pub struct Signals {
    file: File,
}

impl Signals {
    /// Blocks `signals` and opens a descriptor that becomes readable when one arrives.
    pub fn catch(signals: &[i32]) -> io::Result<Signals> {
        let set = set(signals);
        // SAFETY: the set is valid; the descriptor is new.
        unsafe {
            if libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
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
            waiting.set = set(&[number]);
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
    // As the kernel has it: the C library's function leaves out those that it keeps for itself.
    let default = [libc::SIG_DFL as u64, 0, 0, 0];
    for signal in (1..=*REAL_TIME.end()).filter(|signal| ignored & (1 << (signal - 1)) != 0) {
        // SAFETY: no handler is installed; for signals whose action cannot be set the call fails without effect.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, size_of::<u64>()) };
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
        return (1..=*REAL_TIME.end()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, base: i32| {
        let rest = name.strip_prefix(prefix)?;
        let offset: i32 = if rest.is_empty() { 0 } else { rest.parse().ok()? };
        Some(base + offset).filter(|number| REAL_TIME.contains(number))
    };
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    known
        .or_else(|| real_time("RTMIN", *REAL_TIME.start()))
        .or_else(|| real_time("RTMAX", *REAL_TIME.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_that_can_be_sent_can_be_caught() {
        let all: Vec<i32> = (1..32).chain(REAL_TIME).collect();
        let ends = std::thread::spawn(move || {
            let mut signals = Signals::catch(&all).unwrap();
            for signal in [libc::SIGUSR1, 34, 35, 64] {
                // SAFETY: it is blocked in this thread, to which it is sent.
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) };
                assert_eq!(signals.take(), Some(signal));
            }
        });
        ends.join().unwrap();
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("usr1", 10),
            ("RTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "0", "-1", "65", "SIG", "NOPE", "RTMIN+99", "RTMAX+1", "RTMINx"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
