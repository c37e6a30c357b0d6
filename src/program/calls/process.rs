//! Calls about the process itself: its namespaces, its identity, what it may do, and how it is scheduled.

use super::super::flags::{
    capability, clone, close_range, keyctl, prctl, rlimit, schedule, seccomp, seccomp_flag, sigmask, signal,
};
use super::*;

/// The errors that say a kernel or an outer filter has no keys to offer.
const NO_KEYS: &[u8] = &[libc::ENOSYS as u8, libc::EPERM as u8, libc::EDQUOT as u8];

/// Sets of capabilities that a process has, a bit for each (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

calls! {
    fn unshare(namespaces: u64) = "unshare" SYS_unshare [flags(namespaces, clone::NAMES)];
    fn setns(target: Fd, namespaces: u64) = "setns" SYS_setns [fd(target), flags(namespaces, clone::NAMES)];
    fn sethostname(name: &str) = "sethostname" SYS_sethostname [Arg::text(name), Arg::Int(name.len() as i64)];
    fn setdomainname(name: &str) = "setdomainname" SYS_setdomainname [Arg::text(name), Arg::Int(name.len() as i64)];
    fn setsid() = "setsid" SYS_setsid [];
    fn umask(mask: u32) = "umask" SYS_umask [Arg::Mode(mask)];
    /// Marks all descriptors from `first` to close when the user's command is executed.
    fn close_on_exec(first: u32) = "close_range" SYS_close_range
        [Arg::Int(first.into()), Arg::Int(u32::MAX.into()), flags(close_range::CLOEXEC, close_range::NAMES)];
    /// Has the kernel send a signal when the process that started init ends.
    fn die_with_parent() = "prctl" SYS_prctl
        [flags(prctl::SET_PDEATHSIG, prctl::NAMES), flags(signal::KILL, signal::NAMES)];
    fn prctl(option: u64, value: i64) = "prctl" SYS_prctl
        [flags(option, prctl::NAMES), Arg::Int(value), Arg::Int(0), Arg::Int(0), Arg::Int(0)];
    /// Removes a capability from the bounding set.
    fn drop_capability(number: u64) = "prctl" SYS_prctl
        [flags(prctl::CAPBSET_DROP, prctl::NAMES), flags(number, capability::NAMES), Arg::Int(0), Arg::Int(0), Arg::Int(0)];
    /// Adds a capability, which must be permitted and inheritable, to the ambient set.
    fn raise_ambient(number: u64) = "prctl" SYS_prctl
        [flags(prctl::CAP_AMBIENT, prctl::NAMES), Arg::Int(libc::PR_CAP_AMBIENT_RAISE.into()), flags(number, capability::NAMES),
         Arg::Int(0), Arg::Int(0)];
    /// Limits a resource of this process (getrlimit(2)).
    fn prlimit(resource: u64, soft: u64, hard: u64) = "prlimit64" SYS_prlimit64
        [Arg::Int(0), flags(resource, rlimit::NAMES), resource_limit(soft, hard), Arg::Null];
    fn capset(sets: CapabilitySets, shown: String) = "capset" SYS_capset [capability_header(), capability_sets(sets, shown)];
    fn setgroups(groups: &[u32]) = "setgroups" SYS_setgroups [Arg::Int(groups.len() as i64), group_list(groups)];
    fn setresgid(group: u32) = "setresgid" SYS_setresgid [Arg::Int(group.into()), Arg::Int(group.into()), Arg::Int(group.into())];
    fn setresuid(user: u32) = "setresuid" SYS_setresuid [Arg::Int(user.into()), Arg::Int(user.into()), Arg::Int(user.into())];
    /// Sets as whose user, and as whose group, files are accessed and made (setfsuid(2)).
    fn setfsuid(user: u32) = "setfsuid" SYS_setfsuid [Arg::Int(user.into())];
    fn setfsgid(group: u32) = "setfsgid" SYS_setfsgid [Arg::Int(group.into())];
    /// Unblocks all signals.
    fn unblock_signals() = "rt_sigprocmask" SYS_rt_sigprocmask
        [flags(sigmask::SETMASK, sigmask::NAMES), Arg::structure(vec![0; 8], "[]"), Arg::Null, Arg::Int(8)];
    /// Blocks all signals that can be blocked.
    fn block_signals() = "rt_sigprocmask" SYS_rt_sigprocmask
        [flags(sigmask::SETMASK, sigmask::NAMES), Arg::structure(vec![0xff; 8], "~[]"), Arg::Null, Arg::Int(8)];
    fn personality(domain: u64) = "personality" SYS_personality [Arg::Int(domain as i64)];
    /// Sets the priority of this process's disk accesses: a class and a level in it (ioprio_set(2)).
    fn ioprio_set(class: u8, level: u8) = "ioprio_set" SYS_ioprio_set
        [Arg::Int(1), Arg::Int(0), Arg::Int(i64::from(class) << 13 | i64::from(level))];
    /// Sets how this process is scheduled, as a `struct sched_attr`.
    fn sched_setattr(attributes: Vec<u8>, shown: String) = "sched_setattr" SYS_sched_setattr
        [Arg::Int(0), Arg::structure(attributes, shown), Arg::Int(0)];
    /// Sets which processors this process may run on, a bit each.
    fn sched_setaffinity(mask: Vec<u8>, shown: String) = "sched_setaffinity" SYS_sched_setaffinity
        [Arg::Int(0), Arg::Int(mask.len() as i64), Arg::structure(mask, shown)];
    /// Sets where this process's memory comes from: a mode with its flags, and a bit for each node.
    fn set_mempolicy(mode: i64, nodes: Vec<u8>, shown: String) = "set_mempolicy" SYS_set_mempolicy
        [Arg::Int(mode), memory_nodes(nodes.clone(), shown), Arg::Int(nodes.len() as i64 * 8)];
}

