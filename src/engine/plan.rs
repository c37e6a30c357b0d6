//! The plan of a container: its program, and what the host does for it. Pure data; nothing is done here.

use std::path::PathBuf;

use super::{Container, Options, Spec, cgroups};
use crate::cgroup::{self, Hierarchies, Resources};
use crate::error::{Doing, Result};
use crate::isolation::{self, Command, Exchange, Host, Identity, Ids, LabelFiles, Process, Shown, Users};
use crate::layer::{self, Bind, Given, Lower, MountPoint, Origin, Overlay, Stack, View};
use crate::network::{self, Endpoint, Mode};
use crate::program::{Concept, Input, Program, Register};
use crate::store::{Store, Text};

mod binds;
mod birth;
mod devices;
mod shown;

pub use birth::makes_ahead;
pub use shown::show;

/// What must be known of the host and of the image to plan a container.
pub struct Facts {
    pub host: Host,
    pub hierarchies: Hierarchies,
    /// The image, if it is unpacked.
    pub view: Option<View>,
}

/// Where things of a container are.
pub struct Places {
    pub overlay: Overlay,
    /// The host's files that the container sees, with their places in it.
    pub files: Vec<(Vec<u8>, &'static str)>,
    /// What each mount shows, in their order.
    pub origins: Vec<Origin>,
    /// The images of layers that are mounted for init.
    pub given: Given,
}

/// What will be done for a container.
#[derive(Clone)]
pub struct Plan {
    pub program: Program,
    pub cgroup: cgroup::Plan,
    /// `CLONE_NEW…` flags.
    pub namespaces: u64,
    /// Whether init has a child that is born in them.
    pub forks: bool,
    /// The root, if it is made ahead.
    pub root: Option<Overlay>,
    /// The directories of the layers that are mounted for init.
    pub mounted: Vec<PathBuf>,
}

/// No fewer than what a usual container takes.
const USUAL_STEPS: usize = 256;

/// The largest user database that is read from an image.
const LARGEST_USERS: u64 = 16 << 20;

impl Facts {
    /// For a container with these limits.
    pub fn gather(view: Option<View>, limits: &Resources) -> Facts {
        Facts {
            host: Host::read(),
            hierarchies: Hierarchies::of(limits),
            view,
        }
    }

    /// For what has its limits already, or none.
    pub fn without_limits(host: Host, view: View) -> Facts {
        Facts {
            host,
            hierarchies: Hierarchies::default(),
            view: Some(view),
        }
    }

