//! `exec`: another command in a running container. It takes the way that init took, shortened: the cgroups and the
//! namespaces are there and only have to be entered.

mod ends;
mod keep;
mod tools;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::PollFlags;

use super::attach::{Left, Streams, Typed, User};
use super::bring_up::{adopt, spawn, wait_for_root};
use super::plan::{Facts, bytes, identity};
use super::spec::check_environment;
use super::wires::Wires;
use super::{Container, Engine, State, cgroups};
use crate::cgroup::Group;
use crate::error::{Doing, Error, Result};
use crate::isolation::{self, Command, Host, Identity};
use crate::kernel::descriptor::wait_to;
use crate::kernel::process::{Child, has_ended};
use crate::kernel::signal;
use crate::layer::{MountPoint, View};
use crate::program::{Input, Program};
use crate::store::Text;
use ends::Ends;
use keep::Process;

/// No fewer than what a usual command takes.
const USUAL_STEPS: usize = 96;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecOptions {
    /// Not empty.
    pub command: Vec<Text>,
    pub environment: Vec<Text>,
    /// None means the container's own.
    pub directory: Option<Text>,
    pub user: Option<String>,
    pub terminal: bool,
    pub interactive: bool,
    /// Whether to leave the command running by itself.
    pub detach: bool,
    /// Whether the command may do all that the host's root may, but for its namespaces and limits.
    pub privileged: bool,
}

impl Engine {
    /// Runs a command in a running container, until it has ended or the user leaves. If it is detached, that is at once.
    pub fn exec(&self, container: &Container, options: &ExecOptions, streams: &Streams) -> Result<Left> {
        self.exec_with(container, options, streams, None)
    }

    /// The same, with the directory of tools that only the command sees.
    fn exec_with(
        &self,
        container: &Container,
        options: &ExecOptions,
        streams: &Streams,
        tools: Option<[PathBuf; 2]>,
    ) -> Result<Left> {
        check_environment(&options.environment)?;
        let state = container.state()?;
        if matches!(state, State::Paused(_)) {
            let name = container.name();
            let paused = Error::conflict(format!("container `{name}` is paused, unpause the container before exec"));
            return Err(paused.hint(format!("`tinydock unpause {name}` lets it go on")));
        }
        let (init, started) = container.open_init_of(&state)?;
        let target = init.try_clone().doing(|| "copy a descriptor")?;
        // Whatever fails because the container ends meanwhile, that is why.
        let is_over = || has_ended(&init) || is_ending(started.pid);
        let why = |error| if is_over() { container.not_running() } else { error };
        let planned = self.plan_entering(container, options, tools.as_ref(), &init, started.pid);
        let (program, group) = planned.map_err(why)?;
        let mut user = (!options.detach).then(|| User::connect(streams)).transpose()?;
        let mut wires = Wires::new(options.terminal, options.interactive)?;
        wires.give(Input::Target, target)?;
        if let Some(ids) = container.users()? {
            wires.give_away(&ids)?;
        }
        // The command starts with the default action for every signal, whatever was ignored when we were started.
        signal::set_all_default();
        let start = || start(&program, &group, wires);
        let Some(user) = &mut user else {
            return start().map(|_| Left::Ended(0)).map_err(why);
        };
        // A command whose terminal the user may leave is another process's child, which stays with it.
        let (mut process, ends) = if options.terminal {
            keep::start(start).map_err(why)?
        } else {
            let (child, ends) = start().map_err(why)?;
            (Process::Ours(child), ends)
        };
        let carried = carry(&mut process, ends, user);
        user.leave();
        carried.inspect_err(|_| process.kill())
    }

    /// Plans how a command enters the container whose `init` has the number `pid`, when that has its root.
    fn plan_entering(
        &self,
        container: &Container,
        options: &ExecOptions,
        tools: Option<&[PathBuf; 2]>,
        init: &OwnedFd,
        pid: i32,
    ) -> Result<(Program, Group)> {
        wait_for_root(container, pid)?;
        let view = View::new(&[PathBuf::from(format!("/proc/{pid}/root/."))])?;
        // As long as it is there, nobody else has its number: that was its root.
        signal::send(init, 0).map_err(|_| container.not_running())?;
        let mut facts = Facts::without_limits(Host::bare(), view);
        if container.spec.options.namespaces.has_users() {
            facts.host = facts.host.for_own_users();
        }
        let group = cgroups::beside(&self.store, container.id(), pid)?;
        let program = plan_exec(&facts, &group, container, options, tools)?;
        Ok((program, group))
    }
}

/// Whether a process is about to end: it gives up its memory before its root and its namespaces, and has ended when all others of its
/// PID namespace have.
fn is_ending(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_err()
}

