//! `exec`: another command in a running container. It takes the way that init took, shortened: the cgroups and the
//! namespaces are there and only have to be entered.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use super::attach::{Streams, User, pass_on, read_some, show};
use super::bring_up::{adopt, spawn};
use super::plan::{Facts, bytes, users};
use super::wires::Wires;
use super::{Container, Engine, State, cgroups};
use crate::cgroup::{Group, Resources};
use crate::error::{Doing, Error, Result};
use crate::isolation::{self, Command};
use crate::kernel::descriptor::wait_for;
use crate::kernel::process::Child;
use crate::kernel::{signal, terminal};
use crate::layer::{MountPoint, View};
use crate::program::{Input, Program};
use crate::store::Text;

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
}

impl Engine {
    /// Runs a command in a running container. Returns its exit code, or 0 at once if it is detached.
    pub fn exec(&self, container: &Container, options: &ExecOptions) -> Result<i32> {
        if matches!(container.state()?, State::Paused(_)) {
            let name = container.name();
            let paused = Error::conflict(format!("container `{name}` is paused, unpause the container before exec"));
            return Err(paused.hint(format!("`tinydock unpause {name}` lets it go on")));
        }
        let (_, started) = container.open_init()?;
        let view = View::new(&[PathBuf::from(format!("/proc/{}/root/.", started.pid))])?;
        // Now that its root is open, it is certain whose root that is.
        let (init, _) = container.open_init()?;
        let mut facts = Facts::gather(Some(view), &Resources::default());
        if container.spec.options.namespaces.has_users() {
            facts.host = facts.host.for_own_users();
        }
        let group = cgroups::existing(&self.store, container.id())?;
        let program = plan_exec(&facts, &group, container, options)?;
        let streams = Streams {
            terminal: options.terminal,
            input: options.interactive,
        };
        let mut user = (!options.detach).then(|| User::connect(streams)).transpose()?;
        let mut wires = Wires::new(options.terminal, options.interactive)?;
        wires.give(Input::Target, init)?;
        if let Some(ids) = container.users()? {
            wires.give_away(&ids)?;
        }
        // The command starts with the default action for every signal, whatever was ignored when we were started.
        signal::set_all_default();
        let child = enter(&program, &group, &mut wires)?;
        let carried = run(&program, &child, wires, user.as_mut());
        drop(user);
        match carried {
            Ok(()) if options.detach => Ok(0),
            Ok(()) => Ok(child.wait().doing(|| "wait for the command")?.code()),
            Err(error) => {
                let _ = signal::send(&child.pidfd, libc::SIGKILL);
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

/// Starts init, which enters the container's namespaces, becomes what the command is to be and has a child there: in the container,
/// nobody sees a process that has anything of the host's (CVE-2016-9962). Returns that child.
fn enter(program: &Program, group: &Group, wires: &mut Wires) -> Result<Child> {
    let init = spawn(program, 0, group, wires)?;
    adopt(&init, program, wires)
}

fn plan_exec(facts: &Facts, group: &Group, container: &Container, options: &ExecOptions) -> Result<Program> {
    let spec = &container.spec;
    let user = options.user.as_ref().unwrap_or(&spec.options.user);
    let users = users(facts.view.as_ref())?;
    let mut identity = users.find(user).doing(|| format!("user `{user}`"))?;
    users.add_groups(&mut identity, &spec.options.groups)?;
    let process = spec.options.security.process(&identity, &spec.options.ulimits)?;
    let tied = !options.detach;
    let mut program = Program::default();
    group.enter(&mut program);
    if let Some(score) = spec.options.oom_score {
        isolation::prefer_to_kill(&mut program, score);
    }
    let labels = process.labels.open(&mut program);
    let root = isolation::join(&mut program, &facts.host, spec.options.namespaces.has_users());
    let path = options.directory.as_ref().unwrap_or(&spec.options.directory).as_bytes();
    let directory = MountPoint::existing(path).open(&mut program, root, "the working directory");
    let terminal = options
        .terminal
        .then(|| isolation::join_terminal(&mut program, identity.user));
    isolation::open_streams(&mut program, terminal, directory);
    isolation::become_user(&mut program, &facts.host, &process, labels);
    isolation::leave_nothing(&mut program, tied, 3);
    isolation::restrict(&mut program, &facts.host, &process);
    isolation::appear(&mut program, tied);
    isolation::begin_session(&mut program, terminal);
    let set = [bytes(&spec.options.environment), bytes(&options.environment)].concat();
    let environment = isolation::environment(&set, &spec.hostname, &identity.home, options.terminal);
    isolation::execute(
        &mut program,
        &Command {
            arguments: bytes(&options.command),
            environment,
        },
    );
    Ok(program)
}

/// Waits until the command runs, then carries everything between it and the user until it has ended.
fn run(program: &Program, child: &Child, mut wires: Wires, user: Option<&mut User>) -> Result<()> {
    let terminal = wires.receive_terminal(program)?;
    wires.read_report(program)?;
    let Some(user) = user else { return Ok(()) };
    let mut ends = Ends::new(terminal, wires)?;
    ends.resize(user);
    let mut buffer = vec![0; 16 << 10];
    while ends.is_open() {
        let fds = [
            ends.output(0),
            ends.output(1),
            ends.input.is_some().then(|| user.input()).flatten(),
            Some(user.signals.as_fd()),
            Some(child.pidfd.as_fd()),
        ];
        let [output, errors, input, signal, ended] = wait_for(fds)?;
        for (n, ready) in [output, errors].into_iter().enumerate() {
            if ready {
                ends.show(n, &mut buffer)?;
            }
        }
        if ended && !output && !errors {
            // What else still has its streams was left in the background.
            break;
        }
        if input {
            ends.type_in(user.read(&mut buffer));
        }
        while signal && let Some(number) = user.signals.take() {
            if number == libc::SIGWINCH {
                ends.resize(user)
            } else {
                pass_on(&child.pidfd, number)
            }
        }
    }
    user.leave();
    Ok(())
}

/// Our ends of a command's streams.
struct Ends {
    terminal: bool,
    outputs: [Option<File>; 2],
    input: Option<File>,
}

impl Ends {
    fn new(terminal: Option<OwnedFd>, wires: Wires) -> Result<Ends> {
        if let Some(terminal) = terminal {
            let other = terminal.try_clone().doing(|| "copy the terminal's descriptor")?;
            return Ok(Ends {
                terminal: true,
                outputs: [Some(terminal.into()), None],
                input: Some(other.into()),
            });
        }
        let outputs = [wires.stdout.map(File::from), wires.stderr.map(File::from)];
        Ok(Ends {
            terminal: false,
            outputs,
            input: wires.stdin.map(File::from),
        })
    }

    fn is_open(&self) -> bool {
        self.outputs.iter().any(Option::is_some)
    }

    fn output(&self, n: usize) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.outputs[n].as_ref().map(AsFd::as_fd)
    }

    /// Shows what the command wrote to one of its streams.
    fn show(&mut self, n: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(file) = &mut self.outputs[n] else { return Ok(()) };
        let bytes = read_some(file, buffer);
        if bytes.is_empty() {
            self.outputs[n] = None;
            return Ok(());
        }
        show(n == 1, bytes)
    }

    /// Passes on what the user typed. No bytes mean the end of it.
    fn type_in(&mut self, bytes: &[u8]) {
        let written = self.input.as_mut().map_or(Ok(()), |input| input.write_all(bytes));
        let gone = written.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        if gone || (bytes.is_empty() && !self.terminal) {
            self.input = None;
        }
    }

    /// Gives the command's terminal the size of the user's.
    fn resize(&self, user: &User) {
        if let (true, Some(file), Some(size)) = (self.terminal, &self.outputs[0], user.window()) {
            let _ = terminal::resize(file, size);
        }
    }
}
