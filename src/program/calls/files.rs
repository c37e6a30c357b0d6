//! Calls about files, directories and descriptors.

use super::super::flags::{at, open, resolve, tty};
use super::*;

const EXISTS: &[u8] = &[libc::EEXIST as u8];

calls! {
    fn chdir(path: &[u8]) = "chdir" SYS_chdir [Arg::text(path)];
    fn fchdir(directory: Register) = "fchdir" SYS_fchdir [fd(directory)];
    fn chroot(path: &str) = "chroot" SYS_chroot [Arg::text(path)];
    fn symlink(target: &str, directory: Register, name: &str) = "symlinkat" SYS_symlinkat
        [Arg::text(target), fd(directory), Arg::text(name)];
    fn mkdir(directory: Fd, name: &[u8], mode: u32) = "mkdirat" SYS_mkdirat [fd(directory), Arg::text(name), Arg::Mode(mode)];
    fn write(file: Register, text: &str) = "write" SYS_write [fd(file), Arg::text(text), Arg::Int(text.len() as i64)];
    fn fchown(file: Register, user: u32, group: i64) = "fchown" SYS_fchown [fd(file), Arg::Int(user.into()), Arg::Int(group)];
    /// Gives an entry of a directory to a user and a group; a link itself, not what it points to.
    fn chown(directory: Register, name: &[u8], user: u32, group: u32) = "fchownat" SYS_fchownat
        [fd(directory), Arg::text(name), Arg::Int(user.into()), Arg::Int(group.into()), flags(at::SYMLINK_NOFOLLOW, at::NAMES)];
    /// Makes `target` a copy of `file`; the copy stays open when the user's command is executed.
    fn dup3(file: Fd, target: i32) = "dup3" SYS_dup3 [fd(file), fd(Fd::Number(target)), Arg::Int(0)];
    /// Sends a descriptor over a socket.
    fn send_descriptor(socket: Input, descriptor: Register) = "sendmsg" SYS_sendmsg
        [fd(Fd::Given(socket)), Arg::Message(descriptor), Arg::Int(0)];
    /// Unlocks the other end of a new pseudoterminal.
    fn unlock_terminal(master: Register) = "ioctl" SYS_ioctl
        [fd(master), flags(tty::SPTLCK, tty::NAMES), Arg::structure(vec![0; 4], "[0]")];
    /// Sets a terminal's size in characters.
    fn resize_terminal(terminal: Register, rows: u16, columns: u16) = "ioctl" SYS_ioctl
        [fd(terminal), flags(tty::SWINSZ, tty::NAMES), window_size(rows, columns)];
    /// Makes a terminal the controlling one of the session.
    fn control_terminal(terminal: Register) = "ioctl" SYS_ioctl [fd(terminal), flags(tty::SCTTY, tty::NAMES), Arg::Int(0)];
}

impl Program {
    /// Makes a copy of a descriptor that later steps use as `name`.
    pub fn duplicate(&mut self, file: Fd, name: &'static str, why: impl Into<Cow<'static, str>>) -> Register {
        self.keeping(call!("dup", SYS_dup), name, vec![fd(file)], why)
    }

    /// Opens `path` below `root` as a process with that root directory would: no symbolic link leads out of it.
    pub fn open_in_root(&mut self, root: Register, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        self.resolve_in_root(root, path, how, resolve::IN_ROOT | resolve::NO_MAGICLINKS, why)
    }

    /// Opens `path` below `root` if no part of it is a symbolic link.
    pub fn open_without_links(&mut self, root: Register, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        self.resolve_in_root(root, path, how, resolve::IN_ROOT | resolve::NO_SYMLINKS, why)
    }

    /// Opens `path` below `directory` if it does not lead out of it, by links or otherwise.
    pub fn open_beneath(&mut self, directory: Register, path: &[u8], how: u64, why: impl Into<Cow<'static, str>>) -> Register {
        self.resolve_in_root(directory, path, how, resolve::BENEATH | resolve::NO_MAGICLINKS, why)
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

    /// Makes a symbolic link where nothing has its name.
    pub fn symlink_missing(&mut self, target: &str, directory: Register, name: &[u8], why: impl Into<Cow<'static, str>>) {
        let arguments = vec![Arg::text(target), fd(directory), Arg::text(name)];
        self.push(call!("symlinkat", SYS_symlinkat), arguments, Success::Forgiving(EXISTS), why);
    }

    /// Makes a device or a pipe (`mode` has its kind, an `S_IF…`) where nothing has its name.
    pub fn mknod(
        &mut self,
        directory: Register,
        name: &[u8],
        mode: u32,
        (major, minor): (u32, u32),
        why: impl Into<Cow<'static, str>>,
    ) {
        let arguments = vec![fd(directory), Arg::text(name), Arg::Mode(mode), Arg::Device { major, minor }];
        self.push(call!("mknodat", SYS_mknodat), arguments, Success::Forgiving(EXISTS), why);
    }
}

/// A `struct open_how` (openat2(2)) that resolves a path below a directory as if that were the root directory.
fn open_how(how: u64, mode: u64, resolve: u64) -> Arg {
    let bytes = [how, mode, resolve].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::structure(
        bytes,
        format!(
            "{{flags: {}, resolve: {}}}",
            open::NAMES.show(how),
            resolve::NAMES.show(resolve)
        ),
    )
}

/// A `struct winsize` (ioctl_tty(2)).
fn window_size(rows: u16, columns: u16) -> Arg {
    let bytes = [rows, columns, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    Arg::structure(bytes, format!("{{{rows} rows, {columns} columns}}"))
}
