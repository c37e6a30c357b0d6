//! Published ports: what arrives at a port of the host goes to a port of a container.

use std::fmt::{self, Display};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::store::{Claims, Id, Store};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// Its number in IP headers.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Protocol> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            other => Err(Error::invalid(format!("unknown protocol `{other}`"))),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if *self == Protocol::Tcp { "tcp" } else { "udp" })
    }
}

/// A port of the host and the container's port that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub protocol: Protocol,
    /// One of the host's addresses; none means all of them.
    pub address: Option<Ipv4Addr>,
    /// The port of the host. 0 means any that is free.
    pub host: u16,
    pub container: u16,
}

impl Port {
    /// Reads `[[ADDRESS:][HOST]:]CONTAINER[/tcp|/udp]`, where both ports may be ranges `FIRST-LAST` of one length.
    pub fn parse(text: &str) -> Result<Vec<Port>> {
        let wrong = |what: &str| {
            Error::invalid(what)
                .doing(format!("port `{text}`"))
                .hint("write it like `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`")
        };
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol: Protocol = protocol.parse().map_err(|error: Error| wrong(&error.to_string()))?;
        let parts: Vec<&str> = ports.split(':').collect();
        let (address, host, container) = match parts[..] {
            [container] => ("", "", container),
            [host, container] => ("", host, container),
            [address, host, container] => (address, host, container),
            _ => return Err(wrong("has too many parts")),
        };
        let address = match address {
            "" | "0.0.0.0" => None,
            text => Some(text.parse().map_err(|_| wrong(&format!("`{text}` is no IPv4 address")))?),
        };
        let container = range(container).ok_or_else(|| wrong("the container's port is no number from 1 to 65535"))?;
        let host = match host {
            "" | "0" => None,
            text => Some(range(text).ok_or_else(|| wrong("the host's port is no number from 1 to 65535"))?),
        };
        if host.as_ref().is_some_and(|host| host.len() != container.len()) {
            return Err(wrong("the two ranges differ in length"));
        }
        let port = |(container, n)| Port {
            protocol,
            address,
            host: host.as_ref().map_or(0, |host| host.start() + n),
            container,
        };
        Ok(container.zip(0..).map(port).collect())
    }

    /// Which port of the container it is, wherever it is on the host.
    pub fn within(&self) -> (Protocol, u16) {
        (self.protocol, self.container)
    }

    /// A container's port that may be anywhere on the host.
    pub fn inside(protocol: Protocol, container: u16) -> Port {
        Port {
            protocol,
            address: None,
            host: 0,
            container,
        }
    }

    /// Whether both are the same port of the host, of the same address or of all, so that only one can be published.
    fn excludes(&self, other: &Port) -> bool {
        let addresses = (self.address, other.address);
        self.host != 0
            && (self.protocol, self.host) == (other.protocol, other.host)
            && (addresses.0.is_none() || addresses.1.is_none() || addresses.0 == addresses.1)
    }

    /// What the port is claimed as.
    fn claim(&self) -> String {
        format!(
            "{}-{}-{}",
            self.protocol,
            self.address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            self.host
        )
    }

    /// Reads a claim and its note again: the container's address and the port.
    fn from_claim(claim: &str, note: &str) -> Option<(Ipv4Addr, Port)> {
        let mut parts = claim.split('-');
        let protocol = parts.next()?.parse().ok()?;
        let address: Ipv4Addr = parts.next()?.parse().ok()?;
        let host = parts.next()?.parse().ok()?;
        let target: SocketAddrV4 = note.parse().ok()?;
        let address = (!address.is_unspecified()).then_some(address);
        Some((
            *target.ip(),
            Port {
                protocol,
                address,
                host,
                container: target.port(),
            },
        ))
    }

    /// Binds the port, so that no other process of this host can take it and nobody else has it. The socket is never
    /// listened on: packets are rewritten before they reach it. Returns the port with its number.
    fn reserve(mut self) -> Result<(Port, OwnedFd)> {
        let kind = if self.protocol == Protocol::Tcp {
            SocketType::STREAM
        } else {
            SocketType::DGRAM
        };
        let address = SocketAddrV4::new(self.address.unwrap_or(Ipv4Addr::UNSPECIFIED), self.host);
        let doing = || format!("publish port `{self}`");
        let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None).doing(doing)?;
        let bound = match bind(&socket, &address) {
            // Perhaps there are only remains of closed connections, which do not mind.
            Err(Errno::ADDRINUSE) if self.protocol == Protocol::Tcp => {
                sockopt::set_socket_reuseaddr(&socket, true).doing(doing)?;
                bind(&socket, &address)
            }
            bound => bound,
        };
        match bound {
            Err(Errno::ADDRINUSE) => {
                let taken = Error::conflict("another process of this host has it").doing(doing());
                return Err(taken.hint(format!(
                    "choose another host port, or let tinydock choose one with `-p {}`",
                    self.container
                )));
            }
            Err(Errno::ADDRNOTAVAIL) => return Err(Error::invalid("this host does not have the address").doing(doing())),
            bound => bound.doing(doing)?,
        }
        if self.host == 0 {
            let name = getsockname(&socket).doing(doing)?;
            self.host = SocketAddrV4::try_from(name).doing(doing)?.port();
        }
        Ok((self, socket))
    }
}

/// A port or a range of ports.
pub fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|port: &u16| *port > 0 && text.bytes().all(|c| c.is_ascii_digit()))
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

impl Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let address = self.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        write!(f, "{address}:{}->{}/{}", self.host, self.container, self.protocol)
    }
}

