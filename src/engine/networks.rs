//! Networks, as commands see them.

use super::{Engine, recover};
use crate::error::{Error, Result};
use crate::network::{Network, Networks, Subnet};

impl Engine {
    /// Makes a network, with a subnet of its own or one that is free.
    pub fn create_network(&self, name: &str, subnet: Option<Subnet>) -> Result<Network> {
        let _lock = self.store.lock()?;
        Networks::new(&self.store).create(name, subnet)
    }

    /// Removes a network that no container uses.
    pub fn remove_network(&self, name: &str) -> Result<()> {
        recover::sweep(&self.store)?;
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
}
