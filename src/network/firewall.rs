//! The packet filter: one nftables table of our own, which has the store's label as its name. Its rules are the same on every host and never change; networks and
//! published ports are elements of its sets and maps. Nothing that belongs to anyone else is touched.
//!
//! ```text
//! table ip tinydock {
//!   set subnets { type ipv4_addr; flags interval }              the networks' subnets
//!   set bridges { type ifname }                                 the networks' bridges
//!   set within { type ifname . ifname }                         each bridge with itself
//!   map published { inet_proto . inet_service : ipv4_addr . inet_service }                   ports of any address
//!   map published_at { ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }    ports of one address
//!
//!   chain raw          prerouting, before all else
//!     iifname @bridges ip daddr 127.0.0.0/8 drop                containers do not reach the host's own services
//!   chain prerouting   destination NAT of what arrives           and chain output of what local processes send
//!     dnat ip to ip daddr . meta l4proto . th dport map @published_at
//!     fib daddr type local dnat ip to meta l4proto . th dport map @published
//!   chain postrouting  source NAT
//!     ip saddr @subnets oifname != @bridges masquerade          to the outside, under the host's address
//!     ip saddr 127.0.0.0/8 oifname @bridges masquerade          from this host's own clients
//!     ct status dnat ip saddr @subnets oifname @bridges masquerade   between containers by way of a published port
//!   chain forward
//!     ct state established,related accept
//!     ct status dnat accept                                     published ports
//!     iifname . oifname @within accept                          within a network
//!     oifname @bridges drop                                     no other way into a network
//! }
//! ```

use std::io;
use std::net::Ipv4Addr;

use super::{Network, Port};
use crate::error::{Doing, Result};
use crate::kernel::netlink::Socket;
use crate::kernel::netlink::nftables::Expression::{
    Accept, Compare, Connection as Ct, DestinationKind, DestinationNat, Drop, Lookup, Map, Mask, Masquerade, Meta as M, Payload,
};
use crate::kernel::netlink::nftables::{
    Batch, Connection, Element, Expression, FORWARD, Header, Hook, Meta, OUTPUT, POSTROUTING, PREROUTING, Set, Type, table_comment,
};
use crate::store::Store;

/// Tells tables with other rules, of other versions of tinydock, from this one.
const COMMENT: &str = "made by tinydock, rules of version 1";

const SUBNETS: &str = "subnets";
const BRIDGES: &str = "bridges";
const WITHIN: &str = "within";
const PUBLISHED: &str = "published";
const PUBLISHED_AT: &str = "published_at";

const SETS: [Set; 5] = [
    Set {
        name: SUBNETS,
        key: &[Type::Address],
        value: &[],
        interval: true,
    },
    Set {
        name: BRIDGES,
        key: &[Type::Interface],
        value: &[],
        interval: false,
    },
    Set {
        name: WITHIN,
        key: &[Type::Interface, Type::Interface],
        value: &[],
        interval: false,
    },
    Set {
        name: PUBLISHED,
        key: &[Type::Protocol, Type::Port],
        value: &[Type::Address, Type::Port],
        interval: false,
    },
    Set {
        name: PUBLISHED_AT,
        key: &[Type::Address, Type::Protocol, Type::Port],
        value: &[Type::Address, Type::Port],
        interval: false,
    },
];