/// Starts a command, and returns when it runs.
fn start(program: &Program, group: &Group, mut wires: Wires) -> Result<(Child, Ends)> {
    let child = enter(program, group, &mut wires)?;
    let mut report = || -> Result<Option<OwnedFd>> {
        let terminal = wires.receive_terminal(program)?;
        wires.read_report(program)?;
        Ok(terminal)
    };
    let terminal = report().inspect_err(|_| {
        child.end();
    })?;
    Ok((child, Ends::new(terminal, wires)?))
}

/// Starts init, which enters the container's namespaces, becomes what the command is to be and has a child there: in the container,
/// nobody sees a process that has anything of the host's (CVE-2016-9962). Returns that child.
fn enter(program: &Program, group: &Group, wires: &mut Wires) -> Result<Child> {
    let init = spawn(program, 0, Some(group), wires)?;
    adopt(init, program, wires)
}

fn plan_exec(
    facts: &Facts,
    group: &Group,
    container: &Container,
    options: &ExecOptions,
    tools: Option<&[PathBuf; 2]>,
) -> Result<Program> {
    let spec = &container.spec;
    let user = options.user.as_ref().unwrap_or(&spec.options.user);
    let identity = identity(facts, user, &spec.options)?;
    let security = if options.privileged {
        &tools::privileged()?
    } else {
        &spec.options.security
    };
    let process = security.process(&identity, &spec.options.ulimits)?;
    let tied = !options.detach;
    let mut program = Program::with_room(USUAL_STEPS);
    group.enter(&mut program);
    if let Some(score) = spec.options.oom_score {
        isolation::prefer_to_kill(&mut program, score);
    }
    let labels = process.labels.open(&mut program);
    let tools = tools.map(|tools| tools::take(&mut program, tools));
    let mut root = isolation::join(&mut program, &facts.host, spec.options.namespaces.has_users());
    if let Some(tools) = tools {
        root = tools::show(&mut program, tools);
    }
    let path = options.directory.as_ref().unwrap_or(&spec.options.directory);
    let directory = MountPoint::existing(path.as_bytes()).open(&mut program, root, "the working directory");
    program.asks(directory, format!("enter the working directory `{path}`"));
    let terminal = options
        .terminal
        .then(|| isolation::join_terminal(&mut program, identity.user));
    isolation::open_streams(&mut program, terminal, directory);
    isolation::become_user(&mut program, &facts.host, &process, labels);
    isolation::leave_nothing(&mut program, tied, 3);
    isolation::restrict(&mut program, &facts.host, &process);
    isolation::appear(&mut program, tied);
    isolation::begin_session(&mut program, terminal);
    isolation::execute(&mut program, &command(container, options, &identity));
    Ok(program)
}

/// The command, with the container's environment and what was asked for besides.
fn command(container: &Container, options: &ExecOptions, identity: &Identity) -> Command {
    let spec = &container.spec;
    let set = [bytes(&spec.options.environment), bytes(&options.environment)].concat();
    Command {
        arguments: bytes(&options.command),
        environment: isolation::environment(&set, &spec.hostname, &identity.home, options.terminal),
    }
}

/// Carries everything between a command and the user until it has ended or the user leaves.
fn carry(process: &mut Process, mut ends: Ends, user: &mut User) -> Result<Left> {
    ends.resize(user);
    let mut buffer = vec![0; 16 << 10];
    let mut had_ended = false;
    while ends.is_open() {
        let typing = user.input().filter(|_| ends.wants_input());
        let [output, errors, pass, input, signal, ended] = wait_to([
            ends.output(0).map(|output| (output, PollFlags::IN)),
            ends.output(1).map(|output| (output, PollFlags::IN)),
            ends.full().map(|input| (input, PollFlags::OUT)),
            typing.map(|input| (input, PollFlags::IN)),
            Some((user.signals.as_fd(), PollFlags::IN)),
            Some((process.as_fd(), PollFlags::IN)),
        ])?
        .map(|ready| !ready.is_empty());
        for (n, ready) in [output, errors].into_iter().enumerate() {
            if ready {
                ends.show(n, &mut buffer)?;
            }
        }
        // It may have written and ended while the kernel looked from one to the other. What else still has its streams after that was
        // left in the background.
        if had_ended && !output && !errors {
            break;
        }
        had_ended = ended;
        if pass {
            ends.type_in(&[]);
        }
        if input {
            match user.read(&mut buffer) {
                Typed::Bytes(bytes) => ends.type_in(&bytes),
                Typed::End => ends.end_input(),
                Typed::Leave(bytes) => {
                    ends.type_in(&bytes);
                    return process.leave();
                }
            }
        }
        while signal && let Some(number) = user.signals.take() {
            if number == libc::SIGWINCH {
                ends.resize(user)
            } else {
                process.pass_on(number)
            }
        }
    }
    process.code().map(Left::Ended)
}
