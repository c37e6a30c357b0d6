//! The last part of the way: the container's root becomes the root, the process becomes the user, init becomes the command.

use super::{Command, Host, Identity, Seccomp, Security, Ulimit, capabilities, ulimits};
use crate::error::Result;
use crate::program::flags::prctl;
use crate::program::{Concept, Fd, Input, Program, Register};

/// Writes the steps after which no path leads to the host's files.
pub fn enter_root(program: &mut Program, root: Register) {
    program.concept(Concept::ProcessIsolation);
    program.fchdir(root, "pivot_root takes directories: this is the new root");
    program.pivot_root(
        ".",
        ".",
        "the container's root becomes the root; the host's root is mounted on top of it",
    );
    program.unmount(".", "the host's root goes, with all that is mounted below it");
}

/// Writes the steps that give the process its session, its standard streams, its working directory and its identity.
pub fn become_user(
    program: &mut Program,
    host: &Host,
    security: &Security,
    limits: &[Ulimit],
    identity: &Identity,
    directory: Register,
    terminal: Option<Register>,
) -> Result<()> {
    program.concept(Concept::ProcessIsolation);
    program.setsid("a session of its own, so that the terminal can be its controlling one");
    if let Some(terminal) = terminal {
        program.control_terminal(terminal, "Ctrl-C and window changes reach the command");
    }
    for (number, input) in [(0, Input::Stdin), (1, Input::Stdout), (2, Input::Stderr)] {
        let stream = terminal.map_or(Fd::Given(input), Fd::Kept);
        program.dup3(stream, number, "a standard stream");
    }
    program.fchdir(directory, "the working directory");
    program.umask(0o022, "the usual mode of new files");
    ulimits::set(program, limits);
    capabilities::bound(program, host, security.capabilities);
    restrict(program, security)?;
    program.prctl(
        prctl::SET_KEEPCAPS,
        1,
        "changing the user must not decide about capabilities; the next steps do",
    );
    program.setgroups(&identity.groups, "the user's other groups");
    program.setresgid(identity.group, "the user's group");
    program.setresuid(identity.user, "the user");
    capabilities::set(program, host, security.capabilities, identity.user == 0);
    Ok(())
}

/// Writes the steps after which the kernel refuses what the container is not trusted with. A filter needs `CAP_SYS_ADMIN`, so it
/// comes before the user is changed.
fn restrict(program: &mut Program, security: &Security) -> Result<()> {
    if security.no_new_privileges {
        program.prctl(prctl::SET_NO_NEW_PRIVS, 1, "no file that is executed gives privileges");
    }
    if let Some(filter) = security.seccomp.filter(security.capabilities)? {
        let why = match security.seccomp {
            Seccomp::Profile(_) => "what the container's profile says becomes of calls, before any code of theirs runs",
            _ => "calls that a container has no use for are refused before any code of theirs runs",
        };
        program.filter_calls(filter.flags.into(), filter.bytes(), why);
    }
    Ok(())
}

/// Writes the steps that execute the user's command. One that is `tied` dies with whoever started it.
pub fn execute(program: &mut Program, command: &Command, tied: bool) {
    program.concept(Concept::ProcessIsolation);
    if tied {
        program.die_with_parent("changing the user cleared it");
    }
    program.close_on_exec(3, "the command inherits nothing but its standard streams");
    program.execute(&command.candidates(), &command.arguments, &command.environment);
}