const SOURCE: Expression = Payload(Header::Network, 12, 4, 0);
const DESTINATION: Expression = Payload(Header::Network, 16, 4, 0);
const FROM_BRIDGE: [Expression; 2] = [M(Meta::InputName, 0), Lookup(BRIDGES, 0, true)];
const TO_BRIDGE: [Expression; 2] = [M(Meta::OutputName, 0), Lookup(BRIDGES, 0, true)];
const NOT_TO_BRIDGE: [Expression; 2] = [M(Meta::OutputName, 0), Lookup(BRIDGES, 0, false)];
const FROM_SUBNET: [Expression; 2] = [SOURCE, Lookup(SUBNETS, 0, true)];
const LOOPBACK: [Expression; 2] = [Mask(0, [255, 0, 0, 0]), Compare(0, true, &[127, 0, 0, 0])];
/// `RTN_LOCAL`, in native order.
const IS_LOCAL: [Expression; 2] = [DestinationKind(0), Compare(0, true, &2u32.to_ne_bytes())];
/// The bits of established and related connections, and of those whose destination was rewritten.
const KNOWN: [Expression; 3] = [
    Ct(Connection::State, 0),
    Mask(0, 6u32.to_ne_bytes()),
    Compare(0, false, &[0; 4]),
];
const REWRITTEN: [Expression; 3] = [
    Ct(Connection::Status, 0),
    Mask(0, 32u32.to_ne_bytes()),
    Compare(0, false, &[0; 4]),
];

/// The chains, each with its hook and its rules.
fn chains() -> Vec<(&'static str, Hook, Vec<Vec<Expression>>)> {
    let at = [
        DESTINATION,
        M(Meta::Protocol, 1),
        Payload(Header::Transport, 2, 2, 2),
        Map(PUBLISHED_AT, 0),
        DestinationNat(0, 1),
    ];
    let any = [
        M(Meta::Protocol, 0),
        Payload(Header::Transport, 2, 2, 1),
        Map(PUBLISHED, 0),
        DestinationNat(0, 1),
    ];
    let published = vec![at.to_vec(), [&IS_LOCAL[..], &any].concat()];
    let hook = |kind, number, priority| Hook { kind, number, priority };
    vec![
        (
            "raw",
            hook("filter", PREROUTING, -300),
            vec![[&FROM_BRIDGE[..], &[DESTINATION], &LOOPBACK, &[Drop]].concat()],
        ),
        ("prerouting", hook("nat", PREROUTING, -100), published.clone()),
        ("output", hook("nat", OUTPUT, -100), published),
        (
            "postrouting",
            hook("nat", POSTROUTING, 100),
            vec![
                [&FROM_SUBNET[..], &NOT_TO_BRIDGE, &[Masquerade]].concat(),
                [&[SOURCE][..], &LOOPBACK, &TO_BRIDGE, &[Masquerade]].concat(),
                [&REWRITTEN[..], &FROM_SUBNET, &TO_BRIDGE, &[Masquerade]].concat(),
            ],
        ),
        (
            "forward",
            hook("filter", FORWARD, 0),
            vec![
                [&KNOWN[..], &[Accept]].concat(),
                [&REWRITTEN[..], &[Accept]].concat(),
                vec![M(Meta::InputName, 0), M(Meta::OutputName, 4), Lookup(WITHIN, 0, true), Accept],
                [&TO_BRIDGE[..], &[Drop]].concat(),
            ],
        ),
    ]
}

