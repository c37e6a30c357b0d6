//! `explain`: everything that `run` would do, without doing it.

use std::path::Path;

use super::bring_up::Trace;
use super::create::{Called, hostname_of, image_volumes};
use super::images::layers_of;
use super::plan::{Facts, Places, Plan, plan};
use super::{Container, Engine, Options, Spec, image_config};
use crate::error::Result;
use crate::kernel::process::SPAWN_FLAGS;
use crate::layer::{self, Mount, Overlay, Stack};
use crate::network::{self, Endpoint, Mode, Network, Networks};
use crate::program::explain::{By, Explained};
use crate::program::{Concept, Program, flags::clone};
use crate::store::{Id, clock};

/// The id of a container that does not exist.
const EXAMPLE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Engine {
    /// Explains the container that these options would make.
    pub fn explain(&self, options: &Options, called: Called) -> Result<Vec<Explained>> {
        options.check()?;
        let mut options = options.clone();
        self.find_partners(&mut options)?;
        let image = self.image_if_unpacked(&options.image)?;
        if let Some(image) = &image {
            image_config::merge(&mut options, &image.config.config)?;
        }
        if options.arguments().is_empty() {
            options.command = vec!["sh".into()];
        }
        self.complete_mounts(&mut options, &image.as_ref().map(image_volumes).unwrap_or_default())?;
        for volume in options.mounts.iter_mut().filter_map(Mount::volume_mut) {
            if volume.name.is_empty() {
                volume.name = EXAMPLE.into();
            }
        }
        let id = Id::parse(EXAMPLE).expect("64 digits");
        let layers = layers_of(image.filter(|image| image.is_complete(&self.store)));
        let found = Stack::look(&self.store, &layers);
        let view = found.as_ref().map(Stack::view).transpose()?;
        let to_be = || {
            let name = format!("layer/sha256/(unpacked from {} when it is first used)", options.image);
            Stack::to_be(self.store.root().join(name))
        };
        let lower = found.unwrap_or_else(to_be);
        let hostname = hostname_of(&options, called.hostname, &id)?;
        let name = called.name.unwrap_or("example").to_string();
        let container = Container::new(
            &self.store,
            Spec {
                id,
                name,
                hostname,
                layers,
                image_id: None,
                created: clock::seconds(),
                created_nanos: 0,
                options,
            },
        );
        let endpoint = self.endpoint_to_be(&container)?;
        let facts = Facts::gather(view, &container.spec.options.limits);
        let users = self.users_to_be(&container)?;
        let places = Places::of(&self.store, &container, lower, users)?;
        let plan = plan(&facts, &container.spec, &places, &self.store.label(), endpoint.as_ref())?;
        Ok(explain(&container, &plan, endpoint.as_ref(), &Trace::new()))
    }

    /// The place in a network that the container would get.
    fn endpoint_to_be(&self, container: &Container) -> Result<Option<Endpoint>> {
        let Mode::Bridge(name) = &container.spec.options.network else {
            return Ok(None);
        };
        let networks = Networks::new(&self.store);
        let network: Network = match networks.find(name) {
            Err(_) if name == network::DEFAULT => networks.default_to_be(),
            network => network?,
        };
        let address = network::lowest_free(&self.store, &network)?;
        Ok(Some(Endpoint::new(
            &network,
            container.id(),
            address,
            container.spec.options.ports.clone(),
        )))
    }
}

