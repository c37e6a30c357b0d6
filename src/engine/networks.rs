//! Networks, as commands see them.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{Container, Engine, recover};
use crate::error::{Error, Kind, Result};
use crate::network::{DEFAULT, Mode, Network, Networks, Subnet};
use crate::store::{Digest, is_prefix};

impl Engine {
    /// Makes a network, with a subnet of its own or one that is free.
    pub fn create_network(&self, name: &str, subnet: Option<Subnet>) -> Result<Network> {
        let _lock = self.store.lock()?;
        Networks::new(&self.store).create(name, subnet)
    }

    /// Removes a network that no container uses.
    pub fn remove_network(&self, name: &str) -> Result<()> {
        if [DEFAULT, "host", "none"].contains(&name) {
            return Err(Error::conflict(format!(
                "`{name}` is a pre-defined network and cannot be removed"
            )));
        }
        recover::sweep(&self.store)?;
        recover::let_vanish(&self.store)?;
        let _lock = self.store.lock()?;
        let networks = Networks::new(&self.store);
        networks.find(name)?;
        let leases = self.store.leases(name);
        let mut users: Vec<String> = leases
            .names()?
            .iter()
            .filter_map(|name| leases.owner(name))
            .map(|id| format!("`{}`", id.short()))
            .collect();
        users.sort();
        if !users.is_empty() {
            let used = Error::conflict(format!("network `{name}` is in use by container {}", users.join(", ")));
            return Err(used.hint("stop it first"));
        }
        networks.remove(name)
    }

    /// All networks, by name.
    pub fn networks(&self) -> Result<Vec<Network>> {
        Networks::new(&self.store).list()
    }

    /// The network that `text` means: its name, its id, or the beginning of its id that no other one has.
    pub fn network(&self, text: &str) -> Result<Network> {
        let networks = Networks::new(&self.store);
        let wrong = match networks.find(text) {
            Err(error) if error.kind == Kind::NotFound => error,
            found => return found,
        };
        if !is_prefix(text) {
            return Err(wrong);
        }
        let mut meant = networks.list()?;
        meant.retain(|network| self.network_id(&network.name).starts_with(text));
        match meant.len() {
            0 => Err(wrong),
            1 => Ok(meant.remove(0)),
            n => Err(Error::conflict(format!("`{text}` is the beginning of the ids of {n} networks")).hint("use more digits")),
        }
    }

    /// What a network is called by those who want an id. Networks have none of their own: it follows from their name and from when they
    /// were made.
    pub fn network_id(&self, name: &str) -> String {
        let made = Networks::new(&self.store).find(name).map_or(0, |network| network.created);
        let text = format!("{} network {name} {made}", self.store.root().display());
        Digest::of(Sha256::new_with_prefix(text)).hex().into()
    }

    /// The names of the networks that containers have, whether they run or not.
    pub fn used_networks(&self) -> Result<BTreeSet<String>> {
        let mut users = BTreeSet::new();
        for id in Container::ids(&self.store)? {
            if let Some(container) = Container::load(&self.store, &id)?
                && let Mode::Bridge(name) = container.spec.options.network
            {
                users.insert(name);
            }
        }
        Ok(users)
    }

    /// Removes the networks that no container has, whether it runs or not, and that are meant. The default one stays.
    pub fn prune_networks(&self, is_meant: impl Fn(&Network) -> bool) -> Result<Vec<String>> {
        let users = self.used_networks()?;
        let mut removed = Vec::new();
        for network in self.networks()? {
            if network.name != DEFAULT && is_meant(&network) && !users.contains(&network.name) {
                match self.remove_network(&network.name) {
                    Ok(()) => removed.push(network.name),
                    // Somebody has begun to use it, or was faster.
                    Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }
}