/// What a network has in the sets: set and elements.
fn network_elements(network: &Network) -> [(&'static str, Vec<Element>); 3] {
    let mut name = network.bridge.clone().into_bytes();
    name.resize(16, 0);
    let element = |key: Vec<u8>, end| Element {
        key,
        value: Vec::new(),
        end,
    };
    let (start, end) = (network.subnet.base().octets(), network.subnet.end().octets());
    [
        (SUBNETS, vec![element(start.to_vec(), false), element(end.to_vec(), true)]),
        (BRIDGES, vec![element(name.clone(), false)]),
        (WITHIN, vec![element([name.clone(), name].concat(), false)]),
    ]
}

/// What a published port has in a map: the map and the element.
fn port_element(port: &Port, container: Ipv4Addr) -> (&'static str, Element) {
    let key = [&[port.protocol.number(), 0, 0, 0][..], &port.host.to_be_bytes(), &[0, 0]].concat();
    let value = [&container.octets()[..], &port.container.to_be_bytes(), &[0, 0]].concat();
    match port.address {
        None => (PUBLISHED, Element { key, value, end: false }),
        Some(address) => (
            PUBLISHED_AT,
            Element {
                key: [&address.octets()[..], &key].concat(),
                value,
                end: false,
            },
        ),
    }
}

/// The table of a store.
pub struct Firewall {
    table: String,
}

impl Firewall {
    pub fn of(store: &Store) -> Firewall {
        Firewall { table: store.label() }
    }

    /// Whether the table is there and is of this version.
    pub fn is_current(&self) -> Result<bool> {
        let doing = || format!("look for nftables table `{}`", self.table);
        let socket = Socket::netfilter().doing(doing)?;
        Ok(table_comment(&socket, &self.table)
            .doing(doing)?
            .is_some_and(|comment| comment == COMMENT || comment.is_empty()))
    }

    /// Makes the table, or makes it anew, with all networks and all ports that are published: the address of the container
    /// and the port.
    fn rebuild(&self, networks: &[Network], published: &[(Ipv4Addr, Port)]) -> Result<()> {
        let doing = || format!("make nftables table `{}`", self.table);
        let socket = Socket::netfilter().doing(doing)?;
        let mut batch = Batch::new(&self.table);
        if table_comment(&socket, &self.table).doing(doing)?.is_some() {
            batch.delete_table();
        }
        batch.create_table(COMMENT);
        for (set, id) in SETS.iter().zip(1..) {
            batch.create_set(set, id);
        }
        for (name, hook, rules) in chains() {
            batch.create_chain(name, hook);
            for rule in rules {
                batch.create_rule(name, &rule);
            }
        }
        for network in networks {
            for (set, elements) in network_elements(network) {
                batch.add_elements(set, &elements);
            }
        }
        for (container, port) in published {
            let (map, element) = port_element(port, *container);
            batch.add_elements(map, &[element]);
        }
        batch.commit(&socket).map_err(io::Error::from).doing(doing)
    }

    /// Adds a network, whether it is in the table or not. Makes the table, with all `networks` and all ports that
    /// `published` lists, if it is not there or of another version.
    pub fn admit(&self, network: &Network, networks: &[Network], published: &[(Ipv4Addr, Port)]) -> Result<()> {
        if !self.is_current()? {
            return self.rebuild(networks, published);
        }
        self.change(|batch| {
            for (set, elements) in network_elements(network) {
                batch.add_elements(set, &elements);
            }
        })
        .doing(|| format!("add network `{}` to nftables table `{}`", network.name, self.table))
    }

    /// Removes a network, if it is in the table.
    pub fn forget(&self, network: &Network) -> Result<()> {
        let removed = self.change(|batch| {
            for (set, elements) in network_elements(network) {
                batch.delete_elements(set, &elements);
            }
        });
        absent_is_fine(removed).doing(|| format!("remove network `{}` from nftables table `{}`", network.name, self.table))
    }

    /// Publishes ports of a container.
    pub fn publish(&self, container: Ipv4Addr, ports: &[Port]) -> Result<()> {
        self.change(|batch| {
            for port in ports {
                let (map, element) = port_element(port, container);
                batch.add_elements(map, &[element]);
            }
        })
        .doing(|| format!("publish ports of `{container}`"))
    }

    /// Takes the ports back, those that are there.
    pub fn withdraw(&self, container: Ipv4Addr, ports: &[Port]) -> Result<()> {
        let delete = |ports: &[Port]| {
            self.change(|batch| {
                for port in ports {
                    let (map, element) = port_element(port, container);
                    batch.delete_elements(map, &[element]);
                }
            })
        };
        // Usually all are there. If not, each must be asked for alone, since a transaction happens as a whole or not at all.
        match delete(ports) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                ports.chunks(1).try_for_each(|port| absent_is_fine(delete(port)))
            }
            result => result,
        }
        .doing(|| format!("withdraw ports of `{container}`"))
    }

    fn change(&self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let mut batch = Batch::new(&self.table);
        fill(&mut batch);
        Ok(batch.commit(&Socket::netfilter()?)?)
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}
