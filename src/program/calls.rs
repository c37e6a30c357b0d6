//! One method per system call that a program can make. Each takes typed arguments, the reason last, and returns a
//! [`Register`] where the call makes a descriptor. The manual page of the same name says what the call does.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::flags::{
    Names, at, capability, clone, close_range, family, fsconfig, fsmount, fsopen, interface, mount_attr, move_mount, open,
    open_tree, prctl, propagation, resolve, rlimit, seccomp, seccomp_filter, sigmask, signal, socket, tty, umount,
};
use super::{Argument as Arg, Call, Fd, Input, Program, Register, Success};

/// The errors after which the next candidate along PATH is tried, as execvp(3) does.
const NEXT_CANDIDATE: &[u8] = &[libc::ENOENT as u8, libc::EACCES as u8, libc::ENOTDIR as u8];
const EXISTS: &[u8] = &[libc::EEXIST as u8];

/// Names a system call as the manual does, with its number.
macro_rules! call {
    ($name:literal, $number:ident) => {
        Call {
            name: $name,
            number: libc::$number as u16,
        }
    };
}

/// Defines methods that make one call each: `name(typed parameters) = call(arguments)`.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $method:ident($($parameter:ident: $type:ty),*) = $name:literal $number:ident $arguments:expr;)*) => {
        impl Program {
            $($(#[$doc])*
            pub fn $method(&mut self, $($parameter: $type,)* why: impl Into<Cow<'static, str>>) {
                self.push(call!($name, $number), $arguments.into(), Success::Required, why);
            })*
        }
    };
}

fn flags(value: u64, names: Names) -> Arg {
    Arg::Flags(value, names)
}

fn fd(fd: impl Into<Fd>) -> Arg {
    Arg::Fd(fd.into())
}

