//! How a container's first process comes to be in its namespaces, and what it shares with others.

use super::super::bring_up::wait_for_root;
use super::super::{Container, Engine, Options, Spec};
use super::{Places, Plan};
use crate::cgroup;
use crate::error::{Doing, Error, Result};
use crate::isolation::{self, Host, Ipc, Node, Processes, SharedMemory};
use crate::layer::{self, Bind};
use crate::network::Mode;
use crate::program::{Concept, Input, Program, Register};
use crate::store::Id;

/// What is opened with the host's power, where the container's users have too little of it.
#[derive(Default)]
pub struct Early {
    pub root: Option<Register>,
    pub usual: Option<[Register; 6]>,
}

/// What the host can give to the container.
pub fn host_of(host: &Host, options: &Options) -> Host {
    if options.namespaces.has_users() {
        host.for_own_users()
    } else {
        host.clone()
    }
}

/// What the container is shown of the host.
pub struct Sources<'a> {
    pub places: &'a Places,
    pub binds: Vec<(Concept, Bind)>,
    pub nodes: Vec<Node>,
}

impl Sources<'_> {
    /// Writes the steps with which init opens what is to be seen of later mounts, or to be seen by others, while its mounts still
    /// belong together with the host's.
    fn open_shared(&mut self, program: &mut Program) {
        self.open(program, |bind| bind.propagation.is_open());
    }

    /// Writes the steps with which init opens all that the container is shown of the host. The root comes last, since init makes
    /// files as somebody else from then on.
    fn open_early(&mut self, program: &mut Program) -> Early {
        self.open(program, |bind| !bind.is_new());
        Early {
            usual: Some(isolation::open_devices(program, &mut self.nodes)),
            root: Some(layer::make_overlay(program, &self.places.overlay)),
        }
    }

    fn open(&mut self, program: &mut Program, is_meant: impl Fn(&Bind) -> bool) {
        for (concept, bind) in self
            .binds
            .iter_mut()
            .filter(|(_, bind)| bind.clone.is_none() && is_meant(bind))
        {
            bind.clone = Some(layer::open_bind(program, *concept, bind));
        }
    }
}

/// Writes the steps with which init becomes a process of the container.
pub fn begin(program: &mut Program, host: &Host, spec: &Spec, cgroup: &cgroup::Plan, sources: &mut Sources) -> Early {
    let mut early = Early::default();
    let namespaces = &spec.options.namespaces;
    let hostname = (!namespaces.host_uts).then_some(spec.hostname.as_str());
    if namespaces.forks() {
        isolation::begin_outside(program, namespaces.has_users(), |program| sources.open_shared(program));
        enter(program, cgroup, spec);
        if namespaces.has_users() {
            early = sources.open_early(program);
            isolation::become_root(program, true);
        } else {
            isolation::join_processes(program);
        }
        isolation::be_born(program, namespaces.born(host, spec.options.network != Mode::Host));
        isolation::begin(program, hostname, |program| sources.open_shared(program));
    } else {
        isolation::begin(program, hostname, |program| sources.open_shared(program));
    }
    if !spec.options.domain.is_empty() {
        program.setdomainname(&spec.options.domain, "and its NIS domain name");
    }
    early
}

/// Writes the steps with which init comes into its cgroups, if who made it is not in them, and sees nothing but them.
pub fn settle(program: &mut Program, spec: &Spec, cgroup: &cgroup::Plan) {
    let namespaces = &spec.options.namespaces;
    if !begins_in_cgroups(namespaces.forks(), cgroup) {
        program.concept(Concept::ResourceLimits);
        program.wait(Input::Release, "the host has made the container's cgroups");
    }
    if !namespaces.forks() {
        enter(program, cgroup, spec);
    }
    if !namespaces.host_cgroups {
        isolation::hide_cgroup_parents(program);
    }
}

/// Whether the container's network namespace and its root are made before its first process is. Those of users of the container's own
/// must be made by them.
pub fn makes_ahead(options: &Options) -> bool {
    !options.namespaces.forks()
}

fn begins_in_cgroups(forks: bool, cgroup: &cgroup::Plan) -> bool {
    forks || cgroup.unified.is_some()
}

/// Writes the steps that subject init to the container's limits.
fn enter(program: &mut Program, cgroup: &cgroup::Plan, spec: &Spec) {
    cgroup::enter(program, cgroup);
    if let Some(score) = spec.options.oom_score {
        isolation::prefer_to_kill(program, score);
    }
}

/// Writes the steps after which memory is shared with whom it is to be shared with.
pub fn share_memory(program: &mut Program, options: &Options) -> SharedMemory {
    match &options.namespaces.ipc {
        Ipc::Own | Ipc::Shareable => SharedMemory::Own(options.shared_memory),
        Ipc::WithoutMemory => SharedMemory::Nothing,
        Ipc::Host => SharedMemory::Others(isolation::share_memory(program)),
        Ipc::Container(_) => SharedMemory::Others(isolation::join_ipc(program)),
    }
}

/// The containers whose namespaces are shared, by their ids, with as what init is given them.
fn partners(options: &Options) -> Vec<(Input, &str)> {
    let mut all = Vec::new();
    if let Processes::Container(id) = &options.namespaces.processes {
        all.push((isolation::PROCESSES, id.as_str()));
    }
    if let Ipc::Container(id) = &options.namespaces.ipc {
        all.push((isolation::IPC, id.as_str()));
    }
    all
}

impl Plan {
    /// What init is born in.
    pub fn first_namespaces(&self) -> u64 {
        if self.forks { 0 } else { self.namespaces }
    }

    /// Whether init needs its cgroups to be born, or from its first steps on. Otherwise they are made while it mounts.
    pub fn begins_in_cgroups(&self) -> bool {
        begins_in_cgroups(self.forks, &self.cgroup)
    }
}

impl Engine {
    /// Finds the containers whose namespaces are to be shared, and names them by their ids.
    pub fn find_partners(&self, options: &mut Options) -> Result<()> {
        if let Processes::Container(name) = &mut options.namespaces.processes {
            let found = self.find(name).doing(|| "`--pid`")?;
            *name = found.id().to_string();
        }
        if let Ipc::Container(name) = &mut options.namespaces.ipc {
            let found = self.find(name).doing(|| "`--ipc`")?;
            if matches!(found.spec.options.namespaces.ipc, Ipc::Own | Ipc::WithoutMemory) {
                let private = Error::conflict(format!("the IPC namespace of container `{}` is its own", found.name()));
                return Err(private.doing("`--ipc`").hint("start that container with `--ipc shareable`"));
            }
            *name = found.id().to_string();
        }
        Ok(())
    }

    /// Opens the containers whose namespaces are shared, which must be running.
    pub fn open_partners(&self, options: &Options) -> Result<Vec<(Input, std::os::fd::OwnedFd)>> {
        let open = |(input, id): (Input, &str)| {
            let id = Id::parse(id).ok_or_else(|| Error::system("invalid id in its record"))?;
            let no_such = || Error::not_found(format!("no such container: `{}`", id.short()));
            let container = Container::load(&self.store, &id)?.ok_or_else(no_such)?;
            let open = || {
                let (init, started) = container.open_init()?;
                wait_for_root(&container, started.pid).map(|()| (input, init))
            };
            open().doing(|| "share its namespaces")
        };
        partners(options).into_iter().map(open).collect()
    }
}
