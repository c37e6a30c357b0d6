//! seccomp: the system calls that a container cannot make, as a filter that the kernel runs before each call (seccomp(2)).
//!
//! The table is the reverse of Docker's profile (moby/profiles, `seccomp/default.json`), which lists the hundreds of calls that
//! are allowed: here are the few dozen that are not, each group with what it would take to have it. Calls that are newer than
//! the table do not exist, so that programs fall back to older ones.
//!
//! A filter is a binary search over the ranges of numbers that share a [`Verdict`]; one for each way into the kernel that an
//! x86-64 machine has: 64-bit and 32-bit. A third, x32, has numbers above all others and so does not exist.

use crate::program::flags::capability as cap;

/// One instruction of the kernel's filter machine (`struct sock_filter`, `Documentation/networking/filter.rst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    /// How many instructions to skip where a jump's condition is true, and where it is false.
    skip: [u8; 2],
    value: u32,
}

impl Instruction {
    pub fn bytes(self) -> [u8; 8] {
        let ([a, b], [c, d, e, f]) = (self.code.to_ne_bytes(), self.value.to_ne_bytes());
        [a, b, self.skip[0], self.skip[1], c, d, e, f]
    }
}

/// A filter, and how it is set (seccomp(2), `SECCOMP_FILTER_FLAG_…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub instructions: Vec<Instruction>,
    pub flags: u64,
}

