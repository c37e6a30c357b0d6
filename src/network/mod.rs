//! Bridge networking: containers of one network are on one virtual switch, and the host is their router.
//!
//! ```text
//!   container eth0 172.27.0.2 ──veth── ┐
//!   container eth0 172.27.0.3 ──veth── ┤ bridge 172.27.0.1 ── host's routing ── masquerade ── the outside
//!                                      │        ▲
//!                              published ports: destination address and port rewritten on their way in
//! ```
//!
//! A network is a subnet and a bridge. A container on it has an endpoint: a pair of virtual interfaces, one of which is made
//! in the container's network namespace and dies with it, and an address that is leased for as long as the container
//! runs. All packet filtering is in one table of our own, whose rules never change: networks and ports are elements of its
//! sets and maps.

mod endpoint;
mod exposed;
mod files;
mod firewall;
mod lease;
mod networks;
mod ports;
mod subnet;

use serde::{Deserialize, Serialize};

pub use endpoint::{Action, Endpoint, Loopback, configure, connect, disconnect, loopback};
pub use exposed::Exposed;
pub use files::{hosts, hosts_of_host, resolv_conf};
use firewall::Firewall;
pub use lease::{lease, lowest_free};
pub use networks::{DEFAULT, Networks};
pub use ports::{Port, Protocol, claim_ports, distinct, reserve_ports};
pub use subnet::Subnet;

/// A bridge network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub name: String,
    pub subnet: Subnet,
    /// The name of the bridge's interface.
    pub bridge: String,
    /// In seconds since 1970.
    pub created: u64,
}

/// Where a container is on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// On no network: it has only its own loopback.
    None,
    /// On the host's own network: it is not isolated at all.
    Host,
    /// On the network of this name.
    Bridge(String),
}
