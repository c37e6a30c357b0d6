//! Addresses: each container of a network has one, the lowest that is free, for as long as it runs.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::Network;
use crate::error::{Error, Result};
use crate::store::{Id, Store};

/// The lowest free address of a network, which may be taken the next moment unless the store's lock is held.
pub fn lowest_free(store: &Store, network: &Network) -> Result<Ipv4Addr> {
    let leased: HashSet<Ipv4Addr> = store
        .leases(&network.name)
        .names()?
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    let free = network.subnet.addresses().find(|address| !leased.contains(address));
    free.ok_or_else(|| {
        let full = format!(
            "network `{}` has no free address: all of `{}` are leased",
            network.name, network.subnet
        );
        Error::conflict(full).hint("remove a container, or create a larger network")
    })
}

/// Leases a free address. The store's lock is held.
pub fn lease(store: &Store, network: &str, address: Ipv4Addr, id: &Id) -> Result<()> {
    store.leases(network).claim(&address.to_string(), id, "")
}

/// Gives an address back, if the container has it. The store's lock is held.
pub fn release(store: &Store, network: &str, address: Ipv4Addr, id: &Id) -> Result<()> {
    store.leases(network).release(&address.to_string(), id)
}
