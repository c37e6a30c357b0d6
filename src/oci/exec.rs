//! `exec`: another process in a container that runs.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::become_process::{self, Becoming};
use super::container::{Container, Status};
use super::create::host_of;
use super::descriptors::{give_streams, write_pid};
use super::process::Process;
use super::{enter, notify};
use crate::cgroup::{self, Group};
use crate::error::{Error, Result};
use crate::isolation::{self, Filter, Host, Scheduling};
use crate::kernel::process::Child;
use crate::kernel::signal;
use crate::layer::{MountPoint, View};
use crate::program::flags::open;
use crate::program::{Concept, Input, Program, Register, Report, Wires};

/// What is asked for beside the process.
#[derive(Debug, Default)]
pub struct Request {
    pub pid_file: Option<PathBuf>,
    pub preserve_fds: u32,
    pub ignore_paused: bool,
    /// A cgroup below the container's own.
    pub cgroup: Option<String>,
}

/// Starts a process in a container, and returns it once the command is executed. `console` takes the other end of its terminal.
pub fn exec(
    container: &Container,
    process: &Process,
    request: &Request,
    console: Option<OwnedFd>,
    warn: &dyn Fn(&str),
) -> Result<Child> {
    check(container, request)?;
    let (init, known) = container.open_init()?;
    let root = View::new(&[PathBuf::from(format!("/proc/{}/root/.", known.pid))])?;
    let host = host_of(&container.config);
    let mut warnings = Vec::new();
    let mut becoming = become_process::read(process, &container.config, &host, &mut warnings)?;
    become_process::add_home(&mut becoming.command, &root, process.user.uid)?;
    warnings.iter().for_each(|warning| warn(warning));
    let hierarchies = container.hierarchies()?;
    let own = Path::new(&container.origin.cgroup);
    let group = match &request.cgroup {
        Some(below) => Group::find(hierarchies, &own.join(below.trim_start_matches('/'))),
        None => Group::beside(hierarchies, &cgroup::table_of(known.pid)?, own),
    };
    let program = plan(container, process, &becoming, &host, &group, request);
    let mut wires = Wires::above(request.preserve_fds.saturating_add(3))?;
    wires.add_release()?;
    wires.give(Input::Target, init)?;
    match console.filter(|_| process.terminal) {
        Some(console) => wires.give(Input::Console, console)?,
        None => give_streams(&mut wires)?,
    }
    signal::set_all_default();
    let child = enter::start(&program, &mut wires, group.open_unified()?.map(OwnedFd::from))?;
    let run = run(container, &program, &child, &mut wires, request);
    if run.is_err() {
        child.end();
    }
    run.map(|()| child)
}

fn check(container: &Container, request: &Request) -> Result<()> {
    if request.cgroup.as_deref().unwrap_or("").split('/').any(|name| name == "..") {
        return Err(Error::invalid("`--cgroup` leads upwards").hint("it is a path below the container's own cgroup"));
    }
    match container.status()? {
        Status::Stopped => Err(Error::conflict("cannot exec in a stopped container: container not running")),
        Status::Creating => Err(Error::conflict("cannot exec in a container that is still being created")),
        Status::Paused if !request.ignore_paused => {
            Err(Error::conflict("cannot exec in a paused container").hint("`--ignore-paused` waits until it is resumed"))
        }
        _ => Ok(()),
    }
}

fn run(container: &Container, program: &Program, child: &Child, wires: &mut Wires, request: &Request) -> Result<()> {
    let pid = child.pid.as_raw_nonzero().get();
    if let Some(file) = &request.pid_file {
        write_pid(file, pid)?;
    }
    wires.release();
    loop {
        match wires.read_report(program).map_err(become_process::explain)? {
            Report::Reached => {
                notify::hand_over(container, pid)?;
                wires.release();
            }
            Report::Closed => return Ok(()),
            Report::Failed(..) | Report::Forked(_) => return Err(Error::system("init reports something else than its end")),
        }
    }
}

/// The process becomes all that it is to be before the container's processes see it, if its filter lets it appear then.
pub fn plan(
    container: &Container,
    process: &Process,
    becoming: &Becoming,
    host: &Host,
    group: &Group,
    request: &Request,
) -> Program {
    let mut program = Program::default();
    bind_processors(
        &mut program,
        process.exec_cpu_affinity.as_ref().map(|affinity| affinity.initial.as_str()),
    );
    group.enter(&mut program);
    bind_processors(
        &mut program,
        process.exec_cpu_affinity.as_ref().map(|affinity| affinity.last.as_str()),
    );
    if let Some(adjustment) = becoming.oom_score {
        isolation::prefer_to_kill(&mut program, adjustment);
    }
    let labels = becoming.process.labels.open(&mut program);
    enter::join(&mut program, container);
    let root = enter::root(&mut program, container);
    let directory = MountPoint::existing(process.cwd.as_bytes()).open(&mut program, root, "the working directory");
    let terminal = process.terminal.then(|| open_terminal(&mut program, process, root));
    isolation::open_streams(&mut program, terminal, directory);
    program.join_keyring(&format!("_ses.{}", container.id), "the container's keys");
    isolation::schedule(&mut program, &becoming.scheduling);
    isolation::become_user(&mut program, host, &becoming.process, labels);
    isolation::leave_nothing(&mut program, false, request.preserve_fds.saturating_add(3));
    let early = becoming
        .process
        .filter
        .as_ref()
        .is_some_and(|filter| lets_appear(filter, process.terminal));
    if early {
        isolation::restrict(&mut program, host, &becoming.process);
    }
    enter::appear(&mut program);
    isolation::begin_session(&mut program, terminal);
    if !early {
        isolation::restrict(&mut program, host, &becoming.process);
    }
    isolation::execute(&mut program, &becoming.command);
    program
}

/// Whether a filter allows what is left to do once it is set early.
fn lets_appear(filter: &Filter, terminal: bool) -> bool {
    let usual = [
        libc::SYS_write,
        libc::SYS_read,
        libc::SYS_exit_group,
        libc::SYS_setsid,
        libc::SYS_execve,
    ];
    let more: &[i64] = if terminal { &[libc::SYS_ioctl] } else { &[] };
    let forks = filter.permits_with(libc::SYS_clone as u32, Some(libc::CLONE_PARENT as u32));
    !filter.notifies && forks && usual.iter().chain(more).all(|call| filter.permits(*call as u32))
}

fn bind_processors(program: &mut Program, list: Option<&str>) {
    if let Some(processors) = list.filter(|list| !list.is_empty()).and_then(super::lists::parse) {
        let scheduling = Scheduling {
            processors: Some(processors),
            ..Scheduling::default()
        };
        isolation::schedule(program, &scheduling);
    }
}

fn open_terminal(program: &mut Program, process: &Process, root: Register) -> Register {
    program.concept(Concept::ProcessIsolation);
    let size = process.console_size.map(|size| (size.height, size.width));
    let ptmx = program.open_in_root(
        root,
        b"/dev/pts/ptmx",
        open::RDWR | open::NOCTTY,
        "a new terminal of the container's own",
    );
    let terminal = isolation::pair_terminal(program, ptmx, size);
    program.fchown(terminal, process.user.uid, -1, "the user can open the terminal by its name");
    terminal
}
