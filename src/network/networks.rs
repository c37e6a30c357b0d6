//! The networks of a store.
//!
//! A network's record is written before its bridge is made, and renamed out of the way before the bridge is deleted; the
//! bridge is made again whenever it is missing. So whatever is interrupted, the record says what there is to do.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{Firewall, Network, Subnet, ports};
use crate::error::{Doing, Error, Kind, Result};
use crate::kernel::netlink::Socket;
use crate::store::{Id, Store, read_if_present, write_durably};

/// The network of containers that are given none: its name, its bridge and its subnet.
pub const DEFAULT: &str = "bridge";
const DEFAULT_SUBNET: Subnet = Subnet::new(Ipv4Addr::new(172, 26, 0, 0), 16);

/// Where the subnets of networks come from that are given none, and how large they are.
const POOLS: [Subnet; 2] = [
    Subnet::new(Ipv4Addr::new(172, 28, 0, 0), 14),
    Subnet::new(Ipv4Addr::new(192, 168, 0, 0), 16),
];
const POOL_PREFIX: u8 = 24;

/// Names that mean something else.
const RESERVED: [&str; 2] = ["none", "host"];

pub struct Networks<'a> {
    store: &'a Store,
}

impl Networks<'_> {
    pub fn new(store: &Store) -> Networks<'_> {
        Networks { store }
    }

    /// Makes a network. The store's lock is held.
    pub fn create(&self, name: &str, subnet: Option<Subnet>) -> Result<Network> {
        check_name(name)?;
        if self.find(name).is_ok() {
            return Err(Error::conflict(format!("network `{name}` exists already")));
        }
        let subnet = match subnet {
            Some(subnet) => self.check_free(subnet)?,
            None => self.choose()?,
        };
        self.make(name, subnet, format!("td-{}", &Id::generate()?.as_str()[..11]))
    }

    /// The network `name`; the default one is made when it is first asked for. The store's lock is held.
    pub fn find_or_default(&self, name: &str) -> Result<Network> {
        match self.find(name) {
            Err(error) if error.kind == Kind::NotFound && name == DEFAULT => {
                let subnet = self.check_free(DEFAULT_SUBNET).or_else(|_| self.choose())?;
                self.make(DEFAULT, subnet, self.default_bridge())
            }
            result => result,
        }
    }

    /// The default network as it will be when somebody uses it.
    pub fn default_to_be(&self) -> Network {
        Network {
            name: DEFAULT.into(),
            subnet: DEFAULT_SUBNET,
            bridge: self.default_bridge(),
            created: 0,
        }
    }

    /// `tinydock0`, or a name that tells the bridge of this store from those of others.
    fn default_bridge(&self) -> String {
        let label = self.store.label();
        label
            .strip_prefix("tinydock-")
            .map_or_else(|| "tinydock0".into(), |hash| format!("td0-{hash}"))
    }

    fn make(&self, name: &str, subnet: Subnet, bridge: String) -> Result<Network> {
        let created = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let network = Network {
            name: name.into(),
            subnet,
            bridge,
            created,
        };
        self.store.directory("network")?;
        write_durably(&self.path(name), &network)?;
        self.ensure(&network).inspect_err(|_| {
            // Without its bridge it would only be in the way; the error says why there is none.
            let _ = fs::remove_file(self.path(name));
        })?;
        Ok(network)
    }

    pub fn find(&self, name: &str) -> Result<Network> {
        check_name(name).map_err(|_| no_such(name))?;
        read_if_present(&self.path(name))?.ok_or_else(|| no_such(name))
    }

    /// All networks, by name. A record that cannot be read is an error that names it.
    pub fn list(&self) -> Result<Vec<Network>> {
        let directory = self.store.root().join("network");
        let mut networks = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                networks.extend(read_if_present::<Network>(&entry.path())?);
            }
        }
        networks.sort_by(|one: &Network, other| one.name.cmp(&other.name));
        Ok(networks)
    }

    /// Makes a network's bridge if it is missing, and sees to it that packets pass. Returns the bridge's index.
    ///
    /// The bridge is set up last of all: one that is up is complete.
    pub fn ensure(&self, network: &Network) -> Result<u32> {
        let doing = || format!("make bridge `{}` of network `{}`", network.bridge, network.name);
        let socket = Socket::route().doing(doing)?;
        let firewall = Firewall::of(self.store);
        if let Some(link) = socket.link(&network.bridge).doing(doing)?.filter(|link| link.is_up)
            && firewall.is_current()?
        {
            return Ok(link.index);
        }
        firewall.admit(network, &self.list()?, &ports::published(self.store)?)?;
        if socket.link(&network.bridge).doing(doing)?.is_none() {
            socket.create_bridge(&network.bridge).doing(doing)?;
        }
        let link = socket
            .link(&network.bridge)
            .doing(doing)?
            .ok_or_else(|| Error::system("it is not there").doing(doing()))?;
        socket
            .add_address(link.index, network.subnet.gateway(), network.subnet.prefix())
            .doing(doing)?;
        // Packets of local processes to published ports leave through the bridge with the address 127.0.0.1.
        set(&format!("/proc/sys/net/ipv4/conf/{}/route_localnet", network.bridge))?;
        set("/proc/sys/net/ipv4/ip_forward")?;
        socket.set_up(link.index).doing(doing)?;
        Ok(link.index)
    }

    /// Removes a network that no container uses. The store's lock is held.
    pub fn remove(&self, name: &str) -> Result<()> {
        let network = self.find(name)?;
        let removing = self.path(&format!(".{name}.removing"));
        fs::rename(self.path(name), &removing).doing(|| format!("remove network `{name}`"))?;
        self.finish_removal(&network, &removing)
    }

    fn finish_removal(&self, network: &Network, record: &PathBuf) -> Result<()> {
        let doing = || format!("remove network `{}`", network.name);
        Firewall::of(self.store).forget(network).doing(doing)?;
        Socket::route()
            .and_then(|socket| socket.delete_link(&network.bridge))
            .doing(doing)?;
        let _ = fs::remove_dir(self.store.run().join("network").join(&network.name));
        fs::remove_file(record).doing(doing)
    }

    /// Finishes what killed processes began. The store's lock is held.
    pub fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(self.store.root().join("network"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            if name.as_encoded_bytes().ends_with(b".removing") {
                if let Some(network) = read_if_present(&entry.path())? {
                    self.finish_removal(&network, &entry.path())?;
                }
            } else if name.as_encoded_bytes().starts_with(b".") {
                fs::remove_file(entry.path()).doing(|| format!("remove `{}`", entry.path().display()))?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.root().join("network").join(name)
    }

    /// A subnet that neither a network nor a route of this host has.
    fn choose(&self) -> Result<Subnet> {
        let taken = self.taken()?;
        let mut parts = POOLS.into_iter().flat_map(|pool| pool.parts(POOL_PREFIX));
        parts
            .find(|part| !taken.iter().any(|(other, _)| part.overlaps(*other)))
            .ok_or_else(|| Error::conflict("no subnet is left for another network").hint("choose one with `-subnet`"))
    }

    fn check_free(&self, subnet: Subnet) -> Result<Subnet> {
        match self.taken()?.into_iter().find(|(other, _)| subnet.overlaps(*other)) {
            Some((other, whose)) => Err(Error::conflict(format!("subnet `{subnet}` overlaps `{other}` of {whose}"))),
            None => Ok(subnet),
        }
    }

    /// What is taken, and by whom.
    fn taken(&self) -> Result<Vec<(Subnet, String)>> {
        let networks = self.list()?;
        let own: Vec<Subnet> = networks.iter().map(|network| network.subnet).collect();
        let mut taken: Vec<(Subnet, String)> = networks
            .into_iter()
            .map(|network| (network.subnet, format!("network `{}`", network.name)))
            .collect();
        let routes = Socket::route()
            .and_then(|socket| socket.routes())
            .doing(|| "read the routes of this host")?;
        for (base, prefix) in routes.into_iter().filter(|(_, prefix)| (1..=32).contains(prefix)) {
            let subnet = Subnet::new(base, prefix);
            if !base.is_loopback() && !own.iter().any(|own| own.overlaps(subnet)) {
                taken.push((subnet, "a route of this host".into()));
            }
        }
        Ok(taken)
    }
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("no such network: `{name}`")).hint("`tinydock network ls` lists them")
}

fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if RESERVED.contains(&name) {
        return Err(Error::invalid(format!("invalid network name `{name}`")).hint("it is the name of a mode of its own"));
    }
    if name.is_empty() || name.len() > 64 || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(valid) {
        let hint = "a name has letters, digits, `_`, `.` and `-`, begins with a letter or a digit, and is no longer than 64";
        return Err(Error::invalid(format!("invalid network name `{name}`")).hint(hint));
    }
    Ok(())
}

/// Writes `1` to a setting of the kernel, unless that is its value.
fn set(path: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|value| value.trim() == "1") {
        return Ok(());
    }
    fs::write(path, "1").doing(|| format!("write `1` to `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_and_no_modes() {
        for name in ["redis-nw", "a", "My_net.1", "bridge"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "none", "host", ".x", "-x", "a/b", "..", "a b", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