    /// The place of a path in the container.
    fn mount_point(&self, path: &[u8], directory: bool) -> Result<MountPoint> {
        match &self.view {
            Some(view) => MountPoint::find(view, path, directory),
            None => Ok(MountPoint::unknown(path, directory)),
        }
    }
}

/// The users that an image knows.
fn users(view: Option<&View>) -> Result<Users> {
    let read = |path: &str| -> Result<Vec<u8>> {
        let Some(view) = view else { return Ok(Vec::new()) };
        Ok(view.read(path.as_bytes(), LARGEST_USERS)?.unwrap_or_default())
    };
    Ok(Users {
        passwd: read("/etc/passwd")?,
        group: read("/etc/group")?,
    })
}

/// The root of a container whose image has the layers `lower`, topmost first.
pub fn overlay(container: &Container, lower: Vec<Lower>, users: Option<Ids>) -> Overlay {
    Overlay {
        lower,
        upper: container.file("upper"),
        work: container.file("work"),
        // Nothing is looked for there until the root is in its place.
        attach: container.file("work"),
        volatile: container.spec.options.auto_remove,
        layer_by_layer: isolation::release() >= (6, 5),
        root: users.map(|ids| (ids.users.first, ids.groups.first)),
    }
}

impl Places {
    /// The places of a container whose image has the layers `lower`.
    pub fn of(store: &Store, container: &Container, lower: Stack, users: Option<Ids>) -> Result<Places> {
        let bytes = |name: &str| container.file(name).into_os_string().into_encoded_bytes();
        let mounts = container.spec.options.mounts.iter();
        let mut given = Given::default();
        let lower = lower.give(&mut given);
        let origins = mounts.map(|mount| layer::locate(store, mount, &mut given));
        let origins = origins.collect::<Result<_>>()?;
        // With users of its own it has them show other owners.
        if users.is_some() {
            given.disjoin()?;
        }
        Ok(Places {
            origins,
            given,
            overlay: overlay(container, lower, users),
            files: vec![
                (bytes("hosts"), "/etc/hosts"),
                (bytes("hostname"), "/etc/hostname"),
                (bytes("resolv.conf"), "/etc/resolv.conf"),
            ],
        })
    }
}

/// Plans a container. The order of the steps is the order of this function.
pub fn plan(facts: &Facts, spec: &Spec, places: &Places, parent: &str, endpoint: Option<&Endpoint>) -> Result<Plan> {
    let options = &spec.options;
    let identity = identity(facts, &options.user, options)?;
    let process = options.security.process(&identity, &options.ulimits)?;
    let nodes = devices::nodes(options)?;
    let cgroup = limits(&facts.hierarchies, spec, parent)?;
    let host = birth::host_of(&facts.host, options);
    let binds = binds::all(facts, places, options)?;
    let mut sources = birth::Sources { places, binds, nodes };
    let mut program = Program::with_room(USUAL_STEPS);
    let early = birth::begin(&mut program, &host, spec, &cgroup, &mut sources);
    let birth::Sources { binds, nodes, .. } = sources;
    let memory = birth::share_memory(&mut program, options);
    let labels = process.labels.open(&mut program);
    let exchange = Exchange::of(&host, options.namespaces.has_users());
    let root = open_root(&mut program, options, &places.overlay, early.root, exchange);
    let shown = Shown {
        settings: !options.sysctls.is_empty(),
        unmasked: options.security.unmasked,
        writable: options.security.privileged,
        nodes: &nodes,
        memory,
        usual: early.usual,
    };
    let mounts = isolation::mount_kernel_file_systems(&mut program, root, &host, shown);
    birth::settle(&mut program, spec, &cgroup);
    let cgroups = cgroup::mount(&mut program, &facts.hierarchies, mounts.sys, !options.security.privileged);
    devices::make_elsewhere(&mut program, facts, &nodes, root)?;
    wait_for_names(&mut program);
    let mounted = mount_binds(&mut program, root, &binds);
    let directory = open_directory(&mut program, facts, options, root)?;
    let terminal = options
        .terminal
        .then(|| isolation::open_terminal(&mut program, &mounts, identity.user));
    if options.read_only {
        let why = "the container may write to its mounts, but not to its root";
        layer::protect(&mut program, root, why);
    }
    isolation::replace_root(&mut program, root, exchange);
    // Before, what is mounted may belong to no namespace yet, and its attributes cannot be changed. Afterwards others may be there.
    cgroups.iter().for_each(|all| cgroup::protect(&mut program, *all));
    binds::protect(&mut program, &binds, &mounted);
    isolation::enter_root(&mut program, root, exchange);
    wait_for_host(&mut program);
    connect(&mut program, options, endpoint);
    if let Some(settings) = mounts.settings {
        isolation::set_sysctls(&mut program, settings, &options.sysctls);
    }
    let held = Held {
        labels,
        terminal,
        directory,
    };
    become_command(&mut program, options, &host, &process, held);
    isolation::execute(&mut program, &command(spec, &identity));
    Ok(Plan {
        program,
        cgroup,
        namespaces: options.namespaces.born(&host, has_network_at_birth(options)),
        forks: options.namespaces.forks(),
        root: makes_ahead(options).then(|| places.overlay.clone()),
        mounted: places.given.directories(),
    })
}

/// A user that a command runs as, with the groups that the container has besides.
pub fn identity(facts: &Facts, user: &str, options: &Options) -> Result<Identity> {
    let users = users(facts.view.as_ref())?;
    let mut identity = users.find(user).doing(|| format!("user `{user}`"))?;
    users.add_groups(&mut identity, &options.groups)?;
    Ok(identity)
}

/// The cgroups that keep the container to its limits and its devices.
pub fn limits(hierarchies: &Hierarchies, spec: &Spec, parent: &str) -> Result<cgroup::Plan> {
    let options = &spec.options;
    let parent = cgroups::parent(options, parent);
    let mut cgroup = cgroup::Plan::of(hierarchies, parent, spec.id.as_str(), &options.limits)?;
    devices::allow(&mut cgroup, options, &devices::nodes(options)?);
    Ok(cgroup)
}

/// Whether the network namespace is made with the container's first process.
fn has_network_at_birth(options: &Options) -> bool {
    options.network != Mode::Host && !makes_ahead(options)
}

/// Writes the steps that make the container's root, or take what was made of it, and attach it where it must be.
fn open_root(program: &mut Program, options: &Options, overlay: &Overlay, early: Option<Register>, exchange: Exchange) -> Register {
    let root = match early {
        Some(root) => root,
        None if makes_ahead(options) => layer::take_overlay(program),
        None => layer::make_overlay(program, overlay),
    };
    if exchange == Exchange::Pivot {
        layer::attach_overlay(program, overlay, root);
    }
    root
}

fn wait_for_names(program: &mut Program) {
    program.concept(Concept::FileSystemLayering);
    let why = "the host has written the files that tell the container what it knows of names";
    program.wait(Input::Release, why);
}

/// Writes the step that waits for what takes the host longest, and is needed last.
fn wait_for_host(program: &mut Program) {
    program.concept(Concept::BridgeNetworking);
    let why = "the host has made its end of the network, and recorded the start";
    program.wait(Input::Release, why);
}

/// Writes the steps that mount what the container has besides its image.
fn mount_binds(program: &mut Program, root: Register, binds: &[(Concept, Bind)]) -> Vec<Register> {
    let mount = |(concept, bind): &(Concept, Bind)| layer::bind(program, *concept, root, bind);
    binds.iter().map(mount).collect()
}

/// What was opened for the command while it could be.
struct Held {
    labels: LabelFiles,
    terminal: Option<Register>,
    directory: Register,
}

/// Writes the steps that give up what the command is not to have. An init that stays begins the session in the child that it has.
fn become_command(program: &mut Program, options: &Options, host: &Host, process: &Process, held: Held) {
    if !options.init {
        isolation::begin_session(program, held.terminal);
    }
    isolation::open_streams(program, held.terminal, held.directory);
    isolation::become_user(program, host, process, held.labels);
    isolation::leave_nothing(program, true, 3);
    isolation::restrict(program, host, process);
    if options.init {
        isolation::stay(program);
        isolation::begin_session(program, held.terminal);
    }
}

/// The command with its environment.
fn command(spec: &Spec, identity: &Identity) -> Command {
    let options = &spec.options;
    Command {
        arguments: bytes(&options.arguments()),
        environment: isolation::environment(&bytes(&options.environment), &spec.hostname, &identity.home, options.terminal),
    }
}

/// Texts as the program has them.
pub fn bytes(texts: &[Text]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Writes the steps that open the working directory, and make it if it is missing. It is opened before it is entered, since
/// a path could lead to a descriptor of ours instead (CVE-2024-21626).
fn open_directory(program: &mut Program, facts: &Facts, options: &Options, root: Register) -> Result<Register> {
    program.concept(Concept::ProcessIsolation);
    let path = options.directory.as_bytes();
    let in_volume = options.mounts.iter().any(|mount| path.starts_with(mount.target.as_bytes()));
    let at = if in_volume {
        MountPoint::unknown(path, true)
    } else {
        facts.mount_point(path, true)?
    };
    Ok(at.open(program, root, "the working directory"))
}

/// Writes the steps that configure the network.
fn connect(program: &mut Program, options: &Options, endpoint: Option<&Endpoint>) {
    if has_network_at_birth(options) {
        network::loopback(program);
    }
    if let Some(endpoint) = endpoint {
        network::configure(program, endpoint);
    }
}

#[cfg(test)]
mod tests;