/// Everything that is done for a container, in order, with the times that steps took, if they were traced.
pub fn explain(container: &Container, plan: &Plan, endpoint: Option<&Endpoint>, trace: &Trace) -> Vec<Explained> {
    let mut steps = vec![Explained::on_host(
        Concept::FileSystemLayering,
        format!("mkdir {} with upper and work", container.file("").display()),
        "what the container changes, and its records",
    )];
    steps.extend(endpoint.iter().flat_map(|endpoint| endpoint.actions()).take(1).map(on_host));
    steps.extend(plan.mounted.iter().map(|layer| mount(layer)));
    let is_ahead = plan.root.is_some();
    if is_ahead {
        steps.extend(network_ahead(container));
    }
    let mut groups = cgroups(plan);
    if plan.begins_in_cgroups() {
        steps.append(&mut groups);
    }
    steps.push(spawn(plan));
    steps.extend(plan.root.iter().flat_map(root_ahead));
    let mut program = plan.program.explain();
    for (index, nanoseconds) in trace {
        if let Some(step) = program.get_mut(*index) {
            step.nanoseconds = Some(*nanoseconds);
        }
    }
    let waits = |step: &Explained| step.call == "read";
    let after = program.split_off(program.iter().rposition(waits).unwrap_or(program.len()));
    let names = program.split_off(program.iter().position(waits).unwrap_or(program.len()));
    steps.extend(program.into_iter().chain(groups).chain(names));
    if is_ahead && container.spec.options.network == Mode::None {
        steps.push(on_host(network::Action::StartLoopback));
    }
    steps.extend(endpoint.iter().flat_map(|endpoint| endpoint.actions()).skip(1).map(on_host));
    steps.extend(after);
    steps
}

/// What is done for the container's cgroups.
fn cgroups(plan: &Plan) -> Vec<Explained> {
    let directories = plan.cgroup.directories.iter().map(|path| {
        Explained::on_host(
            Concept::ResourceLimits,
            format!("mkdir {}", path.display()),
            "the container's cgroup",
        )
    });
    let writes = plan.cgroup.writes.iter().map(|write| {
        Explained::on_host(
            Concept::ResourceLimits,
            format!("echo {} > {}", write.value, write.file.display()),
            write.why,
        )
    });
    directories.chain(writes).collect()
}

/// What the monitor does before init is born there.
fn network_ahead(container: &Container) -> Vec<Explained> {
    let mut steps = Vec::new();
    if container.spec.options.network != Mode::Host {
        let call = format!("unshare({})", clone::NAMES.show(clone::NEWNET));
        let why = "a network of the container's own, in which init is born while the rest is planned";
        steps.push(Explained::on_host(Concept::ProcessIsolation, call, why));
    }
    if matches!(container.spec.options.network, Mode::Bridge(_)) {
        steps.push(on_host(network::Action::StartLoopback));
    }
    steps
}

/// The container's root, which the command makes meanwhile.
fn root_ahead(root: &Overlay) -> Vec<Explained> {
    let mut program = Program::default();
    layer::make_overlay(&mut program, root);
    let here = |step| Explained {
        by: By::Host,
        step: None,
        ..step
    };
    program.explain().into_iter().map(here).collect()
}

fn mount(layer: &Path) -> Explained {
    let layer = layer.display();
    Explained::on_host(
        Concept::FileSystemLayering,
        format!("fsopen(\"erofs\"), source={layer}/erofs, device={layer}/tar, fsmount"),
        "a layer that is not unpacked: the index of its tarball, and that; attached nowhere",
    )
}

fn on_host(action: network::Action) -> Explained {
    Explained::on_host(Concept::BridgeNetworking, action.to_string(), action.why())
}

fn spawn(plan: &Plan) -> Explained {
    let born = match &plan.cgroup.unified {
        Some(path) => format!("|CLONE_INTO_CGROUP, {}", path.display()),
        None => String::new(),
    };
    Explained::on_host(
        Concept::ProcessIsolation,
        format!(
            "clone3({}{born}), and at once execveat(init)",
            clone::NAMES.show(SPAWN_FLAGS | plan.first_namespaces())
        ),
        match plan.forks {
            true => "a process in namespaces of its own, that runs nothing of tinydock but init and this program",
            false => "a process in namespaces of its own, that runs nothing of tinydock but init, and waits for this program",
        },
    )
}