calls! {
    /// Sets one option of a file system that is being made.
    fn fsconfig_string(fs: Register, key: &str, value: &[u8]) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::SET_STRING, fsconfig::NAMES), Arg::text(key), Arg::text(value), Arg::Int(0)];
    /// Sets one option that has no value.
    fn fsconfig_flag(fs: Register, key: &str) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::SET_FLAG, fsconfig::NAMES), Arg::text(key), Arg::Null, Arg::Int(0)];
    /// Makes the file system with the options set.
    fn fsconfig_create(fs: Register) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::CMD_CREATE, fsconfig::NAMES), Arg::Null, Arg::Null, Arg::Int(0)];
    /// Attaches a detached mount to the path `target` below `directory`.
    fn move_mount(mount: Register, directory: Fd, target: &[u8]) = "move_mount" SYS_move_mount
        [fd(mount), Arg::text(""), fd(directory), Arg::text(target), flags(move_mount::F_EMPTY_PATH, move_mount::NAMES)];
    /// Attaches a detached mount to an open file or directory.
    fn move_mount_onto(mount: Register, target: Register) = "move_mount" SYS_move_mount
        [fd(mount), Arg::text(""), fd(target), Arg::text(""),
         flags(move_mount::F_EMPTY_PATH | move_mount::T_EMPTY_PATH, move_mount::NAMES)];
    /// Changes the flags of the mount that a descriptor refers to, and of those below it.
    fn mount_setattr(mount: Register, attributes: u64) = "mount_setattr" SYS_mount_setattr
        [fd(mount), Arg::text(""), flags(at::EMPTY_PATH | at::RECURSIVE, at::NAMES), mount_attributes(attributes, 0), Arg::Int(32)];
    /// Changes how all mounts of the namespace propagate.
    fn propagate(kind: u64) = "mount_setattr" SYS_mount_setattr
        [fd(Fd::Cwd), Arg::text("/"), flags(at::RECURSIVE, at::NAMES), mount_attributes(0, kind), Arg::Int(32)];
    fn pivot_root(new_root: &str, old_root: &str) = "pivot_root" SYS_pivot_root [Arg::text(new_root), Arg::text(old_root)];
    /// Detaches the mount at `path` and all below it.
    fn unmount(path: &str) = "umount2" SYS_umount2 [Arg::text(path), flags(umount::DETACH, umount::NAMES)];
    fn chdir(path: &[u8]) = "chdir" SYS_chdir [Arg::text(path)];
    fn fchdir(directory: Register) = "fchdir" SYS_fchdir [fd(directory)];
    fn chroot(path: &str) = "chroot" SYS_chroot [Arg::text(path)];
    fn unshare(namespaces: u64) = "unshare" SYS_unshare [flags(namespaces, clone::NAMES)];
    fn setns(target: Fd, namespaces: u64) = "setns" SYS_setns [fd(target), flags(namespaces, clone::NAMES)];
    fn sethostname(name: &str) = "sethostname" SYS_sethostname [Arg::text(name), Arg::Int(name.len() as i64)];
    fn setsid() = "setsid" SYS_setsid [];
    fn umask(mask: u32) = "umask" SYS_umask [Arg::Mode(mask)];
    /// Makes a character device.
    fn mknod(directory: Register, name: &str, major: u32, minor: u32) = "mknodat" SYS_mknodat
        [fd(directory), Arg::text(name), Arg::Mode(libc::S_IFCHR | 0o666), Arg::Device { major, minor }];
    fn symlink(target: &str, directory: Register, name: &str) = "symlinkat" SYS_symlinkat
        [Arg::text(target), fd(directory), Arg::text(name)];
    fn mkdir(directory: Fd, name: &[u8], mode: u32) = "mkdirat" SYS_mkdirat [fd(directory), Arg::text(name), Arg::Mode(mode)];
    fn write(file: Register, text: &str) = "write" SYS_write [fd(file), Arg::text(text), Arg::Int(text.len() as i64)];
    fn fchown(file: Register, user: u32, group: i64) = "fchown" SYS_fchown [fd(file), Arg::Int(user.into()), Arg::Int(group)];
    fn set_interface_up(socket: Register, name: &str) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFFLAGS, interface::NAMES), interface_flags(name)];
    fn set_interface_address(socket: Register, name: &str, address: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFADDR, interface::NAMES), interface_address(name, address)];
    fn set_interface_mask(socket: Register, name: &str, mask: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFNETMASK, interface::NAMES), interface_address(name, mask)];
    fn add_default_route(socket: Register, gateway: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::ADDRT, interface::NAMES), default_route(gateway)];
    /// Makes `target` a copy of `file`; the copy stays open when the user's command is executed.
    fn dup3(file: Fd, target: i32) = "dup3" SYS_dup3 [fd(file), fd(Fd::Number(target)), Arg::Int(0)];
    /// Sends a descriptor over a socket.
    fn send_descriptor(socket: Input, descriptor: Register) = "sendmsg" SYS_sendmsg
        [fd(Fd::Given(socket)), Arg::Message(descriptor), Arg::Int(0)];
    /// Unlocks the other end of a new pseudoterminal.
    fn unlock_terminal(master: Register) = "ioctl" SYS_ioctl
        [fd(master), flags(tty::SPTLCK, tty::NAMES), Arg::Struct(vec![0; 4], "[0]".into())];
    /// Makes a terminal the controlling one of the session.
    fn control_terminal(terminal: Register) = "ioctl" SYS_ioctl [fd(terminal), flags(tty::SCTTY, tty::NAMES), Arg::Int(0)];
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
    /// Has the kernel run a filter before each system call from now on, as `struct sock_filter` instructions of 8 bytes.
    fn filter_calls(options: u64, instructions: Vec<u8>) = "seccomp" SYS_seccomp
        [flags(seccomp::SET_MODE_FILTER, seccomp::NAMES), flags(options, seccomp_filter::NAMES), Arg::Filter(instructions)];
    /// Limits a resource of this process (getrlimit(2)).
    fn prlimit(resource: u64, soft: u64, hard: u64) = "prlimit64" SYS_prlimit64
        [Arg::Int(0), flags(resource, rlimit::NAMES), resource_limit(soft, hard), Arg::Null];
    /// Sets the permitted and the effective set to `set`, a bit per capability, and the inheritable set to nothing.
    fn capset(set: u64, shown: String) = "capset" SYS_capset [capability_header(), capability_sets(set, shown)];
    fn setgroups(groups: &[u32]) = "setgroups" SYS_setgroups [Arg::Int(groups.len() as i64), group_list(groups)];
    fn setresgid(group: u32) = "setresgid" SYS_setresgid [Arg::Int(group.into()), Arg::Int(group.into()), Arg::Int(group.into())];
    fn setresuid(user: u32) = "setresuid" SYS_setresuid [Arg::Int(user.into()), Arg::Int(user.into()), Arg::Int(user.into())];
    /// Unblocks all signals.
    fn unblock_signals() = "rt_sigprocmask" SYS_rt_sigprocmask
        [flags(sigmask::SETMASK, sigmask::NAMES), Arg::Struct(vec![0; 8], "[]".into()), Arg::Null, Arg::Int(8)];
}

impl Program {
    /// Makes a call whose result later steps use as `name`.
    fn keeping(&mut self, call: Call, name: &'static str, arguments: Vec<Arg>, why: impl Into<Cow<'static, str>>) -> Register {
        self.push(call, arguments, Success::Required, why);
        self.keep(name)
    }

    /// Begins a file system of type `kind`.
    pub fn fsopen(&mut self, kind: &'static str, why: impl Into<Cow<'static, str>>) -> Register {
        let arguments = vec![Arg::text(kind), flags(fsopen::CLOEXEC, fsopen::NAMES)];
        self.keeping(call!("fsopen", SYS_fsopen), "fs", arguments, why)
    }

