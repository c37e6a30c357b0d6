//! The kernel's constants that programs use, with the names they have in the manual pages.

use std::fmt::Write;

/// The names of a system call's flags or constants.
#[derive(Debug)]
pub struct Names {
    /// Each name with its bits.
    bits: &'static [(&'static str, u64)],
    /// Whether the value is one of the constants rather than a set of them.
    single: bool,
}

/// Two arguments show the same flags when their values are equal; the tables are only for readers.
impl PartialEq for Names {
    fn eq(&self, _: &Names) -> bool {
        true
    }
}

impl Names {
    /// The name of one constant.
    pub fn name(&self, value: u64) -> Option<&'static str> {
        self.bits.iter().find(|(_, bits)| *bits == value).map(|(name, _)| *name)
    }

    /// The names of the bits of `value`, and what has no name in hexadecimal.
    pub fn show(&self, value: u64) -> String {
        if self.single {
            return self.name(value).map_or_else(|| value.to_string(), str::to_string);
        }
        let mut left = value;
        let mut text = String::new();
        for (name, bits) in self.bits {
            if left & bits == *bits && *bits != 0 {
                left &= !bits;
                let _ = write!(text, "{}{name}", if text.is_empty() { "" } else { "|" });
            }
        }
        match (left, text.is_empty()) {
            (0, true) => "0".into(),
            (0, false) => text,
            (_, true) => format!("{left:#x}"),
            (_, false) => format!("{text}|{left:#x}"),
        }
    }
}

