//! Hooks: programs that whoever made the bundle wants to have run at points of a container's life (runtime-spec, `config.md`,
//! "POSIX-platform Hooks"). Each has the container's state on its standard input.
//!
//! | point             | when                                  | where          |
//! |-------------------|---------------------------------------|----------------|
//! | `prestart`        | everything is made, in `create`       | the host       |
//! | `createRuntime`   | the same                              | the host       |
//! | `createContainer` | the same, before the root is exchanged | the container |
//! | `startContainer`  | in `start`, before the command        | the container  |
//! | `poststart`       | in `start`, once the command runs     | the host       |
//! | `poststop`        | in `delete`                           | the host       |

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;

use super::config::Hook;
use super::container::{Container, Status};
use super::enter;
use crate::error::{Doing, Error, Result};
use crate::kernel::process::{Child, Ending};
use crate::program::{Concept, Fd, Input, Program, Wires, pipe};

/// How long is waited at once.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs the hooks of a point on the host, in order. The first that fails ends it.
pub fn run(container: &Container, point: &str, hooks: &[Hook], status: Status) -> Result<()> {
    each(container, point, hooks, status, |hook, state| {
        let mut command = Command::new(&hook.path);
        command
            .env_clear()
            .envs(hook.env.iter().filter_map(|line| line.split_once('=')))
            .current_dir(&container.origin.bundle)
            .stdin(state)
            .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?));
        if let [name, rest @ ..] = &hook.args[..] {
            command.arg0(name).args(rest);
        }
        let child = command.spawn()?;
        Child::adopt(child.id() as i32).map_err(Error::from)
    })
}

/// Runs the hooks of a point in the container's namespaces. Its init is at a place where it waits. Hooks right before the command have its
/// environment, unless they have their own.
pub fn run_inside(container: &Container, point: &str, hooks: &[Hook], status: Status) -> Result<()> {
    each(container, point, hooks, status, |hook, state| {
        let (init, _) = container.open_init()?;
        let mut program = Program::default();
        enter::join(&mut program, container);
        if point == "startContainer" {
            enter::root(&mut program, container);
        }
        for (number, input) in [(0, Input::Stdin), (1, Input::Stdout), (2, Input::Stderr)] {
            program.dup3(Fd::Given(input), number, "a standard stream");
        }
        enter::appear(&mut program);
        program.concept(Concept::ProcessIsolation);
        program.close_on_exec(3, "the hook inherits nothing but its standard streams");
        let bytes = |texts: &[String]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        let arguments = if hook.args.is_empty() {
            bytes(std::slice::from_ref(&hook.path))
        } else {
            bytes(&hook.args)
        };
        let own = container
            .config
            .process
            .as_ref()
            .map(|process| &process.env)
            .filter(|_| point == "startContainer");
        let environment = own.filter(|_| hook.env.is_empty()).unwrap_or(&hook.env);
        program.execute(&[hook.path.as_bytes().to_vec()], &arguments, &bytes(environment));
        let mut wires = Wires::new()?;
        wires.add_release()?;
        wires.give(Input::Target, init)?;
        wires.give(Input::Stdin, state)?;
        for input in [Input::Stdout, Input::Stderr] {
            wires.give(input, fcntl_dupfd_cloexec(std::io::stderr(), 3)?)?;
        }
        let child = enter::start(&program, &mut wires, None)?;
        // A child that nobody waits for would keep the container's init from ending.
        let released = enter::release(&program, &mut wires).inspect_err(|_| drop(child.wait()));
        released.map(|()| child)
    })
}

/// Starts each hook, gives it the state, and waits for it.
fn each(
    container: &Container,
    point: &str,
    hooks: &[Hook],
    status: Status,
    start: impl Fn(&Hook, OwnedFd) -> Result<Child>,
) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = serde_json::to_vec(&container.state(status)?).map_err(Error::system)?;
    for (n, hook) in hooks.iter().enumerate() {
        let doing = || format!("hook `{}` (`hooks.{point}[{n}]`)", hook.path);
        let (theirs, ours) = pipe()?;
        let child = start(hook, theirs).doing(doing)?;
        // A hook need not read it.
        let _ = File::from(ours).write_all(&state);
        wait(&child, hook.timeout).doing(doing)?;
    }
    Ok(())
}

/// Waits for a hook, and kills it when it takes too long.
fn wait(child: &Child, timeout: Option<u64>) -> Result<()> {
    // What is longer than a clock can tell is as good as no limit.
    let end = timeout.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    if let (Some(end), Some(seconds)) = (end, timeout) {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left.min(LONGEST_WAIT)).unwrap_or_default();
            match poll(&mut [PollFd::new(&child.pidfd, PollFlags::IN)], Some(&limit)) {
                Ok(0) if left > LONGEST_WAIT => {}
                Ok(0) => {
                    child.end();
                    return Err(Error::system(format!("took longer than {seconds} seconds, and was killed")));
                }
                Err(rustix::io::Errno::INTR) => {}
                ready => {
                    ready.doing(|| "wait for it")?;
                    break;
                }
            }
        }
    }
    match child.wait().doing(|| "wait for it")? {
        Ending::Exited(0) => Ok(()),
        Ending::Exited(code) => Err(Error::system(format!("exited with status {code}"))),
        Ending::Signaled(number) => Err(Error::system(format!("was killed by signal {number}"))),
    }
}
