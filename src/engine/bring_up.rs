//! Bringing a container up: from a prepared one to a running one.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::statfs;

use super::monitor::Resident;
use super::patience::Patience;
use super::plan::Plan;
use super::prepare::{Prepared, write_files};
use super::wires::Wires;
use super::{Container, Engine, Started, cgroups, users};
use crate::cgroup::Group;
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::kernel::process::Child;
use crate::kernel::signal;
use crate::layer;
use crate::network;
use crate::program::{Input, Program};
use crate::store::clock;

/// How long a container that has been recorded as started may take to have its own root.
const STARTED: Duration = Duration::from_secs(10);

/// How long each step of a container's program took, in nanoseconds.
pub type Trace = Vec<(usize, u32)>;

/// A container whose init takes its last steps, and then becomes the command.
pub struct Running {
    pub init: Child,
    pub resident: Resident,
    wires: Wires,
}

impl Running {
    /// Waits until the command runs.
    pub fn wait(&mut self, program: &Program) -> Result<Trace> {
        self.wires.read_report(program)?;
        Ok(self.wires.read_trace())
    }
}

impl Engine {
    /// Brings a prepared container up. This runs in the process that becomes its monitor; nothing else is done there.
    pub fn bring_up(&self, container: &Container, prepared: &Prepared, trace: bool) -> Result<Running> {
        let plan = &prepared.plan;
        let group = plan.begins_in_cgroups().then(|| make_group(container, plan)).transpose()?;
        let options = &container.spec.options;
        let mut wires = Wires::new(options.terminal, options.interactive)?;
        if trace {
            wires.trace()?;
        }
        for (input, init) in self.open_partners(options)? {
            wires.give(input, init)?;
        }
        // What its root is made of need not be given along with the root.
        let taken = plan.root.as_ref().map_or(0, layer::Overlay::images);
        let given = prepared.given.mounts().skip(taken);
        let made = [
            (isolation::NETWORK, &prepared.made.network),
            (Input::Root, &prepared.made.root),
        ];
        let made = made.into_iter().filter_map(|(input, made)| Some((input, made.as_ref()?)));
        for (input, made) in made.chain(given) {
            wires.give(input, made.try_clone().doing(|| "copy a descriptor")?)?;
        }
        if let Some(ids) = &prepared.users {
            wires.give(Input::Users, users::namespace(ids)?)?;
            wires.give_away(ids)?;
        }
        let init = spawn(&plan.program, plan.first_namespaces(), group.as_ref(), &mut wires)?;
        let init = if plan.forks {
            adopt(init, &plan.program, &mut wires)?
        } else {
            init
        };
        let finished = self.finish_start(container, prepared, &init, group, &mut wires);
        let (group, terminal) = finished.map_err(|error| {
            let _ = signal::send(&init.pidfd, libc::SIGKILL);
            let _ = init.wait();
            wires.first_error(&plan.program, error)
        })?;
        let resident = Resident {
            terminal,
            stdin: wires.stdin.take(),
            stdout: wires.stdout.take(),
            stderr: wires.stderr.take(),
            oom: group.oom_file(),
        };
        Ok(Running { init, resident, wires })
    }

    /// Does for init what it waits for, and lets it go on. Returns its cgroups and its terminal.
    fn finish_start(
        &self,
        container: &Container,
        prepared: &Prepared,
        init: &Child,
        group: Option<Group>,
        wires: &mut Wires,
    ) -> Result<(Group, Option<OwnedFd>)> {
        let group = match group {
            Some(group) => group,
            None => {
                let group = make_group(container, &prepared.plan)?;
                group.look_up_entrances();
                wires.release();
                group
            }
        };
        if !prepared.plan.forks {
            write_files(container, prepared.place.as_ref())?;
        }
        wires.release();
        if let Some(loopback) = &prepared.made.loopback {
            loopback.start()?;
        }
        if let Some(place) = &prepared.place {
            let own;
            let namespace = match &prepared.made.network {
                Some(made) => made.as_fd(),
                None => {
                    let path = format!("/proc/{}/ns/net", init.pid.as_raw_nonzero());
                    own = File::open(path).doing(|| "open the container's network namespace")?;
                    own.as_fd()
                }
            };
            network::connect(&self.store, place.bridge, &place.endpoint, namespace)?;
        }
        let started = Started {
            pid: init.pid.as_raw_nonzero().get(),
            at: clock::now(),
        };
        container.begin_again(&started)?;
        wires.release();
        Ok((group, wires.receive_terminal(&prepared.plan.program)?))
    }
}

/// Makes the container's cgroups, and writes down which of its limits they cannot keep.
fn make_group(container: &Container, plan: &Plan) -> Result<Group> {
    let group = Group::create(&plan.cgroup)?;
    cgroups::record_warnings(container, &group)?;
    Ok(group)
}

/// The child that becomes the container's first process, or a command in it.
pub fn adopt(init: Child, program: &Program, wires: &mut Wires) -> Result<Child> {
    let child = wires.receive_child(init, program)?;
    wires.release();
    Ok(child)
}

/// Starts init with a program, in new namespaces and in the cgroup of version 2 of a group, if it has one.
pub fn spawn(program: &Program, namespaces: u64, group: Option<&Group>, wires: &mut Wires) -> Result<Child> {
    let cgroup = group.map(Group::open_unified).transpose()?.flatten();
    wires.start(program, namespaces, cgroup.as_ref().map(AsFd::as_fd))
}

/// Waits until the first process of a container that is being started has the container's root: who enters before would be on the
/// host, or in the empty directory where the host's root was mounted (`isolation::Exchange`). The kernel takes whoever enters to what is
/// mounted on top of the root, as it does for `..`. Only the container's is an overlay that is not ours.
pub fn wait_for_root(container: &Container, pid: i32) -> Result<()> {
    let identity = |path: &str| fs::metadata(path).map(|root| (root.dev(), root.ino()));
    let ours = identity("/").doing(|| "look at `/`")?;
    // Where ours is only what chroot(2) has made of it.
    let uppermost = identity("/proc/1/root/").unwrap_or(ours);
    let mut patience = Patience::of(STARTED);
    // Whether it is there at all is for the caller to find out.
    let root = format!("/proc/{pid}/root/");
    let is_ours = |path: &str| identity(&format!("{root}{path}")).is_ok_and(|theirs| [ours, uppermost].contains(&theirs));
    let is_bare = || statfs(root.as_str()).is_ok_and(|root| root.f_type != libc::OVERLAYFS_SUPER_MAGIC);
    while (is_bare() || is_ours("") || is_ours("..")) && !is_command(pid) {
        if patience.is_over() {
            return Err(Error::conflict(format!(
                "container `{}` is still being started",
                container.name()
            )));
        }
        patience.pause();
    }
    Ok(())
}

/// Whether a process has executed what the user asked for. That may make what it sees of the host its root.
fn is_command(pid: i32) -> bool {
    let is_init = |program: PathBuf| program.as_os_str().as_bytes().starts_with(b"/memfd:tinydock-init");
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| !is_init(program))
}
