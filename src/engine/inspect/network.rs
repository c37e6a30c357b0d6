//! A container's place in its network, as Docker shows it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::engine::{Engine, Options, State};
use crate::network::{DEFAULT, Endpoint, Mode, Port};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    bridge: String,
    #[serde(rename = "SandboxID")]
    sandbox_id: String,
    sandbox_key: String,
    ports: BTreeMap<String, Option<Vec<Binding>>>,
    hairpin_mode: bool,
    #[serde(rename = "LinkLocalIPv6Address")]
    link_local_address: String,
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    link_local_prefix: u8,
    #[serde(rename = "SecondaryIPAddresses")]
    secondary_addresses: Option<Vec<String>>,
    #[serde(rename = "SecondaryIPv6Addresses")]
    secondary_addresses6: Option<Vec<String>>,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    address6: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix6: u8,
    #[serde(rename = "IPAddress")]
    address: String,
    #[serde(rename = "IPPrefixLen")]
    prefix: u8,
    #[serde(rename = "IPv6Gateway")]
    gateway6: String,
    mac_address: String,
    networks: BTreeMap<String, Attachment>,
}

/// Where a port is published.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Binding {
    host_ip: String,
    host_port: String,
}

/// A container on a network.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<()>,
    links: Option<Vec<String>>,
    aliases: Option<Vec<String>>,
    mac_address: String,
    driver_opts: Option<BTreeMap<String, String>>,
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    gateway: String,
    #[serde(rename = "IPAddress")]
    address: String,
    #[serde(rename = "IPPrefixLen")]
    prefix: u8,
    #[serde(rename = "IPv6Gateway")]
    gateway6: String,
    #[serde(rename = "GlobalIPv6Address")]
    address6: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix6: u8,
    #[serde(rename = "DNSNames")]
    names: Option<Vec<String>>,
}

/// Ports by what they are in the container: `80/tcp`.
pub fn bindings(ports: &[Port]) -> BTreeMap<String, Vec<Binding>> {
    let mut bindings: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    for port in ports {
        bindings
            .entry(format!("{}/{}", port.container, port.protocol))
            .or_default()
            .push(Binding {
                host_ip: port.address.map_or_else(String::new, |address| address.to_string()),
                host_port: if port.host == 0 {
                    String::new()
                } else {
                    port.host.to_string()
                },
            });
    }
    bindings
}

impl Engine {
    /// A container's place in its network.
    pub fn network_settings(&self, options: &Options, endpoint: Option<&Endpoint>, state: &State) -> NetworkSettings {
        let name = match &options.network {
            Mode::None => "none",
            Mode::Host => "host",
            Mode::Bridge(name) => name.as_str(),
        };
        let attachment = Attachment {
            network_id: self.network_id(name),
            ..endpoint.map(Attachment::of).unwrap_or_default()
        };
        // Docker shows the address on the default network once more.
        let own = if name == DEFAULT {
            attachment.clone()
        } else {
            Attachment::default()
        };
        let ports = endpoint.map(|endpoint| bindings(&endpoint.ports)).unwrap_or_default();
        // What is published is published on all addresses unless one is named.
        let everywhere = |binding: Binding| match binding.host_ip.as_str() {
            "" => Binding {
                host_ip: Ipv4Addr::UNSPECIFIED.to_string(),
                ..binding
            },
            _ => binding,
        };
        let ports = ports
            .into_iter()
            .map(|(port, bindings)| (port, Some(bindings.into_iter().map(everywhere).collect())));
        let exposed = options.exposed.iter().filter(|_| endpoint.is_some());
        let exposed = exposed.map(|port| (format!("{}/{}", port.container, port.protocol), None));
        let pid = state.started().map(|started| started.pid);
        NetworkSettings {
            bridge: String::new(),
            sandbox_id: String::new(),
            sandbox_key: pid.map_or_else(String::new, |pid| format!("/proc/{pid}/ns/net")),
            ports: exposed.chain(ports).collect(),
            hairpin_mode: false,
            link_local_address: String::new(),
            link_local_prefix: 0,
            secondary_addresses: None,
            secondary_addresses6: None,
            endpoint_id: own.endpoint_id,
            gateway: own.gateway,
            address6: own.address6,
            prefix6: own.prefix6,
            address: own.address,
            prefix: own.prefix,
            gateway6: own.gateway6,
            mac_address: own.mac_address,
            networks: [(name.to_string(), attachment)].into(),
        }
    }
}

impl Attachment {
    fn of(endpoint: &Endpoint) -> Attachment {
        Attachment {
            gateway: endpoint.gateway.to_string(),
            address: endpoint.address.to_string(),
            prefix: endpoint.prefix,
            mac_address: endpoint.mac(),
            ..Attachment::default()
        }
    }
}
