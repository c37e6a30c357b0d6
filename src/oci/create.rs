//! `create`: everything of a container but its command.
//!
//! ```text
//! create                           init                              start
//! ──────                           ────                              ─────
//! records, cgroups
//! start init ────────────────────▶ namespaces
//! record its process               … mounts, devices
//!   ◀──────────────────────────── everything is made
//! hooks
//!   ─────────────────────────────▶ root, user
//!   ◀──────────────────────────── created
//! write the process id
//! end                              waits at the socket ◀──────────── connect
//!                                  filter, command ─── end of file ─▶ end
//! ```
//!
//! What is left if `create` is killed: init ends as long as it waits for `create`, and the records tell `delete` what there is.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::ahead::{self, Ahead};
use super::config::{Config, wrong};
use super::container::{Container, Origin, Process, Root, Status};
use super::descriptors::{give_streams, listen_at, write_pid};
use super::plan::{Asked, Facts, Plan, plan};
use super::{hooks, notify, settings, tmpfs};
use crate::cgroup::{Group, Hierarchies, Scope};
use crate::error::{Doing, Error, Result};
use crate::isolation::{self, Host};
use crate::kernel::process::Child;
use crate::kernel::signal;
use crate::program::flags::{capability, clone};
use crate::program::{Input, Program, Report, Wires};
use crate::store::{Lock, clock, write};

/// What `create` and `run` are given beside the bundle.
#[derive(Debug, Default)]
pub struct Request {
    pub id: String,
    pub bundle: PathBuf,
    pub console_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub asked: Asked,
}

impl Request {
    /// Writes the file for whoever waits for the container's process. It is in the container's namespaces by now: they will look at
    /// these first.
    pub fn tell_pid(&self, init: &Child) -> Result<()> {
        let file = self.pid_file.as_ref();
        file.map_or(Ok(()), |file| write_pid(file, init.pid.as_raw_nonzero().get()))
    }
}

/// A container that was created, whose init is our child.
pub struct Created {
    pub container: Container,
    pub init: Child,
    pub program: Program,
    pub wires: Wires,
    /// Nobody else does anything to the container until this is dropped.
    pub lock: Lock,
}

/// Creates a container. `console` is asked for what takes the other end of its terminal, and told whether it has one.
pub fn create(
    root: &Root,
    request: &Request,
    console: &mut dyn FnMut(bool) -> Result<Option<OwnedFd>>,
    warn: &dyn Fn(&str),
) -> Result<Created> {
    let bundle = std::fs::canonicalize(&request.bundle).doing(|| format!("find the bundle `{}`", request.bundle.display()))?;
    let config = Config::read(&bundle)?;
    let console = console(config.process()?.terminal)?;
    check_console(&config, console.is_some())?;
    let ahead = ahead::begin(&config)?;
    let facts = facts(root, &config, &bundle, &request.id)?;
    let plan = plan(&config, &facts, request.asked)?;
    plan.warnings.iter().for_each(|warning| warn(warning));
    let lock = root.claim(&request.id)?;
    let origin = Origin {
        bundle,
        created: clock::now(),
        cgroup: facts.cgroup.clone(),
        systemd_cgroup: root.systemd_cgroup,
        owner: rustix::process::getuid().as_raw(),
        tail: plan.program.tail(),
    };
    let container = Container::record(root, &request.id, origin, config)?;
    let made = make(&container, &facts, &plan, ahead, console, request, warn);
    let (init, wires) = made.inspect_err(|_| undo(&container))?;
    if facts.privileged {
        let _ = container.hierarchies.set(facts.hierarchies);
    }
    Ok(Created {
        container,
        init,
        program: plan.program,
        wires,
        lock,
    })
}

