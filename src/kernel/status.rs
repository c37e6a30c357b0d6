//! What this process was given by whoever executed it.

use std::sync::OnceLock;

use super::table;

/// Sets of a process, a bit each (proc_pid_status(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The signals that are ignored: number one is bit zero.
    pub ignored: u64,
    /// The capabilities that it could have, or give.
    pub bounding: u64,
}

/// This process's, read once: what it changes later it knows. Where that cannot be read, everything may be in each set.
pub fn inherited() -> Status {
    static READ: OnceLock<Status> = OnceLock::new();
    *READ.get_or_init(|| parse(&table::read("/proc/self/status", table::PAGE).unwrap_or_default()))
}

/// The name of a process is what somebody called its executable, cut off after 15 bytes, so the whole need not be text.
fn parse(table: &[u8]) -> Status {
    let set = |name: &[u8]| {
        let mut lines = table.split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"));
        line.and_then(|set| u64::from_str_radix(std::str::from_utf8(set).ok()?.trim(), 16).ok())
    };
    Status {
        ignored: set(b"SigIgn").unwrap_or(u64::MAX),
        bounding: set(b"CapBnd").unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read() {
        let text = b"Name:\t\xd0\xba\xd0\nSigBlk:\t0000000000000004\nSigIgn:\t0000000000001000\nCapInh:\t0000000000000000\nCapBnd:\t000001ffffffffff\n";
        let expected = Status {
            ignored: 1 << (libc::SIGPIPE - 1),
            bounding: (1 << 41) - 1,
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn what_is_not_told_may_be_anything() {
        let anything = Status {
            ignored: u64::MAX,
            bounding: u64::MAX,
        };
        assert_eq!(parse(b"SigIgn:\tx\n"), anything);
    }
}
