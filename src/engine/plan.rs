//! The plan of a container: its program, and what the host does for it. Pure data; nothing is done here.

use super::{Container, Options, Spec};
use crate::cgroup::{self, Hierarchies};
use crate::error::{Doing, Result};
use crate::isolation::{self, Command, Host, Identity, Shown, Users};
use crate::layer::{self, Bind, MountPoint, Overlay, View};
use crate::network::{self, Endpoint, Mode};
use crate::program::{Concept, Input, Program, Register};
use crate::store::Text;

mod birth;
mod devices;

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
}

/// The largest user database that is read from an image.
const LARGEST_USERS: u64 = 16 << 20;

impl Facts {
    pub fn gather(view: Option<View>) -> Facts {
        Facts {
            host: Host::read(),
            hierarchies: Hierarchies::find(),
            view,
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
pub fn users(view: Option<&View>) -> Result<Users> {
    let read = |path: &str| -> Result<Vec<u8>> {
        let Some(view) = view else { return Ok(Vec::new()) };
        Ok(view.read(path.as_bytes(), LARGEST_USERS)?.unwrap_or_default())
    };
    Ok(Users {
        passwd: read("/etc/passwd")?,
        group: read("/etc/group")?,
    })
}

impl Places {
    /// The places of a container whose image has the layers `lower`, topmost first.
    pub fn of(container: &Container, lower: Vec<std::path::PathBuf>, layer_by_layer: bool) -> Places {
        let bytes = |name: &str| container.file(name).into_os_string().into_encoded_bytes();
        Places {
            overlay: Overlay {
                lower,
                upper: container.file("upper"),
                work: container.file("work"),
                attach: container.file("merged"),
                volatile: container.spec.options.auto_remove,
                layer_by_layer,
            },
            files: vec![
                (bytes("hosts"), "/etc/hosts"),
                (bytes("hostname"), "/etc/hostname"),
                (bytes("resolv.conf"), "/etc/resolv.conf"),
            ],
        }
    }
}

/// Plans a container. The order of the steps is the order of this function.
pub fn plan(facts: &Facts, spec: &Spec, places: &Places, parent: &str, endpoint: Option<&Endpoint>) -> Result<Plan> {
    let options = &spec.options;
    let identity = users(facts.view.as_ref())?
        .find(&options.user)
        .doing(|| format!("user `{}`", options.user))?;
    let mut cgroup = cgroup::Plan::of(&facts.hierarchies, parent, spec.id.as_str(), &options.limits)?;
    let nodes = devices::nodes(options)?;
    devices::allow(&mut cgroup, options, &nodes);
    let mut program = Program::default();
    birth::begin(&mut program, &facts.host, spec, &cgroup);
    let memory = birth::share_memory(&mut program, options);
    let root = layer::overlay(&mut program, &places.overlay);
    let shown = Shown {
        settings: !options.sysctls.is_empty(),
        unmasked: options.security.unmasked,
        writable: options.security.privileged,
        nodes: &nodes,
        memory,
    };
    let mounts = isolation::mount_kernel_file_systems(&mut program, root, &facts.host, shown);
    cgroup::mount(&mut program, &facts.hierarchies, mounts.sys, !options.security.privileged);
    devices::make_elsewhere(&mut program, facts, &nodes, root)?;
    bind_files(&mut program, facts, places, root)?;
    bind_volumes(&mut program, facts, options, root)?;
    let directory = open_directory(&mut program, facts, options, root)?;
    let terminal = options
        .terminal
        .then(|| isolation::open_terminal(&mut program, &mounts, identity.user));
    connect(&mut program, &options.network, endpoint);
    if let Some(settings) = mounts.settings {
        isolation::set_sysctls(&mut program, settings, &options.sysctls);
    }
    isolation::enter_root(&mut program, root);
    let process = options.security.process(&identity, &options.ulimits)?;
    isolation::begin_session(&mut program, terminal);
    isolation::open_streams(&mut program, terminal, directory);
    isolation::become_user(&mut program, &facts.host, &process);
    isolation::leave_nothing(&mut program, true, 3);
    isolation::restrict(&mut program, &facts.host, &process);
    isolation::execute(&mut program, &command(spec, &identity));
    let namespaces = options.namespaces.born(&facts.host, options.network != Mode::Host);
    Ok(Plan {
        program,
        cgroup,
        namespaces,
        forks: options.namespaces.forks(),
    })
}

/// The command with its environment.
fn command(spec: &Spec, identity: &Identity) -> Command {
    let options = &spec.options;
    Command {
        arguments: bytes(&options.command),
        environment: isolation::environment(&bytes(&options.environment), &spec.hostname, &identity.home, options.terminal),
    }
}

/// Texts as the program has them.
pub fn bytes(texts: &[Text]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn bind_files(program: &mut Program, facts: &Facts, places: &Places, root: Register) -> Result<()> {
    for (source, target) in &places.files {
        let at = facts.mount_point(target.as_bytes(), false)?;
        let bind = Bind {
            source: source.clone(),
            at,
            read_only: false,
            why: "names, as this container should know them",
        };
        layer::bind(program, Concept::BridgeNetworking, root, &bind);
    }
    Ok(())
}

/// Volumes are bound from the outside in, so that one can be below another.
fn bind_volumes(program: &mut Program, facts: &Facts, options: &Options, root: Register) -> Result<()> {
    let mut binds: Vec<Bind> = Vec::new();
    for volume in &options.volumes {
        let directory = volume.path().metadata().map_or(true, |metadata| metadata.is_dir());
        let mut at = facts.mount_point(volume.target.as_bytes(), directory)?;
        if binds.iter().any(|other| at.is_below(&other.at)) {
            at = MountPoint::unknown(volume.target.as_bytes(), directory).without_links();
        }
        isolation::check_cover(&at.path()).doing(|| format!("volume `{}`", volume.target))?;
        let why = "a volume: a part of the host's file system";
        binds.push(Bind {
            source: volume.source.as_bytes().to_vec(),
            at,
            read_only: volume.read_only,
            why,
        });
    }
    binds.sort_by_key(|bind| bind.at.depth());
    binds
        .iter()
        .for_each(|bind| layer::bind(program, Concept::FileSystemLayering, root, bind));
    Ok(())
}

/// Writes the steps that open the working directory, and make it if it is missing. It is opened before it is entered, since
/// a path could lead to a descriptor of ours instead (CVE-2024-21626).
fn open_directory(program: &mut Program, facts: &Facts, options: &Options, root: Register) -> Result<Register> {
    program.concept(Concept::ProcessIsolation);
    let path = options.directory.as_bytes();
    let in_volume = options
        .volumes
        .iter()
        .any(|volume| path.starts_with(volume.target.as_bytes()));
    let at = if in_volume {
        MountPoint::unknown(path, true)
    } else {
        facts.mount_point(path, true)?
    };
    Ok(at.open(program, root, "the working directory"))
}

/// Writes the steps that wait for the network and configure it.
fn connect(program: &mut Program, mode: &Mode, endpoint: Option<&Endpoint>) {
    program.concept(Concept::BridgeNetworking);
    program.wait(
        Input::Release,
        "the host has made the container's end of the network and recorded the start",
    );
    match (mode, endpoint) {
        (Mode::Host, _) => {}
        (_, Some(endpoint)) => network::configure(program, endpoint),
        (_, None) => network::loopback(program),
    }
}

#[cfg(test)]
mod tests;