/// What the plan of a container depends on beside its configuration.
pub fn facts(root: &Root, config: &Config, bundle: &Path, id: &str) -> Result<Facts> {
    // Who is not root has no cgroups to make others in; a limit that is asked for is an error then.
    let privileged = isolation::may(capability::SYS_ADMIN);
    Ok(Facts {
        host: host_of(config),
        hierarchies: if privileged {
            Hierarchies::all()?
        } else {
            Hierarchies::default()
        },
        bundle: bundle.to_path_buf(),
        cgroup: cgroup_path(config, id, root.systemd_cgroup)?,
        id: id.into(),
        systemd: root.systemd_cgroup,
        privileged,
    })
}

/// What the host can give to a container with this configuration: whoever is in a user namespace of its own may have any power there.
pub fn host_of(config: &Config) -> Host {
    let host = Host::bare();
    if config.linux.has("user") {
        host.for_own_users()
    } else {
        host
    }
}

/// Takes away what a creation that failed has made. The error that it failed with is what the user wants to know.
pub fn undo(container: &Container) {
    if let Ok(Some(scope)) = container.scope() {
        let _ = scope.stop();
    }
    let _ = container.group().and_then(|group| group.remove());
    container.detach_root();
    let _ = container.forget();
}

fn make(
    container: &Container,
    facts: &Facts,
    plan: &Plan,
    ahead: Option<Ahead>,
    console: Option<OwnedFd>,
    request: &Request,
    warn: &dyn Fn(&str),
) -> Result<(Child, Wires)> {
    let scope = container.scope()?;
    // systemd takes a process in: then the cgroups are made around init, which waits for them.
    let group = if scope.is_none() {
        Some(create_group(plan, warn)?)
    } else {
        None
    };
    let mut wires = Wires::above(request.asked.preserve_fds.saturating_add(3))?;
    wires.add_release()?;
    give_all(&mut wires, container, facts, plan, console)?;
    if let Some(ahead) = ahead {
        wires.give(isolation::NETWORK, ahead.finish()?)?;
    }
    if request.asked.waits {
        wires.give(Input::Start, listen_at(&container.file("start"))?)?;
    }
    let waiting = Lock::try_acquire(&container.file("waiting"))?.ok_or_else(|| Error::conflict("somebody holds its lock"))?;
    wires.leave(waiting.as_fd().try_clone_to_owned()?)?;
    // The command starts with the default action for every signal, whatever was ignored when we were started.
    signal::set_all_default();
    let cgroup = group.map(|group| group.open_unified()).transpose()?.flatten();
    let init = wires.start(&plan.program, plan.born(&container.config), cgroup.as_ref().map(AsFd::as_fd))?;
    drop(waiting);
    if let Some(scope) = scope {
        let taken = take_in(&scope, &init, container, facts, plan, warn);
        if taken.is_err() {
            init.end();
        }
        taken?;
        wires.release();
    }
    let init = adopt(init, &plan.program, plan.namespaces.forks(), &mut wires)?;
    let met = meet(container, &plan.program, &init, &mut wires, request);
    if met.is_err() {
        init.end();
    }
    met.map(|()| (init, wires))
}

/// Makes the cgroups.
pub fn create_group(plan: &Plan, warn: &dyn Fn(&str)) -> Result<Group> {
    let group = Group::create(&plan.cgroup)?;
    group.warnings.iter().for_each(|warning| warn(warning));
    Ok(group)
}

/// Has systemd make a scope with init in it, and makes of its cgroups what else they are to be.
fn take_in(scope: &Scope, init: &Child, container: &Container, facts: &Facts, plan: &Plan, warn: &dyn Fn(&str)) -> Result<()> {
    let resources = container.config.resources();
    scope.start(init.pid.as_raw_nonzero().get() as u32, &resources, &facts.hierarchies)?;
    let mut plan = plan.clone();
    plan.cgroup.populated = true;
    create_group(&plan, warn).map(|_| ())
}

/// The process that becomes the container's: init, or the child that it has told of.
fn adopt(init: Child, program: &Program, forks: bool, wires: &mut Wires) -> Result<Child> {
    if !forks {
        return Ok(init);
    }
    wires.receive_child(init, program)
}

