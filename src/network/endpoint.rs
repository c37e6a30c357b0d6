//! A container's endpoint: its end of a pair of virtual interfaces, its address, its published ports.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use super::{Firewall, Network, Port, lease, ports};
use crate::error::{Doing, Result};
use crate::kernel::netlink::Socket;
use crate::kernel::netlink::route::Veth;
use crate::program::{Concept, Program};
use crate::store::{Id, Store};

/// The name of the interface in the container.
const INTERFACE: &str = "eth0";

/// Everything about a container's place in a network. What there is to undo when the container ends follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub network: String,
    pub bridge: String,
    /// The name of the host's end of the pair.
    pub interface: String,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
    pub ports: Vec<Port>,
}

/// Something that is done on the host for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Lease(Endpoint),
    StartLoopback,
    CreateVeth(Endpoint),
    Publish(Endpoint, Port),
}

impl Endpoint {
    pub fn new(network: &Network, id: &Id, address: Ipv4Addr, ports: Vec<Port>) -> Endpoint {
        Endpoint {
            network: network.name.clone(),
            bridge: network.bridge.clone(),
            interface: format!("td{}", id.short()),
            address,
            prefix: network.subnet.prefix(),
            gateway: network.subnet.gateway(),
            ports,
        }
    }

    /// The same endpoint with an interface of another name, which some digits make its own.
    pub fn with_other_interface(self, digits: &Id) -> Endpoint {
        let (own, other) = (&self.interface[..8], &digits.short()[..6]);
        Endpoint {
            interface: format!("{own}{other}"),
            ..self
        }
    }

    /// What is done on the host, in order.
    pub fn actions(&self) -> Vec<Action> {
        let publish = self.ports.iter().map(|port| Action::Publish(self.clone(), port.clone()));
        [Action::Lease(self.clone()), Action::CreateVeth(self.clone())]
            .into_iter()
            .chain(publish)
            .collect()
    }

    /// The hardware address as people write it.
    pub fn mac(&self) -> String {
        self.hardware_address().map(|byte| format!("{byte:02x}")).join(":")
    }

    /// The hardware address follows from the address, so that whoever has the address next answers to the same one.
    fn hardware_address(&self) -> [u8; 6] {
        let [a, b, c, d] = self.address.octets();
        [2, 0x42, a, b, c, d]
    }
}

impl Action {
    /// Why it is done.
    pub fn why(&self) -> &'static str {
        match self {
            Action::Lease(_) => "the lowest free address of the network, for as long as the container runs",
            Action::StartLoopback => "the container can talk to itself",
            Action::CreateVeth(_) => "a cable from the bridge into the container, both ends made where they belong",
            Action::Publish(..) => "what arrives at the host's port goes to the container's",
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Action::Lease(endpoint) => write!(f, "lease {} of network {}", endpoint.address, endpoint.network),
            Action::StartLoopback => write!(f, "netlink: set lo up"),
            Action::CreateVeth(endpoint) => {
                write!(
                    f,
                    "netlink: new veth {} on bridge {}, peer {INTERFACE} in the container",
                    endpoint.interface, endpoint.bridge
                )
            }
            Action::Publish(endpoint, port) => {
                let address = port
                    .address
                    .map_or_else(|| "any address".into(), |address| address.to_string());
                write!(
                    f,
                    "nftables: {} port {} of {address} to {}:{}",
                    port.protocol, port.host, endpoint.address, port.container
                )
            }
        }
    }
}

/// Makes the endpoint in a network namespace. The network's bridge, the address and the ports are there. Returns once packets can
/// pass.
pub fn connect(store: &Store, bridge: u32, endpoint: &Endpoint, namespace: BorrowedFd) -> Result<()> {
    let veth = Veth {
        name: &endpoint.interface,
        bridge,
        peer: INTERFACE,
        hardware_address: endpoint.hardware_address(),
        namespace,
    };
    let made = Socket::route().and_then(|socket| socket.create_veth(&veth));
    made.doing(|| format!("make interface `{}` on bridge `{}`", endpoint.interface, endpoint.bridge))?;
    if endpoint.ports.is_empty() {
        return Ok(());
    }
    Firewall::of(store).publish(endpoint.address, &endpoint.ports)
}

/// Undoes all that an endpoint is on the host, as far as there is something to undo. The interfaces go with the container's
/// network namespace. The store's lock is held.
pub fn disconnect(store: &Store, id: &Id, endpoint: &Endpoint) -> Result<()> {
    let own: Vec<Port> = endpoint
        .ports
        .iter()
        .filter(|port| ports::is_claimed(store, id, port))
        .cloned()
        .collect();
    Firewall::of(store).withdraw(endpoint.address, &own)?;
    ports::release_ports(store, id, &own)?;
    lease::release(store, &endpoint.network, endpoint.address, id)
}

/// Writes the step that starts the loopback interface, which every network namespace has.
pub fn loopback(program: &mut Program) {
    program.concept(Concept::BridgeNetworking);
    let socket = program.internet_socket("interfaces are configured through a socket");
    program.set_interface_up(socket, "lo", "the container can talk to itself");
}

/// The loopback interface of a network namespace, which is down in a new one.
pub struct Loopback(Socket);

impl Loopback {
    /// That of the namespace that this thread is in.
    pub fn here() -> Result<Loopback> {
        Socket::route().map(Loopback).doing(|| "find the loopback interface")
    }

    /// Starts it, from whichever namespace.
    pub fn start(&self) -> Result<()> {
        // The first interface of each namespace.
        const INDEX: u32 = 1;
        self.0.set_up(INDEX).doing(|| "start the loopback interface")
    }
}

impl AsFd for Loopback {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Writes the steps that configure the container's interface, after the host has made it.
pub fn configure(program: &mut Program, endpoint: &Endpoint) {
    program.concept(Concept::BridgeNetworking);
    let socket = program.internet_socket("interfaces are configured through a socket");
    let mask = Ipv4Addr::from(u32::MAX << (32 - u32::from(endpoint.prefix)));
    program.set_interface_address(
        socket,
        INTERFACE,
        endpoint.address,
        "its address, which nobody else in the network has",
    );
    program.set_interface_mask(socket, INTERFACE, mask, "which addresses are in the network");
    program.set_interface_up(socket, INTERFACE, "from now on it can be reached");
    program.add_default_route(socket, endpoint.gateway, "everything else is reached through the host");
}
