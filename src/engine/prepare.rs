//! What is made ready before a container's processes exist: its address, its files and its program.

use std::fs;
use std::os::fd::OwnedFd;

use super::ahead::Ahead;
use super::plan::{Places, Plan, plan};
use super::{Container, Engine, recover};
use crate::error::{Doing, Error, Kind, Result};
use crate::isolation::Ids;
use crate::layer::{self, Given, Stack};
use crate::network::{self, Endpoint, Mode, Networks};
use crate::store::{Id, Store, write};

/// A container's place in a network, before there is anything in it.
pub struct Place {
    pub endpoint: Endpoint,
    /// The index of the network's bridge.
    pub bridge: u32,
    /// These keep the published ports from other processes.
    pub ports: Vec<OwnedFd>,
}

/// A container that can be started.
pub struct Prepared {
    pub plan: Plan,
    /// The container's root, attached nowhere, if it was made ahead.
    pub root: Option<OwnedFd>,
    pub place: Option<Place>,
    /// The ids of the container's users, if it has users of its own.
    pub users: Option<Ids>,
    /// Whether the container has run before.
    pub again: bool,
    /// The images of layers that are mounted for init.
    pub given: Given,
}

impl Engine {
    /// Prepares a container whose lock is held and whose monitor waits for it. It is `new` if nobody has tried to start it before.
    pub fn prepare(&self, container: &Container, ahead: &Ahead, new: bool) -> Result<Prepared> {
        let options = &container.spec.options;
        let again = !new && container.file("exit").exists();
        if again {
            layer::reuse(&container.file("work"))?;
        }
        let lower = Stack::open(&self.store, &container.spec.layers)?;
        let root = ahead.root(container, &lower)?;
        for mount in &options.mounts {
            mount
                .prepare(&self.store)
                .doing(|| format!("{} `{}`", mount.kind(), mount.target))?;
        }
        let view = lower.view_below(&container.file("upper"))?;
        let facts = ahead.facts(view);
        let users = self.find_users(container)?;
        let places = Places::of(&self.store, container, lower, users)?;
        let place = match &options.network {
            Mode::Bridge(name) => Some(self.find_place(container, name, new)?),
            Mode::None | Mode::Host => None,
        };
        let endpoint = place.as_ref().map(|place| &place.endpoint);
        let plan = plan(&facts, &container.spec, &places, &self.store.label(), endpoint)?;
        if plan.forks {
            // Init opens them before it waits for anybody.
            write_files(container, place.as_ref())?;
        }
        Ok(Prepared {
            plan,
            root,
            place,
            users,
            again,
            given: places.given,
        })
    }

    /// Finds an address and ports for a container, and writes down which before it has them.
    fn find_place(&self, container: &Container, name: &str, new: bool) -> Result<Place> {
        let mut lock = self.store.lock()?;
        let networks = Networks::new(&self.store);
        let network = networks.find_or_default(name)?;
        let address = match network::lowest_free(&self.store, &network) {
            Err(error) if error.kind == Kind::Conflict => {
                drop(lock);
                recover::sweep(&self.store)?;
                lock = self.store.lock()?;
                network::lowest_free(&self.store, &network)?
            }
            address => address?,
        };
        let taken = |owner: &Id| owner_of_port(&self.store, owner);
        let (ports, sockets) = network::reserve_ports(&self.store, &container.spec.options.ports, taken)?;
        let bridge = networks.ensure(&network)?;
        let mut endpoint = Endpoint::new(&network, container.id(), address, ports);
        if !new {
            // The kernel may still be busy taking down the interface that it had.
            endpoint = endpoint.with_other_interface(&Id::generate()?);
        }
        write(&container.run_file("endpoint"), &endpoint)?;
        network::lease(&self.store, name, address, container.id())?;
        network::claim_ports(&self.store, container.id(), address, &endpoint.ports)?;
        drop(lock);
        Ok(Place {
            endpoint,
            bridge,
            ports: sockets,
        })
    }
}

/// The name of the container that has a port, if it has a right to it. One that has ended or was killed is cleaned up after.
fn owner_of_port(store: &Store, owner: &Id) -> Result<Option<String>> {
    if !recover::is_alive(store, owner) {
        return recover::clean_network(store, owner).map(|()| None);
    }
    let container = Container::load(store, owner)?;
    Ok(Some(
        container.map_or_else(|| owner.short().to_string(), |container| container.spec.name),
    ))
}

/// Writes the files that tell the container about names.
pub fn write_files(container: &Container, place: Option<&Place>) -> Result<()> {
    let spec = &container.spec;
    let shares_host = spec.options.network == Mode::Host;
    let hosts = match shares_host {
        true => network::hosts_of_host(),
        false => network::hosts(&spec.hostname, place.map(|place| place.endpoint.address)),
    };
    let texts = [
        ("hosts", hosts),
        ("hostname", format!("{}\n", spec.hostname)),
        ("resolv.conf", network::resolv_conf(shares_host)),
    ];
    for (name, text) in texts {
        let path = container.file(name);
        fs::write(&path, text)
            .map_err(Error::from)
            .doing(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}