fn memory_nodes(nodes: Vec<u8>, shown: String) -> Arg {
    if nodes.is_empty() {
        Arg::Null
    } else {
        Arg::structure(nodes, shown)
    }
}

impl Program {
    /// Joins a new session keyring, where there are keys at all.
    pub fn join_keyring(&mut self, name: &str, why: impl Into<Cow<'static, str>>) {
        let arguments = vec![flags(keyctl::JOIN_SESSION_KEYRING, keyctl::NAMES), Arg::text(name)];
        self.push(call!("keyctl", SYS_keyctl), arguments, Success::Forgiving(NO_KEYS), why);
    }

    /// Has the kernel run a filter before each system call from now on, as `struct sock_filter` instructions of 8 bytes.
    pub fn filter_calls(&mut self, how: u64, instructions: Vec<u8>, why: impl Into<Cow<'static, str>>) {
        let arguments = vec![
            flags(seccomp::SET_MODE_FILTER, seccomp::NAMES),
            flags(how, seccomp_flag::NAMES),
            Arg::Filter(instructions.into()),
        ];
        self.push(call!("seccomp", SYS_seccomp), arguments, Success::Required, why);
    }

    /// Gives the scheduling attributes their layout (`struct sched_attr`): 48 bytes.
    pub fn schedule(&mut self, attributes: &Schedule, why: impl Into<Cow<'static, str>>) {
        let mut bytes = 48u32.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&attributes.policy.to_ne_bytes());
        bytes.extend_from_slice(&attributes.flags.to_ne_bytes());
        bytes.extend_from_slice(&attributes.nice.to_ne_bytes());
        bytes.extend_from_slice(&attributes.priority.to_ne_bytes());
        for nanoseconds in [attributes.runtime, attributes.deadline, attributes.period] {
            bytes.extend_from_slice(&nanoseconds.to_ne_bytes());
        }
        let shown = format!("{{{}}}", schedule::NAMES.show(attributes.policy.into()));
        self.sched_setattr(bytes, shown, why);
    }
}

/// How a process is scheduled (sched(7)): numbers as the kernel has them, times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// A `struct __user_cap_header` for this process (capset(2), version 3).
fn capability_header() -> Arg {
    let bytes = [0x2008_0522_u32, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::structure(bytes, "{version: 3, pid: 0}")
}

/// A `struct rlimit64` (getrlimit(2)).
fn resource_limit(soft: u64, hard: u64) -> Arg {
    let show = |limit: u64| {
        if limit == u64::MAX {
            "RLIM_INFINITY".to_string()
        } else {
            limit.to_string()
        }
    };
    let bytes = [soft, hard].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::structure(bytes, format!("{{{}, {}}}", show(soft), show(hard)))
}

/// Two `struct __user_cap_data` (capset(2)): effective, permitted and inheritable, low halves then high halves.
fn capability_sets(sets: CapabilitySets, shown: String) -> Arg {
    let all = [sets.effective, sets.permitted, sets.inheritable];
    let halves = all
        .iter()
        .map(|set| *set as u32)
        .chain(all.iter().map(|set| (set >> 32) as u32));
    Arg::structure(halves.flat_map(u32::to_ne_bytes).collect(), shown)
}

fn group_list(groups: &[u32]) -> Arg {
    let bytes = groups.iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::structure(bytes, format!("{groups:?}"))
}
