//! The filter that a container has by default.
//!
//! The table is the reverse of Docker's profile (moby/profiles, `seccomp/default.json`), which lists the hundreds of calls that
//! are allowed: here are the few dozen that are not, each group with what it would take to have it. Calls that are newer than
//! the table do not exist, so that programs fall back to older ones. Nor do those of x32, a third way into the kernel, whose
//! numbers are above all others.
//!
//! `build.rs` compiles this file as well, to make the filter for the usual capabilities when tinydock is built.

use std::ops::Range;

use super::assemble::{NARROW, WIDE, Way, action};
use super::capability as cap;
use super::decision::{Condition, Decision, Rule, Test};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Calls that are refused unless the container has one of some capabilities, by their 64-bit and 32-bit numbers.
struct Group {
    unless: &'static [u64],
    numbers: [&'static [u32]; 2],
}

/// The highest number that the table knows: `removexattrat`, the same in both ways.
const NEWEST: u32 = 466;

/// Numbers below it that had no call when the table was made. Some of the 64-bit ones have been given away since.
const RESERVED: [Range<u32>; 2] = [336..424, 0..0];

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
const FAMILIES: [u64; 2] = [38, 40];
/// The `CLONE_NEW…` flags.
const NAMESPACES: u64 = 0x7e02_0000;
/// Linux and 32-bit Linux, with or without the older release numbers, and a question.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The capabilities that the filter made at build time is for: of those that it depends on, the only one that a container has
/// by default.
pub const USUAL: u64 = 1 << cap::SYS_CHROOT;

/// Whether the usual filter is right for these capabilities, a bit each.
pub fn is_usual(capabilities: u64) -> bool {
    let matters = GROUPS
        .iter()
        .flat_map(|group| group.unless)
        .fold(0, |set, number| set | 1 << number);
    (capabilities ^ USUAL) & matters == 0
}

/// What a container with these capabilities may call, both ways.
pub fn ways(capabilities: u64) -> [Way; 2] {
    [(0, WIDE), (1, NARROW)].map(|(way, architecture)| {
        let mut ranges: Vec<_> = (0..).zip(decisions(way, capabilities)).collect();
        ranges.dedup_by(|next, range| next.1 == range.1);
        Way { architecture, ranges }
    })
}

/// What becomes of each call, by its number. The last decision is that on all numbers from there on.
pub fn decisions(way: usize, capabilities: u64) -> Vec<Decision> {
    let has = |list: &[u64]| list.iter().any(|capability| capabilities & (1 << capability) != 0);
    let [socket, clone, clone3, personality] = SPECIAL[way];
    let mut decisions = vec![Decision::always(action::ALLOW); NEWEST as usize + 2];
    let mut judge = |number: u32, decision| decisions[number as usize] = decision;
    let refuse = |error| Decision::always(action::ERRNO | error);
    judge(NEWEST + 1, refuse(ENOSYS));
    for number in RESERVED[way].clone() {
        judge(number, refuse(ENOSYS));
    }
    judge(socket, unless(FAMILIES.map(equal), action::ERRNO | EPERM, action::ALLOW));
    judge(
        personality,
        unless(PERSONALITIES.map(equal), action::ALLOW, action::ERRNO | EPERM),
    );
    if !has(&[cap::SYS_ADMIN]) {
        let none = condition(Test::Masked(NAMESPACES), 0);
        judge(clone, unless([none], action::ALLOW, action::ERRNO | EPERM));
        // Its flags are in memory, where a filter cannot look: programs go on with clone.
        judge(clone3, refuse(ENOSYS));
    }
    let refused = GROUPS
        .iter()
        .filter(|group| !has(group.unless))
        .map(|group| group.numbers[way]);
    for number in refused.chain([NEVER[way]]).flatten() {
        judge(*number, refuse(EPERM));
    }
    decisions
}

/// One action if any of some conditions holds, else another.
fn unless<const N: usize>(conditions: [Condition; N], action: u32, otherwise: u32) -> Decision {
    let rule = |condition| Rule {
        conditions: vec![condition],
        action,
    };
    Decision {
        rules: conditions.map(rule).into(),
        otherwise,
    }
}

fn equal(value: u64) -> Condition {
    condition(Test::Equal, value)
}

/// A condition on the first argument, of which the kernel looks at the lower half.
fn condition(test: Test, value: u64) -> Condition {
    Condition {
        argument: 0,
        wide: false,
        test,
        value,
        not: false,
    }
}