/// Does for init what it waits for, until the container is created.
fn meet(container: &Container, program: &Program, init: &Child, wires: &mut Wires, request: &Request) -> Result<()> {
    let pid = init.pid.as_raw_nonzero().get();
    let process = Process::find(pid)?;
    write(&container.file("process"), &process)?;
    let config = &container.config;
    if super::namespaces::Namespaces::of(&config.linux).forks() {
        wires.release();
    }
    if config.hooks.run_at_creation() {
        reach(program, wires)?;
        hooks::run(container, "prestart", &config.hooks.prestart, Status::Creating)?;
        hooks::run(container, "createRuntime", &config.hooks.create_runtime, Status::Creating)?;
        hooks::run_inside(container, "createContainer", &config.hooks.create_container, Status::Creating)?;
    }
    wires.release();
    if config.linux.seccomp.as_ref().is_some_and(|profile| profile.notifies()) {
        reach(program, wires)?;
        notify::hand_over(container, pid)?;
        wires.release();
    }
    if request.asked.waits {
        reach(program, wires)?;
        request.tell_pid(init)?;
    }
    Ok(())
}

/// Waits until init has come to where it tells so.
fn reach(program: &Program, wires: &mut Wires) -> Result<()> {
    match wires.read_report(program)? {
        Report::Reached => Ok(()),
        _ => Err(Error::system("init was killed")),
    }
}

/// Gives init all that its program uses.
fn give_all(wires: &mut Wires, container: &Container, facts: &Facts, plan: &Plan, console: Option<OwnedFd>) -> Result<()> {
    let config = &container.config;
    let terminal = config.process()?.terminal;
    match console.filter(|_| terminal) {
        Some(console) => wires.give(Input::Console, console)?,
        None => give_streams(wires)?,
    }
    for (n, (fd, (flag, ..))) in plan.namespaces.open()?.into_iter().zip(&plan.namespaces.joined).enumerate() {
        let input = if *flag == clone::NEWUSER {
            Input::Users
        } else {
            Input::Namespace(n as u8)
        };
        wires.give(input, fd)?;
    }
    if plan.namespaces.makes(clone::NEWUSER) {
        let linux = &config.linux;
        wires.give(
            Input::Users,
            isolation::make_users(&linux.uid_mappings, &linux.gid_mappings, facts.privileged)?,
        )?;
    }
    for (n, (uids, gids)) in settings::mappings(config).into_iter().enumerate() {
        let input = Input::Namespace(settings::FIRST_MAPPING + n as u8);
        wires.give(input, isolation::make_users(uids, gids, facts.privileged)?)?;
    }
    for mount in &plan.mounts {
        if let Some(input) = mount.made {
            wires.give(
                input,
                tmpfs::copy_up(&config.root(&facts.bundle), mount).doing(|| format!("`mounts[{}]`", mount.n))?,
            )?;
        }
    }
    Ok(())
}

fn check_console(config: &Config, given: bool) -> Result<()> {
    match (config.process()?.terminal, given) {
        (true, false) => Err(wrong(
            "process.terminal",
            "needs `--console-socket`, which takes the terminal's other end",
        )),
        (false, true) => Err(Error::invalid(
            "`--console-socket` is for a process with `terminal`, and this one has none",
        )),
        _ => Ok(()),
    }
}

/// Where the container's cgroups are. Nothing said is a directory of its own.
fn cgroup_path(config: &Config, id: &str, systemd: bool) -> Result<String> {
    let path = &config.linux.cgroups_path;
    if systemd {
        let scope = Scope::parse(path, id).map_err(|error| wrong("linux.cgroupsPath", error))?;
        return Ok(scope.path().to_string_lossy().into_owned());
    }
    if path.split('/').any(|part| part == "..") {
        return Err(wrong("linux.cgroupsPath", "leads upwards"));
    }
    let below = path.trim_matches('/');
    Ok(if below.is_empty() { id } else { below }.to_string())
}
