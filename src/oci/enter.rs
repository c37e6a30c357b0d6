//! Entering a container that exists: the beginning of what `exec` and hooks run in it.

use std::os::fd::{AsFd, OwnedFd};

use super::container::Container;
use super::namespaces::Namespaces;
use crate::error::{Error, Result};
use crate::kernel::process::Child;
use crate::program::flags::{clone, open};
use crate::program::{Concept, Fd, Input, Program, Register, Report, Wires};

/// Writes the steps that join the namespaces of the container, whose init is given.
pub fn join(program: &mut Program, container: &Container) {
    program.concept(Concept::ProcessIsolation);
    program.unblock_signals("the command starts with no signal blocked, whatever we were started with");
    let namespaces = Namespaces::of(&container.config.linux);
    let flags = namespaces.all();
    if flags != 0 {
        program.setns(Fd::Given(Input::Target), flags, "the container's namespaces");
    }
    if namespaces.has(clone::NEWUSER) {
        program.setresgid(0, "root's group, of the container");
        program.setresuid(0, "root, of the container");
    }
}

/// Writes the steps that open the container's root, once its namespaces are joined. With its mounts we have it already; where those
/// are the host's, the root is a directory in them, and is entered as the container's own init entered it.
pub fn root(program: &mut Program, container: &Container) -> Register {
    program.concept(Concept::ProcessIsolation);
    let how = open::PATH | open::DIRECTORY;
    if Namespaces::of(&container.config.linux).has(clone::NEWNS) {
        return program.open(Fd::Cwd, b"/", how, "the container's root, which is ours now");
    }
    let path = container.config.root(&container.origin.bundle);
    let path = path.as_os_str().as_encoded_bytes();
    let root = program.open(Fd::Cwd, path, how, "the container's root, which is mounted on the host's");
    program.fchdir(root, "and not the host's");
    program.chroot(".", "becomes the root");
    root
}

/// Writes the step that has a child in the container's process namespace.
pub fn appear(program: &mut Program) {
    program.concept(Concept::ProcessIsolation);
    program.fork(
        0,
        "a child that the container's processes see, which has nothing that they have not",
    );
    program.wait(Input::Release, "whoever started it knows it, and has not just ended");
}

/// Starts a program that has a child in the container, and returns the child, which waits.
pub fn start(program: &Program, wires: &mut Wires, cgroup: Option<OwnedFd>) -> Result<Child> {
    let init = wires.start(program, 0, cgroup.as_ref().map(AsFd::as_fd))?;
    wires.receive_child(init, program)
}

/// Lets the child go on until it has executed the command.
pub fn release(program: &Program, wires: &mut Wires) -> Result<()> {
    wires.release();
    match wires.read_report(program)? {
        Report::Closed => Ok(()),
        other => Err(Error::system(format!("init reports {other:?} instead of its end"))),
    }
}