/// The ports that are asked for, each once. No two may be the same of the host.
pub fn distinct(ports: Vec<Port>) -> Result<Vec<Port>> {
    let mut kept: Vec<Port> = Vec::new();
    for port in ports {
        match kept.iter().find(|other| other.excludes(&port)) {
            Some(other) if *other == port => {}
            Some(other) => {
                let wrong = Error::invalid(format!("`{other}` is to be published, too")).doing(format!("publish port `{port}`"));
                return Err(wrong.hint("choose another host port for one of them"));
            }
            None => kept.push(port),
        }
    }
    Ok(kept)
}

/// Finds out whether ports can be published, and keeps them. `taken` is asked about a container that stands in the way: it
/// returns the container's name if that one has a right to its port.
///
/// Returns the ports with their numbers, and sockets that keep them from other processes. The store's lock is held.
pub fn reserve_ports(
    store: &Store,
    ports: &[Port],
    taken: impl Fn(&Id) -> Result<Option<String>>,
) -> Result<(Vec<Port>, Vec<OwnedFd>)> {
    let claims = store.ports();
    let (mut reserved, mut sockets) = (Vec::new(), Vec::new());
    for port in ports {
        for other in conflicts(&claims, port)? {
            if let Some(name) = taken(&other)? {
                let taken = Error::conflict(format!("already published by container `{name}`"))
                    .doing(format!("publish port `{}`", port.host));
                return Err(taken.hint(format!(
                    "choose another host port, or let tinydock choose one with `-p {}`",
                    port.container
                )));
            }
        }
        let (port, socket) = port.clone().reserve()?;
        reserved.push(port);
        sockets.push(socket);
    }
    Ok((reserved, sockets))
}

/// Claims ports for a container with an address. The store's lock is held.
pub fn claim_ports(store: &Store, id: &Id, address: Ipv4Addr, ports: &[Port]) -> Result<()> {
    ports.iter().try_for_each(|port| {
        store
            .ports()
            .claim(&port.claim(), id, &SocketAddrV4::new(address, port.container).to_string())
    })
}

/// Who has claimed the same port, of the same address or of all.
fn conflicts(claims: &Claims, port: &Port) -> Result<Vec<Id>> {
    if port.host == 0 {
        return Ok(Vec::new());
    }
    let same = |name: &String| Port::from_claim(name, "0.0.0.0:0").is_some_and(|(_, other)| other.excludes(port));
    Ok(claims
        .names()?
        .into_iter()
        .filter(same)
        .filter_map(|name| claims.owner(&name))
        .collect())
}

/// Whether a container has claimed a port.
pub fn is_claimed(store: &Store, id: &Id, port: &Port) -> bool {
    store.ports().owner(&port.claim()).as_ref() == Some(id)
}

/// Gives ports back. The store's lock is held.
pub fn release_ports(store: &Store, id: &Id, ports: &[Port]) -> Result<()> {
    ports.iter().try_for_each(|port| store.ports().release(&port.claim(), id))
}

/// All ports that are published on this host, with the addresses of their containers.
pub fn published(store: &Store) -> Result<Vec<(Ipv4Addr, Port)>> {
    let claims = store.ports();
    let names = claims.names()?;
    Ok(names
        .iter()
        .filter_map(|name| Port::from_claim(name, &claims.find(name)?.note))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("80", vec!["0.0.0.0:0->80/tcp"]),
            ("8080:80", vec!["0.0.0.0:8080->80/tcp"]),
            ("0:80", vec!["0.0.0.0:0->80/tcp"]),
            ("53:53/udp", vec!["0.0.0.0:53->53/udp"]),
            ("127.0.0.1:8080:80/tcp", vec!["127.0.0.1:8080->80/tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1:0->80/tcp"]),
            ("0.0.0.0:1:2", vec!["0.0.0.0:1->2/tcp"]),
            ("8000-8001:80-81", vec!["0.0.0.0:8000->80/tcp", "0.0.0.0:8001->81/tcp"]),
        ] {
            let ports: Vec<String> = Port::parse(text).unwrap().iter().map(Port::to_string).collect();
            assert_eq!(ports, shown, "{text}");
        }
    }

    #[test]
    fn bad_ports_are_named() {
        for text in [
            "",
            ":",
            "80:",
            "65536:80",
            "a:80",
            "80:a",
            "1-2:80",
            "2-1:81-80",
            "80/sctp",
            "1:2:3:4",
            "host:1:2",
            "+80:80",
            "::1:80:80",
        ] {
            let error = Port::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("port `{text}`: ")), "{error}");
        }
    }

    #[test]
    fn ports_of_the_host_are_published_once() {
        let distinct = |texts: &[&str]| distinct(texts.iter().flat_map(|text| Port::parse(text).unwrap()).collect());
        assert_eq!(
            distinct(&["81:80", "81:80", "81:80/udp", "82:80", "80", "80"]).unwrap().len(),
            5
        );
        assert_eq!(distinct(&["127.0.0.1:81:80", "127.0.0.2:81:80"]).unwrap().len(), 2);
        for both in [["81:80", "81:82"], ["81:80", "127.0.0.1:81:80"], ["80-82:80-82", "81:80"]] {
            let error = distinct(&both).unwrap_err().to_string();
            assert!(error.contains(":81->") && error.contains("too"), "{error}");
        }
    }

    #[test]
    fn a_claim_says_all_about_a_port() {
        for text in ["8080:80", "127.0.0.1:53:5353/udp"] {
            let port = Port::parse(text).unwrap().remove(0);
            let target = SocketAddrV4::new(Ipv4Addr::new(172, 27, 0, 2), port.container);
            assert_eq!(
                Port::from_claim(&port.claim(), &target.to_string()),
                Some((*target.ip(), port))
            );
        }
    }
}