impl Filter {
    pub fn bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(|instruction| instruction.bytes()).collect()
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    /// The call returns this error.
    Refuse(i32),
    /// Allowed if none of these bits is in the first argument.
    Without(u32),
    /// Allowed if the first argument is none of these.
    Except(&'static [u32]),
    /// Allowed if the first argument is one of these.
    Only(&'static [u32]),
}

/// Calls that are refused unless the container has one of some capabilities, by their 64-bit and 32-bit numbers.
struct Group {
    unless: &'static [u64],
    numbers: [&'static [u32]; 2],
}

/// The highest number that the table knows: `removexattrat`, the same in both ways.
const NEWEST: u32 = 466;

const GROUPS: [Group; 14] = [
    // mount umount umount2 unshare setns sethostname setdomainname quotactl fanotify_init lookup_dcookie open_tree move_mount
    // fsopen fsconfig fsmount fspick mount_setattr quotactl_fd lsm_get_self_attr lsm_set_self_attr lsm_list_modules
    Group {
        unless: &[cap::SYS_ADMIN],
        numbers: [
            &[
                165, 166, 272, 308, 170, 171, 179, 300, 212, 428, 429, 430, 431, 432, 433, 442, 443, 459, 460, 461,
            ],
            &[
                21, 22, 52, 310, 346, 74, 121, 131, 338, 253, 428, 429, 430, 431, 432, 433, 442, 443, 459, 460, 461,
            ],
        ],
    },
    // bpf
    Group {
        unless: &[cap::SYS_ADMIN, cap::BPF],
        numbers: [&[321], &[357]],
    },
    // perf_event_open
    Group {
        unless: &[cap::SYS_ADMIN, cap::PERFMON],
        numbers: [&[298], &[336]],
    },
    // syslog
    Group {
        unless: &[cap::SYS_ADMIN, cap::SYSLOG],
        numbers: [&[103], &[103]],
    },
    // open_by_handle_at: reaches files outside of the root (CVE-2014-3519)
    Group {
        unless: &[cap::DAC_READ_SEARCH],
        numbers: [&[304], &[342]],
    },
    // reboot
    Group {
        unless: &[cap::SYS_BOOT],
        numbers: [&[169], &[88]],
    },
    // chroot
    Group {
        unless: &[cap::SYS_CHROOT],
        numbers: [&[161], &[61]],
    },
    // init_module delete_module finit_module
    Group {
        unless: &[cap::SYS_MODULE],
        numbers: [&[175, 176, 313], &[128, 129, 350]],
    },
    // acct
    Group {
        unless: &[cap::SYS_PACCT],
        numbers: [&[163], &[51]],
    },
    // kcmp pidfd_getfd process_madvise
    Group {
        unless: &[cap::SYS_PTRACE],
        numbers: [&[312, 438, 440], &[349, 438, 440]],
    },
    // iopl ioperm
    Group {
        unless: &[cap::SYS_RAWIO],
        numbers: [&[172, 173], &[110, 101]],
    },
    // settimeofday clock_settime, and 32-bit stime clock_settime64
    Group {
        unless: &[cap::SYS_TIME],
        numbers: [&[164, 227], &[79, 264, 25, 404]],
    },
    // vhangup
    Group {
        unless: &[cap::SYS_TTY_CONFIG],
        numbers: [&[153], &[111]],
    },
    // mbind set_mempolicy get_mempolicy set_mempolicy_home_node
    Group {
        unless: &[cap::SYS_NICE],
        numbers: [&[237, 238, 239, 450], &[274, 276, 275, 450]],
    },
];

/// Calls that no capability gives back: keys belong to no namespace (add_key request_key keyctl); io_uring makes calls that no
/// filter sees (io_uring_setup io_uring_enter io_uring_register); userfaultfd helps to exploit the kernel; others change the whole
/// machine (swapon swapoff kexec_load kexec_file_load), look at it (sysfs ustat _sysctl), move memory of others (migrate_pages
/// move_pages), exchange the root (pivot_root), or are obsolete (uselib create_module get_kernel_syms query_module nfsservctl
/// getpmsg putpmsg afs_syscall tuxcall security vserver, 32-bit vm86old vm86).
const NEVER: [&[u32]; 2] = [
    &[
        248, 249, 250, 425, 426, 427, 323, 167, 168, 246, 320, 139, 136, 156, 256, 279, 134, 155, 174, 177, 178, 180, 181, 182,
        183, 184, 185, 236,
    ],
    &[
        286, 287, 288, 425, 426, 427, 374, 87, 115, 283, 135, 62, 149, 294, 317, 86, 217, 127, 130, 167, 169, 188, 189, 273, 113,
        166,
    ],
];

/// socket, clone, clone3 and personality.
const SPECIAL: [[u32; 4]; 2] = [[41, 56, 435, 135], [359, 120, 435, 136]];

/// AF_ALG, whose code in the kernel few need and many attacked (CVE-2026-31431), and AF_VSOCK, which leads to the hypervisor.
const FAMILIES: &[u32] = &[38, 40];
/// The `CLONE_NEW…` flags.
const NAMESPACES: u32 = 0x7e02_0000;
/// Linux and 32-bit Linux, with or without the older release numbers, and a question.
const PERSONALITIES: &[u32] = &[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// `AUDIT_ARCH_…`: the 64-bit and the 32-bit way.
const WAYS: [u32; 2] = [0xc000_003e, 0x4000_0003];

/// Where `struct seccomp_data` has the call's number, the way it came, and the low half of its first argument.
const NUMBER: u32 = 0;
const WAY: u32 = 4;
const ARGUMENT: u32 = 16;

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL: u32 = 0x8000_0000;

/// The filter for a container with these capabilities, a bit each.
pub fn filter(capabilities: u64) -> Filter {
    let [wide, narrow] = [0, 1].map(|way| search(&ranges(way, capabilities)));
    let mut filter = vec![plain(LOAD, WAY), jump(IF_EQUAL, WAYS[0], 1, 0)];
    filter.push(plain(JUMP, wide.len() as u32 + 1));
    filter.push(plain(LOAD, NUMBER));
    filter.extend(wide);
    filter.push(jump(IF_EQUAL, WAYS[1], 1, 0));
    filter.push(plain(RETURN, RETURN_KILL));
    filter.push(plain(LOAD, NUMBER));
    filter.extend(narrow);
    Filter {
        instructions: filter,
        flags: 0,
    }
}

/// What becomes of each call, by its number. The last verdict is that on all numbers from there on.
fn verdicts(way: usize, capabilities: u64) -> Vec<Verdict> {
    let has = |list: &[u64]| list.iter().any(|capability| capabilities & (1 << capability) != 0);
    let [socket, clone, clone3, personality] = SPECIAL[way];
    let mut verdicts = vec![Verdict::Allow; NEWEST as usize + 2];
    let mut judge = |number: u32, verdict| verdicts[number as usize] = verdict;
    judge(NEWEST + 1, Verdict::Refuse(libc::ENOSYS));
    judge(socket, Verdict::Except(FAMILIES));
    judge(personality, Verdict::Only(PERSONALITIES));
    if !has(&[cap::SYS_ADMIN]) {
        judge(clone, Verdict::Without(NAMESPACES));
        // Its flags are in memory, where a filter cannot look: programs go on with clone.
        judge(clone3, Verdict::Refuse(libc::ENOSYS));
    }
    let refused = GROUPS
        .iter()
        .filter(|group| !has(group.unless))
        .map(|group| group.numbers[way]);
    for number in refused.chain([NEVER[way]]).flatten() {
        judge(*number, Verdict::Refuse(libc::EPERM));
    }
    verdicts
}

/// The ranges of numbers with the same verdict, by their first numbers.
fn ranges(way: usize, capabilities: u64) -> Vec<(u32, Verdict)> {
    let mut ranges: Vec<_> = (0..).zip(verdicts(way, capabilities)).collect();
    ranges.dedup_by_key(|(_, verdict)| *verdict);
    ranges
}

/// The search for the range that the loaded number is in, and after it one copy of what each verdict takes.
fn search(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    let mut search = Search {
        code: Vec::new(),
        ends: Vec::new(),
    };
    let mut end = ranges.len() - 1;
    let mut decisions = Vec::new();
    for (_, verdict) in ranges {
        if search.ends.iter().all(|(other, _)| other != verdict) {
            search.ends.push((*verdict, end));
            let decision = decide(*verdict);
            end += decision.len();
            decisions.extend(decision);
        }
    }
    search.place(ranges);
    search.code.extend(decisions);
    search.code
}

struct Search {
    code: Vec<Instruction>,
    /// Where each verdict will be.
    ends: Vec<(Verdict, usize)>,
}

impl Search {
    /// Places the comparisons that tell ranges apart. Returns where to jump for them.
    fn place(&mut self, ranges: &[(u32, Verdict)]) -> usize {
        if let [(_, verdict)] = ranges {
            let end = self.ends.iter().find(|(other, _)| other == verdict);
            return end.expect("every verdict has a place").1;
        }
        let at = self.code.len();
        let (low, high) = ranges.split_at(ranges.len() / 2);
        self.code.push(plain(JUMP, 0));
        let (below, above) = (self.place(low), self.place(high));
        self.code[at] = jump(IF_AT_LEAST, high[0].0, above - at - 1, below - at - 1);
        at
    }
}

fn decide(verdict: Verdict) -> Vec<Instruction> {
    let (allow, refuse) = (plain(RETURN, RETURN_ALLOW), |errno: i32| {
        plain(RETURN, RETURN_ERRNO | errno as u32)
    });
    let one_of = |values: &[u32], found: Instruction, otherwise: Instruction| {
        let tests = values
            .iter()
            .enumerate()
            .map(|(n, value)| jump(IF_EQUAL, *value, values.len() - n, 0));
        [plain(LOAD, ARGUMENT)]
            .into_iter()
            .chain(tests)
            .chain([otherwise, found])
            .collect()
    };
    match verdict {
        Verdict::Allow => vec![allow],
        Verdict::Refuse(errno) => vec![refuse(errno)],
        Verdict::Without(bits) => vec![plain(LOAD, ARGUMENT), jump(IF_ANY, bits, 1, 0), allow, refuse(libc::EPERM)],
        Verdict::Except(values) => one_of(values, refuse(libc::EPERM), allow),
        Verdict::Only(values) => one_of(values, allow, refuse(libc::EPERM)),
    }
}

fn plain(code: u16, value: u32) -> Instruction {
    Instruction {
        code,
        skip: [0, 0],
        value,
    }
}

fn jump(code: u16, value: u32, yes: usize, no: usize) -> Instruction {
    let skip = [yes, no].map(|count| u8::try_from(count).expect("the table is small enough for short jumps"));
    Instruction { code, skip, value }
}

#[cfg(test)]
mod tests;
