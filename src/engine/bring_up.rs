//! Bringing a container up: from a prepared one to a running one.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::statfs;

use super::born::{Born, Expected};
use super::monitor::{Launch, Resident};
use super::patience::Patience;
use super::prepare::{Prepared, write_files};
use super::wires::Wires;
use super::{Container, Engine, Started, cgroups};
use crate::cgroup::{self, Group};
use crate::error::{Doing, Error, Result};
use crate::kernel::process::Child;
use crate::layer;
use crate::network;
use crate::program::{Input, Letter, Program};
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
    /// Brings a prepared container up, whose init may be born already. This runs in the process that becomes its monitor; nothing else is
    /// done there.
    pub fn bring_up(&self, launch: &Launch, born: Option<Result<Born>>) -> Result<Running> {
        let (container, prepared) = (&launch.container, &launch.prepared);
        let program = &prepared.plan.program;
        let mut born = match born {
            Some(born) => {
                let born = born?;
                launch.ready.as_ref().map_err(Error::clone).inspect_err(|_| born.init.end())?;
                born
            }
            None => {
                let mut wires = Expected::of(&container.spec.options, launch.trace).wires()?;
                self.give(container, prepared, |input, fd| wires.give(input, fd))?;
                Born::of(container, prepared, wires)?
            }
        };
        let terminal = self.guide(launch, &mut born).map_err(|error| {
            born.init.end();
            born.wires.first_error(program, error)
        })?;
        let Born { init, mut wires, .. } = born;
        let group = born.group.as_ref().or(launch.made_group());
        let resident = Resident {
            terminal,
            stdin: wires.stdin.take(),
            stdout: wires.stdout.take(),
            stderr: wires.stderr.take(),
            oom: group.and_then(Group::oom_file),
        };
        Ok(Running { init, resident, wires })
    }

    /// Gives init what the plan says.
    fn give(&self, container: &Container, prepared: &Prepared, mut give: impl FnMut(Input, OwnedFd) -> Result<()>) -> Result<()> {
        for (input, init) in self.open_partners(&container.spec.options)? {
            give(input, init)?;
        }
        // What its root is made of need not be given along with the root.
        let taken = prepared.plan.root.as_ref().map_or(0, layer::Overlay::images);
        let given = prepared.given.mounts().skip(taken);
        let root = prepared.root.as_ref().map(|root| (Input::Root, root));
        for (input, made) in root.into_iter().chain(given) {
            give(input, made.try_clone().doing(|| "copy a descriptor")?)?;
        }
        Ok(())
    }

    /// Sends the program to an init that may still have to be born, and makes the cgroups that it enters.
    pub fn make_ready(&self, launch: &Launch, mut letter: Letter) -> Result<Option<Group>> {
        let Launch { container, prepared, .. } = launch;
        self.give(container, prepared, |input, fd| {
            letter.give(input, fd);
            Ok(())
        })?;
        letter.send(&prepared.plan.program)?;
        if prepared.plan.begins_in_cgroups() {
            return Ok(None);
        }
        let group = make_group(container, &prepared.plan.cgroup)?;
        group.look_up_entrances();
        Ok(Some(group))
    }

    /// Does for init what it waits for, and lets it go on. Returns its terminal.
    fn guide(&self, launch: &Launch, born: &mut Born) -> Result<Option<OwnedFd>> {
        let Launch { container, prepared, .. } = launch;
        let Born { init, wires, .. } = born;
        if launch.made_group().is_some() {
            wires.release();
        }
        if !prepared.plan.forks {
            write_files(container, prepared.place.as_ref())?;
        }
        wires.release();
        if let Some(loopback) = &born.loopback {
            loopback.start()?;
        }
        if let Some(place) = &prepared.place {
            let path = format!("/proc/{}/ns/net", init.pid.as_raw_nonzero());
            let namespace = File::open(path).doing(|| "open the container's network namespace")?;
            network::connect(&self.store, place.bridge, &place.endpoint, namespace.as_fd())?;
        }
        let started = Started {
            pid: init.pid.as_raw_nonzero().get(),
            at: clock::now(),
        };
        container.begin_again(&started)?;
        wires.release();
        wires.receive_terminal(&prepared.plan.program)
    }
}

/// Makes the container's cgroups, having written down where, and writes down which of its limits they cannot keep.
pub fn make_group(container: &Container, plan: &cgroup::Plan) -> Result<Group> {
    cgroups::record_parent(container)?;
    let group = Group::create(plan)?;
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
