//! `/dev`: the few devices that every program expects, on a file system of the container's own, and those that it is given.

use std::collections::BTreeSet;

use super::device::Node;
use super::{SharedMemory, Shown};
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, Program, Register};

/// Name, major and minor number of each device (the kernel's `admin-guide/devices.txt`).
pub const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Links that programs expect, with where they point.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// The group `tty`, which owns terminals.
const TTY: &str = "5";

/// Writes the steps that make the file system for `/dev`.
pub fn mount(program: &mut Program) -> Register {
    let options = [("mode", "755"), ("size", "64m")];
    program.new_mount(
        "tmpfs",
        &options,
        mount_attr::NOSUID | mount_attr::STRICTATIME,
        "a /dev of its own, in memory",
    )
}

/// Writes the steps that fill `/dev`. Returns the mount of its terminals.
pub fn fill(program: &mut Program, dev: Register, shown: &Shown) -> Register {
    for (n, (name, major, minor)) in NODES.into_iter().enumerate() {
        if let Some(usual) = &shown.usual {
            show(program, dev, name, usual[n]);
            continue;
        }
        program.mknod(
            dev,
            name.as_bytes(),
            libc::S_IFCHR | 0o666,
            (major, minor),
            "a device that every program expects",
        );
    }
    give(program, dev, shown.nodes);
    for (name, target) in LINKS {
        program.symlink(target, dev, name, "a name that programs expect");
    }
    let quiet = mount_attr::NOSUID | mount_attr::NOEXEC;
    let pts_options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", TTY)];
    let pts = program.new_mount(
        "devpts",
        &pts_options,
        quiet,
        "terminals of its own: none of the host's can be opened",
    );
    attach(program, dev, pts, "pts");
    let quiet = quiet | mount_attr::NODEV;
    let mqueue = program.new_mount("mqueue", &[], quiet, "the message queues of this IPC namespace");
    attach(program, dev, mqueue, "mqueue");
    let memory = match shown.memory {
        SharedMemory::Own(size) => {
            let size = size.map_or("64m".to_string(), |size| size.to_string());
            let options = [("mode", "1777"), ("size", size.as_str())];
            Some(program.new_mount("tmpfs", &options, quiet, "shared memory of its own"))
        }
        SharedMemory::Nothing => None,
        SharedMemory::Others(clone) => Some(clone),
    };
    if let Some(memory) = memory {
        attach(program, dev, memory, "shm");
    }
    pts
}

/// Writes the steps that make the nodes below `/dev`. There is no link in it yet that could lead elsewhere.
fn give(program: &mut Program, dev: Register, nodes: &[Node]) {
    let mut made = BTreeSet::new();
    for node in nodes {
        let Some(below) = below_dev(node) else { continue };
        for (at, _) in below.match_indices('/') {
            if made.insert(&below[..at]) {
                program.mkdir(Fd::Kept(dev), &below.as_bytes()[..at], 0o755, "where the device is to be");
            }
        }
        make_node(program, dev, below, node);
    }
}

/// The path below `/dev` where a device is to be, if it is there.
pub fn below_dev(node: &Node) -> Option<&str> {
    node.target.strip_prefix("/dev/").filter(|below| !below.is_empty())
}

/// Writes the steps that give the container a device under a name in a directory.
pub fn make_node(program: &mut Program, directory: Register, name: &str, node: &Node) {
    if let Some(clone) = node.clone {
        return show(program, directory, name, clone);
    }
    let why = format!("the host's {}, which the container is given", node.source.display());
    program.mknod(directory, name.as_bytes(), node.mode, (node.major, node.minor), why);
    if (node.user, node.group) != (0, 0) {
        program.chown(directory, name.as_bytes(), node.user, node.group, "whose it is on the host");
    }
}

/// Clones of the usual devices, in their order.
pub type UsualDevices = [Register; NODES.len()];

/// Writes the steps that clone the host's devices: the usual ones, which are returned, and those that the container is given.
pub fn open_devices(program: &mut Program, nodes: &mut [Node]) -> UsualDevices {
    program.concept(Concept::ProcessIsolation);
    let why = "a device of the host: the container's users may not make one";
    for node in nodes {
        node.clone = Some(program.open_tree(Fd::Cwd, node.source.as_os_str().as_encoded_bytes(), false, why));
    }
    NODES.map(|(name, ..)| program.open_tree(Fd::Cwd, format!("/dev/{name}").as_bytes(), false, why))
}

/// Writes the steps that show a clone of a device under a name in a directory. A link of that name would lead elsewhere.
fn show(program: &mut Program, directory: Register, name: &str, clone: Register) {
    let how = open::CREAT | open::WRONLY | open::NOFOLLOW;
    let file = program.open(Fd::Kept(directory), name.as_bytes(), how, "a file to mount it on");
    program.move_mount_onto(clone, file, format!("the host's {name}"));
}

fn attach(program: &mut Program, dev: Register, mount: Register, name: &str) {
    program.mkdir(Fd::Kept(dev), name.as_bytes(), 0o755, "where it is mounted");
    program.move_mount(mount, Fd::Kept(dev), name.as_bytes(), format!("mounted on /dev/{name}"));
}
