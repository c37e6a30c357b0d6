//! The container's root becomes the root.

use super::Host;
use crate::program::flags::{clone, propagation};
use crate::program::{Concept, Fd, Program, Register};

/// How the container's root takes the place of the host's. Either way the host's is mounted nowhere in this namespace when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// By pivot_root(2), for which the container's root must be attached somewhere. The kernel looks at every process of the host
    /// meanwhile, for whether its root is the old one.
    Pivot,
    /// The host's root is unmounted, and the container's, which was attached nowhere until then, comes in its place.
    Replace,
}

impl Exchange {
    /// How it is done on a host, for a container with users of its own or without.
    pub fn of(host: &Host, users: bool) -> Exchange {
        // Before Linux 6.15 nothing can be mounted in what is attached nowhere. What a user namespace is shown of others' mounts is
        // locked, and can only be unmounted once it has been exchanged (mount_namespaces(7)).
        match host.release >= (6, 15) && !users {
            true => Exchange::Replace,
            false => Exchange::Pivot,
        }
    }
}

/// Writes the steps that take the host's root out of this namespace, if the container's is to come in its place. What has been mounted in
/// that belongs to the namespace then.
pub fn replace_root(program: &mut Program, root: Register, exchange: Exchange) {
    if exchange == Exchange::Pivot {
        return;
    }
    program.concept(Concept::ProcessIsolation);
    let own = program.open(
        Fd::Cwd,
        b"/proc/self/ns/mnt",
        0,
        "this mount namespace: the way to where it begins",
    );
    let enter = |program: &mut Program, why: &'static str| program.setns(Fd::Kept(own), clone::NEWNS, why);
    // Nothing of this may be passed on: a host whose root is shared would lose it.
    enter(
        program,
        "the root is the uppermost now, also if ours was only what chroot(2) made of it",
    );
    program.propagate(
        propagation::PRIVATE,
        "nothing that is unmounted here is unmounted on the host",
    );
    program.unmount("/", "the host's root goes, with all that is mounted below it");
    enter(program, "the root is the empty directory now on which the host's was mounted");
    program.move_mount(root, Fd::Cwd, b"/", "the container's root comes in its place");
}

/// Writes the steps after which no path leads to the host's files.
pub fn enter_root(program: &mut Program, root: Register, exchange: Exchange) {
    program.concept(Concept::ProcessIsolation);
    match exchange {
        Exchange::Pivot => {
            program.fchdir(root, "pivot_root takes directories: this is the new root");
            program.pivot_root(
                ".",
                ".",
                "the container's root becomes the root; the host's root is mounted on top of it",
            );
            program.unmount(".", "the host's root goes, with all that is mounted below it");
        }
        Exchange::Replace => {
            program.fchdir(root, "what is mounted on the root is not what `/` means to this process");
            program.chroot(".", "until this makes it so");
        }
    }
}