    /// Mounts a file system that was made; the mount is attached nowhere yet.
    pub fn fsmount(&mut self, fs: Register, name: &'static str, attributes: u64, why: impl Into<Cow<'static, str>>) -> Register {
        let arguments = vec![
            fd(fs),
            flags(fsmount::CLOEXEC, fsmount::NAMES),
            flags(attributes, mount_attr::NAMES),
        ];
        self.keeping(call!("fsmount", SYS_fsmount), name, arguments, why)
    }

    /// Clones the mount at `path` below `directory`, with all below it where `recursive`; the clone is attached nowhere.
    pub fn open_tree(
        &mut self,
        directory: impl Into<Fd>,
        path: &[u8],
        recursive: bool,
        why: impl Into<Cow<'static, str>>,
    ) -> Register {
        let mut how = open_tree::OPEN_TREE_CLONE | open_tree::OPEN_TREE_CLOEXEC;
        if recursive {
            how |= open_tree::AT_RECURSIVE;
        }
        if path.is_empty() {
            how |= open_tree::AT_EMPTY_PATH;
        }
        let arguments = vec![fd(directory), Arg::text(path), flags(how, open_tree::NAMES)];
        self.keeping(call!("open_tree", SYS_open_tree), "tree", arguments, why)
    }

    /// Opens `path` below `root` as a process with that root directory would: no symbolic link leads out of it.
    pub fn open_in_root(&mut self, root: Register, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        self.resolve_in_root(root, path, how, resolve::IN_ROOT | resolve::NO_MAGICLINKS, why)
    }

    /// Opens `path` below `root` if no part of it is a symbolic link.
    pub fn open_without_links(&mut self, root: Register, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        self.resolve_in_root(root, path, how, resolve::IN_ROOT | resolve::NO_SYMLINKS, why)
    }

    fn resolve_in_root(
        &mut self,
        root: Register,
        path: &[u8],
        how: u64,
        resolve: u64,
        why: impl Into<Cow<'static, str>>,
    ) -> Register {
        let mode = if how & open::CREAT != 0 { 0o644 } else { 0 };
        let path = if path.is_empty() { b"." } else { path };
        let arguments = vec![
            fd(root),
            Arg::text(path),
            open_how(how | open::CLOEXEC, mode, resolve),
            Arg::Int(24),
        ];
        self.keeping(call!("openat2", SYS_openat2), "target", arguments, why)
    }

    pub fn open(&mut self, directory: Fd, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        let mode = if how & open::CREAT != 0 { 0o600 } else { 0 };
        let arguments = vec![
            fd(directory),
            Arg::text(path),
            flags(how | open::CLOEXEC, open::NAMES),
            Arg::Mode(mode),
        ];
        self.keeping(call!("openat", SYS_openat), "file", arguments, why)
    }

    /// Opens a socket through which interfaces are configured (netdevice(7)).
    pub fn internet_socket(&mut self, why: impl Into<Cow<'static, str>>) -> Register {
        let kind = socket::DGRAM | socket::CLOEXEC;
        let arguments = vec![flags(family::INET, family::NAMES), flags(kind, socket::NAMES), Arg::Int(0)];
        self.keeping(call!("socket", SYS_socket), "socket", arguments, why)
    }

    /// Opens the other end of a pseudoterminal, without a path (ioctl_tty(2), `TIOCGPTPEER`).
    pub fn terminal_peer(&mut self, master: Register, why: impl Into<Cow<'static, str>>) -> Register {
        let arguments = vec![
            fd(master),
            flags(tty::GPTPEER, tty::NAMES),
            flags(open::RDWR | open::NOCTTY | open::CLOEXEC, open::NAMES),
        ];
        self.keeping(call!("ioctl", SYS_ioctl), "terminal", arguments, why)
    }

    /// Makes a directory where there is none.
    pub fn mkdir_missing(&mut self, directory: Fd, name: &[u8], why: impl Into<Cow<'static, str>>) {
        let arguments = vec![fd(directory), Arg::text(name), Arg::Mode(0o755)];
        self.push(call!("mkdirat", SYS_mkdirat), arguments, Success::Forgiving(EXISTS), why);
    }

    /// Makes a file system of type `kind` with `options` and mounts it; the mount is attached nowhere yet.
    pub fn new_mount(
        &mut self,
        kind: &'static str,
        options: &[(&str, &str)],
        attributes: u64,
        why: impl Into<Cow<'static, str>>,
    ) -> Register {
        let fs = self.fsopen(kind, why);
        for (key, value) in options {
            match *value {
                "" => self.fsconfig_flag(fs, key, "an option of it"),
                value => self.fsconfig_string(fs, key, value.as_bytes(), "an option of it"),
            }
        }
        self.fsconfig_create(fs, "make it");
        self.fsmount(fs, kind, attributes, "mounted, but attached nowhere yet")
    }