/// Declares constants in a module of their own, with a table of their names under a common prefix.
macro_rules! constants {
    ($(#[$doc:meta])* $module:ident, $prefix:literal, $single:literal, { $($name:ident = $value:expr),* $(,)? }) => {
        $(#[$doc])*
        pub mod $module {
            use super::Names;
            $(pub const $name: u64 = $value as u64;)*
            pub const NAMES: &Names = &Names { bits: &[$((concat!($prefix, stringify!($name)), $name)),*], single: $single };
        }
    };
}

constants!(/** open(2). */ open, "O_", false, {
    WRONLY = libc::O_WRONLY, RDWR = libc::O_RDWR, CREAT = libc::O_CREAT, PATH = libc::O_PATH, DIRECTORY = libc::O_DIRECTORY,
    NOFOLLOW = libc::O_NOFOLLOW, NONBLOCK = libc::O_NONBLOCK, NOCTTY = libc::O_NOCTTY, CLOEXEC = libc::O_CLOEXEC,
});
constants!(/** openat2(2). */ resolve, "RESOLVE_", false, {
    NO_MAGICLINKS = libc::RESOLVE_NO_MAGICLINKS, NO_SYMLINKS = libc::RESOLVE_NO_SYMLINKS, BENEATH = libc::RESOLVE_BENEATH,
    IN_ROOT = libc::RESOLVE_IN_ROOT,
});
constants!(/** clone(2), unshare(2), setns(2). */ clone, "CLONE_", false, {
    VM = libc::CLONE_VM, VFORK = libc::CLONE_VFORK, PIDFD = libc::CLONE_PIDFD, CLEAR_SIGHAND = 1u64 << 32,
    PARENT = libc::CLONE_PARENT, NEWNS = libc::CLONE_NEWNS, NEWCGROUP = libc::CLONE_NEWCGROUP, NEWUTS = libc::CLONE_NEWUTS, NEWIPC = libc::CLONE_NEWIPC,
    NEWUSER = libc::CLONE_NEWUSER, NEWPID = libc::CLONE_NEWPID, NEWNET = libc::CLONE_NEWNET, NEWTIME = 0x80,
});
constants!(/** fsopen(2). */ fsopen, "FSOPEN_", false, { CLOEXEC = 1 });
constants!(/** fsmount(2). */ fsmount, "FSMOUNT_", false, { CLOEXEC = 1 });
constants!(/** fsconfig(2). */ fsconfig, "FSCONFIG_", true, {
    SET_FLAG = 0, SET_STRING = 1, SET_FD = 5, CMD_CREATE = 6,
});
constants!(/** mount_setattr(2), fsmount(2). */ mount_attr, "MOUNT_ATTR_", false, {
    RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8, NOATIME = 0x10, STRICTATIME = 0x20, NODIRATIME = 0x80, IDMAP = 0x10_0000,
    NOSYMFOLLOW = 0x20_0000,
});
constants!(/** mount(2): how mounts propagate between namespaces. */ propagation, "MS_", true, {
    UNBINDABLE = 1 << 17, PRIVATE = 1 << 18, SLAVE = 1 << 19, SHARED = 1 << 20,
});
constants!(/** open_tree(2). */ open_tree, "", false, {
    OPEN_TREE_CLONE = 1, OPEN_TREE_CLOEXEC = libc::O_CLOEXEC, AT_RECURSIVE = 0x8000, AT_EMPTY_PATH = 0x1000,
});
constants!(/** mount_setattr(2). */ at, "AT_", false, {
    EMPTY_PATH = 0x1000, RECURSIVE = 0x8000, SYMLINK_NOFOLLOW = 0x100,
});
constants!(/** move_mount(2). */ move_mount, "MOVE_MOUNT_", false, { F_EMPTY_PATH = 4, T_EMPTY_PATH = 0x40 });
constants!(/** umount(2). */ umount, "MNT_", false, { DETACH = 2 });
constants!(/** close_range(2). */ close_range, "CLOSE_RANGE_", false, { CLOEXEC = 4 });
constants!(/** prctl(2). */ prctl, "PR_", true, {
    SET_PDEATHSIG = 1, SET_DUMPABLE = 4, SET_KEEPCAPS = 8, CAPBSET_DROP = 24, SET_SECUREBITS = 28, SET_NO_NEW_PRIVS = 38, CAP_AMBIENT = 47,
});
constants!(/** getrlimit(2). */ rlimit, "RLIMIT_", true, {
    CPU = 0, FSIZE = 1, DATA = 2, STACK = 3, CORE = 4, RSS = 5, NPROC = 6, NOFILE = 7, MEMLOCK = 8, AS = 9, LOCKS = 10,
    SIGPENDING = 11, MSGQUEUE = 12, NICE = 13, RTPRIO = 14, RTTIME = 15,
});
constants!(/** seccomp(2). */ seccomp, "SECCOMP_", true, {
    SET_MODE_FILTER = 1,
});
constants!(/** seccomp(2). */ seccomp_flag, "SECCOMP_FILTER_FLAG_", false, {
    TSYNC = 1, LOG = 2, SPEC_ALLOW = 4, NEW_LISTENER = 8, TSYNC_ESRCH = 0x10, WAIT_KILLABLE_RECV = 0x20,
});
constants!(/** keyctl(2). */ keyctl, "KEYCTL_", true, { JOIN_SESSION_KEYRING = 1 });
constants!(/** sched(7). */ schedule, "SCHED_", true, {
    OTHER = 0, FIFO = 1, RR = 2, BATCH = 3, IDLE = 5, DEADLINE = 6,
});
constants!(/** ioctl_tty(2). */ tty, "TIOC", true, {
    SCTTY = libc::TIOCSCTTY, SWINSZ = libc::TIOCSWINSZ, SPTLCK = libc::TIOCSPTLCK, GPTPEER = libc::TIOCGPTPEER,
});
constants!(/** netdevice(7), `linux/sockios.h`. */ interface, "SIOC", true, {
    ADDRT = 0x890b, SIFFLAGS = 0x8914, SIFADDR = 0x8916, SIFNETMASK = 0x891c,
});
constants!(/** address_families(7). */ family, "AF_", true, { INET = libc::AF_INET });
constants!(/** socket(2). */ socket, "SOCK_", false, { DGRAM = libc::SOCK_DGRAM, CLOEXEC = libc::SOCK_CLOEXEC });
constants!(/** sigprocmask(2). */ sigmask, "SIG_", true, { SETMASK = 2 });
constants!(/** signal(7). */ signal, "SIG", true, { KILL = 9 });
constants!(/** capabilities(7). */ capability, "CAP_", true, {
    CHOWN = 0, DAC_OVERRIDE = 1, DAC_READ_SEARCH = 2, FOWNER = 3, FSETID = 4, KILL = 5, SETGID = 6, SETUID = 7, SETPCAP = 8,
    LINUX_IMMUTABLE = 9, NET_BIND_SERVICE = 10, NET_BROADCAST = 11, NET_ADMIN = 12, NET_RAW = 13, IPC_LOCK = 14,
    IPC_OWNER = 15, SYS_MODULE = 16, SYS_RAWIO = 17, SYS_CHROOT = 18, SYS_PTRACE = 19, SYS_PACCT = 20, SYS_ADMIN = 21,
    SYS_BOOT = 22, SYS_NICE = 23, SYS_RESOURCE = 24, SYS_TIME = 25, SYS_TTY_CONFIG = 26, MKNOD = 27, LEASE = 28,
    AUDIT_WRITE = 29, AUDIT_CONTROL = 30, SETFCAP = 31, MAC_OVERRIDE = 32, MAC_ADMIN = 33, SYSLOG = 34, WAKE_ALARM = 35,
    BLOCK_SUSPEND = 36, AUDIT_READ = 37, PERFMON = 38, BPF = 39, CHECKPOINT_RESTORE = 40,
});
