//! The last part of the way: the process becomes the user, gives up what the user does not have, and becomes the command.

use super::seccomp::Filter;
use super::{Capabilities, Command, Host, Identity, LabelFiles, Labels, Ulimit, capabilities, ulimits};
use crate::error::{Error, Result};
use crate::program::flags::{capability as cap, prctl};
use crate::program::{Concept, Fd, Input, Program, Register};

/// Who a process is, and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub identity: Identity,
    /// The bits that new files do not have.
    pub umask: u32,
    pub capabilities: Capabilities,
    /// Whether executing a file can give no privileges: set-user-ID bits and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// Which system calls it can make.
    pub filter: Option<Filter>,
    pub limits: Vec<Ulimit>,
    /// Whether its other groups cannot be set, and stay what they are (user_namespaces(7), `setgroups`).
    pub keeps_groups: bool,
    /// What security modules are told about it.
    pub labels: Labels,
}

/// Writes the steps that give the process its session.
pub fn begin_session(program: &mut Program, terminal: Option<Register>) {
    program.concept(Concept::ProcessIsolation);
    program.setsid("a session of its own, so that the terminal can be its controlling one");
    if let Some(terminal) = terminal {
        program.control_terminal(terminal, "Ctrl-C and window changes reach the command");
    }
}

/// Writes the steps that give the process its standard streams and its working directory.
pub fn open_streams(program: &mut Program, terminal: Option<Register>, directory: Register) {
    program.concept(Concept::ProcessIsolation);
    for (number, input) in [(0, Input::Stdin), (1, Input::Stdout), (2, Input::Stderr)] {
        let stream = terminal.map_or(Fd::Given(input), Fd::Kept);
        program.dup3(stream, number, "a standard stream");
    }
    program.fchdir(directory, "the working directory");
}

/// Writes the steps that give the process its identity, and take from it what it will not need but to be filtered. Its labels go to
/// files that were opened before there was any `/proc` but the host's.
pub fn become_user(program: &mut Program, host: &Host, process: &Process, labels: LabelFiles) {
    program.concept(Concept::ProcessIsolation);
    let own = process.capabilities.possible(host);
    program.umask(process.umask, "the usual mode of new files");
    ulimits::set(program, &process.limits);
    capabilities::bound(program, host, own.bounding);
    program.prctl(
        prctl::SET_KEEPCAPS,
        1,
        "changing the user must not decide about capabilities; the next steps do",
    );
    let identity = &process.identity;
    if !process.keeps_groups {
        program.setgroups(&identity.groups, "the user's other groups");
    }
    program.setresgid(identity.group, "the user's group");
    program.setresuid(identity.user, "the user");
    capabilities::set(program, own, process.for_filter());
    capabilities::raise_ambient(program, own);
    if process.no_new_privileges {
        program.prctl(prctl::SET_NO_NEW_PRIVS, 1, "no file that is executed gives privileges");
    }
    process.labels.set(program, labels);
}

impl Process {
    /// The capability that it takes to set a filter (seccomp(2)), where the command does not have it.
    fn for_filter(&self) -> u64 {
        match &self.filter {
            Some(_) if !self.no_new_privileges => 1 << cap::SYS_ADMIN & !self.capabilities.effective,
            _ => 0,
        }
    }
}

/// Checks that a filter lets through what is left to do once it is set: otherwise the process would fail, or end without a word, when
/// nobody can tell why any more.
pub fn check_filter(process: &Process) -> Result<()> {
    let Some(filter) = &process.filter else { return Ok(()) };
    let refused = |call: &str, what: &str| Err(Error::invalid(format!("does not permit `{call}`, {what}")));
    // Nobody answers before they have the descriptor on which they are asked.
    for (call, number) in [("write", libc::SYS_write), ("read", libc::SYS_read)] {
        if filter.notifies && !filter.permits(number as u32) {
            return refused(call, "with which the descriptor is handed over on which the filter asks");
        }
    }
    if process.for_filter() != 0 && !filter.permits_or_asks(libc::SYS_capset as u32) {
        let what = "with which the process gives up the capability that setting the filter took";
        return refused("capset", what).map_err(|error| error.hint("with `noNewPrivileges` it takes none"));
    }
    if !filter.permits_or_asks(libc::SYS_execve as u32) {
        return refused("execve", "with which the command is executed");
    }
    Ok(())
}

/// The same for a container that waits for its start behind its filter, since somebody answers for its calls.
pub fn check_waiting(process: &Process) -> Result<()> {
    let behind = process.filter.as_ref().filter(|filter| filter.notifies);
    let calls = [("accept4", libc::SYS_accept4), ("dup3", libc::SYS_dup3)];
    match behind.and_then(|filter| calls.into_iter().find(|(_, number)| !filter.permits(*number as u32))) {
        Some((call, _)) => Err(Error::invalid(format!(
            "does not permit `{call}`, with which a container that was created takes the call that starts it"
        ))),
        None => Ok(()),
    }
}

/// Writes the steps after which the kernel refuses what the container is not trusted with. Nothing but what the filter allows can
/// follow.
pub fn restrict(program: &mut Program, host: &Host, process: &Process) {
    program.concept(Concept::ProcessIsolation);
    let Some(filter) = &process.filter else { return };
    let why = "calls that a container has no use for are refused before any code of theirs runs";
    program.filter_calls(filter.flags.into(), filter.bytes(), why);
    if filter.notifies {
        program.tell("some calls are left to another program: it needs the descriptor that the filter has");
        program.wait(Input::Release, "it has the descriptor");
    }
    if process.for_filter() != 0 {
        capabilities::set(program, process.capabilities.possible(host), 0);
    }
}

/// Writes the steps after which the command inherits only what it is given. One that is `tied` dies with whoever started it.
pub fn leave_nothing(program: &mut Program, tied: bool, first: u32) {
    program.concept(Concept::ProcessIsolation);
    if tied {
        program.die_with_parent("changing the user cleared it");
    }
    program.close_on_exec(first, "the command inherits nothing but its standard streams");
}

/// Writes the steps that execute the user's command.
pub fn execute(program: &mut Program, command: &Command) {
    program.concept(Concept::ProcessIsolation);
    program.execute(&command.candidates(), &command.arguments, &command.environment);
}