    /// Has a copy of init, a child of whoever started init, take the steps that follow.
    pub fn fork(&mut self, why: impl Into<Cow<'static, str>>) {
        let flags = flags(clone::PARENT, clone::NAMES);
        let arguments = vec![flags, Arg::Null, Arg::Null, Arg::Null, Arg::Int(0)];
        self.push(call!("clone", SYS_clone), arguments, Success::Forking, why);
    }

    /// Waits for a byte.
    pub fn wait(&mut self, input: Input, why: impl Into<Cow<'static, str>>) {
        let arguments = vec![fd(Fd::Given(input)), Arg::Buffer(1), Arg::Int(1)];
        self.push(call!("read", SYS_read), arguments, Success::Awaiting, why);
    }

    /// Executes the first of `candidates` that exists and can be executed. Nothing follows it.
    pub fn execute(&mut self, candidates: &[Vec<u8>], arguments: &[Vec<u8>], environment: &[Vec<u8>]) {
        for (n, candidate) in candidates.iter().enumerate() {
            let last = n + 1 == candidates.len();
            let success = if last {
                Success::Trying(&[])
            } else {
                Success::Trying(NEXT_CANDIDATE)
            };
            let why = if n == 0 {
                "become the user's command"
            } else {
                "the command may be the next one along PATH"
            };
            let list = vec![
                Arg::text(candidate),
                Arg::List(arguments.to_vec()),
                Arg::List(environment.to_vec()),
            ];
            self.push(call!("execve", SYS_execve), list, success, why);
        }
    }
}

/// A `struct mount_attr` (mount_setattr(2)): attributes to set, attributes to clear, propagation, user namespace.
fn mount_attributes(set: u64, propagation: u64) -> Arg {
    let bytes = [set, 0, propagation, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    let shown = match propagation {
        0 => format!("{{attr_set: {}}}", mount_attr::NAMES.show(set)),
        kind => format!("{{propagation: {}}}", propagation::NAMES.show(kind)),
    };
    Arg::Struct(bytes, shown)
}

/// A `struct open_how` (openat2(2)) that resolves a path below a directory as if that were the root directory.
fn open_how(how: u64, mode: u64, resolve: u64) -> Arg {
    let bytes = [how, mode, resolve].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::Struct(
        bytes,
        format!(
            "{{flags: {}, resolve: {}}}",
            open::NAMES.show(how),
            resolve::NAMES.show(resolve)
        ),
    )
}

/// A `struct __user_cap_header` for this process (capset(2), version 3).
fn capability_header() -> Arg {
    let bytes = [0x2008_0522_u32, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::Struct(bytes, "{version: 3, pid: 0}".into())
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
    Arg::Struct(bytes, format!("{{{}, {}}}", show(soft), show(hard)))
}

/// Two `struct __user_cap_data` (capset(2)): effective, permitted and inheritable, low halves then high halves.
fn capability_sets(set: u64, shown: String) -> Arg {
    let (low, high) = (set as u32, (set >> 32) as u32);
    let bytes = [low, low, 0, high, high, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::Struct(bytes, shown)
}

/// A `struct ifreq` (netdevice(7)): a name in 16 bytes, then a value in 24.
fn interface_request(name: &str, value: &[u8], shown: String) -> Arg {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes.extend_from_slice(value);
    bytes.resize(40, 0);
    Arg::Struct(bytes, format!("{{{name}, {shown}}}"))
}

fn interface_flags(name: &str) -> Arg {
    interface_request(name, &(libc::IFF_UP as u16).to_ne_bytes(), "IFF_UP".into())
}

fn interface_address(name: &str, address: Ipv4Addr) -> Arg {
    interface_request(name, &socket_address(address), address.to_string())
}

/// A `struct sockaddr_in` without a port (ip(7)).
fn socket_address(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}

/// A `struct rtentry` (`linux/route.h`): after a word of padding destination, gateway and mask, then flags.
fn default_route(gateway: Ipv4Addr) -> Arg {
    let any = socket_address(Ipv4Addr::UNSPECIFIED);
    let mut bytes = [&[0; 8][..], &any, &socket_address(gateway), &any].concat();
    bytes.extend_from_slice(&(libc::RTF_UP | libc::RTF_GATEWAY).to_ne_bytes());
    bytes.resize(120, 0);
    Arg::Struct(bytes, format!("{{default via {gateway}}}"))
}

fn group_list(groups: &[u32]) -> Arg {
    let bytes = groups.iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::Struct(bytes, format!("{groups:?}"))
}
