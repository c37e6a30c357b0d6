//! Calls that make mounts, change them and attach them.

use super::super::flags::{at, fsconfig, fsmount, fsopen, mount_attr, move_mount, open_tree, propagation, umount};
use super::*;

/// How mounts are changed (mount_setattr(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MountChange {
    /// `MOUNT_ATTR_…` to set, and to clear.
    pub set: u64,
    pub clear: u64,
    /// `MS_…`, or 0 to leave the propagation as it is.
    pub propagation: u64,
    /// The user namespace whose mapping of ids the mount takes on.
    pub users: Option<Input>,
    /// Whether the mounts below it are changed as well.
    pub recursive: bool,
}

impl MountChange {
    /// Whether there is nothing to change.
    pub fn is_nothing(&self) -> bool {
        (self.set, self.clear, self.propagation, self.users) == (0, 0, 0, None)
    }
}

calls! {
    /// Sets one option of a file system that is being made.
    fn fsconfig_string(fs: Register, key: &str, value: &[u8]) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::SET_STRING, fsconfig::NAMES), Arg::text(key), Arg::text(value), Arg::Int(0)];
    /// Sets one option that has no value.
    fn fsconfig_flag(fs: Register, key: &str) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::SET_FLAG, fsconfig::NAMES), Arg::text(key), Arg::Null, Arg::Int(0)];
    /// Sets one option that is an open file.
    fn fsconfig_fd(fs: Register, key: &str, value: impl Into<Fd>) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::SET_FD, fsconfig::NAMES), Arg::text(key), Arg::Null, fd(value)];
    /// Makes the file system with the options set.
    fn fsconfig_create(fs: Register) = "fsconfig" SYS_fsconfig
        [fd(fs), flags(fsconfig::CMD_CREATE, fsconfig::NAMES), Arg::Null, Arg::Null, Arg::Int(0)];
    /// Attaches a detached mount to the path `target` below `directory`.
    fn move_mount(mount: Register, directory: Fd, target: &[u8]) = "move_mount" SYS_move_mount
        [fd(mount), Arg::text(""), fd(directory), Arg::text(target), flags(move_mount::F_EMPTY_PATH, move_mount::NAMES)];
    /// Attaches a detached mount to an open file or directory.
    fn move_mount_onto(mount: impl Into<Fd>, target: Register) = "move_mount" SYS_move_mount
        [fd(mount), Arg::text(""), fd(target), Arg::text(""),
         flags(move_mount::F_EMPTY_PATH | move_mount::T_EMPTY_PATH, move_mount::NAMES)];
    /// Changes the mount that a descriptor refers to.
    fn change_mount(mount: Fd, change: MountChange) = "mount_setattr" SYS_mount_setattr
        [fd(mount), Arg::text(""), flags(reach(change, at::EMPTY_PATH), at::NAMES), Arg::Mount(Box::new(change)), Arg::Int(32)];
    /// Changes the mount at a path.
    fn change_mount_at(path: &[u8], change: MountChange) = "mount_setattr" SYS_mount_setattr
        [fd(Fd::Cwd), Arg::text(path), flags(reach(change, 0), at::NAMES), Arg::Mount(Box::new(change)), Arg::Int(32)];
    fn pivot_root(new_root: &str, old_root: &str) = "pivot_root" SYS_pivot_root [Arg::text(new_root), Arg::text(old_root)];
    /// Detaches the mount at `path` and all below it.
    fn unmount(path: &str) = "umount2" SYS_umount2 [Arg::text(path), flags(umount::DETACH, umount::NAMES)];
}

fn reach(change: MountChange, other: u64) -> u64 {
    if change.recursive { other | at::RECURSIVE } else { other }
}

impl Program {
    /// Sets flags of the mount that a descriptor refers to, and of those below it.
    pub fn mount_setattr(&mut self, mount: Register, attributes: u64, why: impl Into<Cow<'static, str>>) {
        let change = MountChange {
            set: attributes,
            recursive: true,
            ..MountChange::default()
        };
        self.change_mount(Fd::Kept(mount), change, why);
    }

    /// Changes how all mounts of the namespace propagate.
    pub fn propagate(&mut self, kind: u64, why: impl Into<Cow<'static, str>>) {
        let change = MountChange {
            propagation: kind,
            recursive: true,
            ..MountChange::default()
        };
        self.change_mount_at(b"/", change, why);
    }

    /// Begins a file system of type `kind`.
    pub fn fsopen(&mut self, kind: &str, why: impl Into<Cow<'static, str>>) -> Register {
        let arguments = vec![Arg::text(kind), flags(fsopen::CLOEXEC, fsopen::NAMES)];
        self.keeping(call!("fsopen", SYS_fsopen), "fs", arguments, why)
    }

    /// Mounts a file system that was made; the mount is attached nowhere yet.
    pub fn fsmount(
        &mut self,
        fs: Register,
        name: impl Into<Cow<'static, str>>,
        attributes: u64,
        why: impl Into<Cow<'static, str>>,
    ) -> Register {
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

    /// Makes a file system of type `kind` with `options` and mounts it; the mount is attached nowhere yet.
    pub fn new_mount(
        &mut self,
        kind: &str,
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
        self.fsmount(fs, kind.to_string(), attributes, "mounted, but attached nowhere yet")
    }
}

/// What a change shows of itself.
pub fn show(change: &MountChange) -> String {
    let mut parts = Vec::new();
    if change.set != 0 {
        parts.push(format!("attr_set: {}", mount_attr::NAMES.show(change.set)));
    }
    if change.clear != 0 {
        parts.push(format!("attr_clr: {}", mount_attr::NAMES.show(change.clear)));
    }
    if change.propagation != 0 {
        parts.push(format!("propagation: {}", propagation::NAMES.show(change.propagation)));
    }
    if change.users.is_some() {
        parts.push("userns_fd: users".to_string());
    }
    format!("{{{}}}", parts.join(", "))
}
