//! Exposed ports: where something in a container listens, which is no place on the host. Images say so, in lists of any length.

use std::ops::RangeInclusive;

use super::ports::range;
use super::{Port, Protocol};
use crate::error::{Doing, Error, Result};

/// A port, or several that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    protocol: Protocol,
    ports: RangeInclusive<u16>,
}

impl Exposed {
    /// Reads `PORT[/tcp|/udp]` or `FIRST-LAST[/tcp|/udp]`.
    pub fn parse(text: &str) -> Result<Exposed> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let wrong = || Error::invalid("is no number from 1 to 65535, and no range of such").hint("write it like `80` or `53/udp`");
        let read = || -> Result<Exposed> {
            Ok(Exposed {
                protocol: protocol.parse()?,
                ports: range(ports).ok_or_else(wrong)?,
            })
        };
        read().doing(|| format!("port `{}`", text.escape_debug()))
    }

    /// All ports of these, each once, in their order.
    pub fn ports(mut all: Vec<Exposed>) -> Vec<Port> {
        all.sort_by_key(|exposed| (exposed.protocol, *exposed.ports.start()));
        let mut ports: Vec<Port> = Vec::new();
        for Exposed { protocol, ports: range } in all {
            let last = ports.last().filter(|last| last.protocol == protocol);
            let first = last
                .map_or(1, |last| u32::from(last.container) + 1)
                .max((*range.start()).into());
            // Beyond the last port there is none.
            let new = (first..=u32::from(*range.end())).filter_map(|port| u16::try_from(port).ok());
            ports.extend(new.map(|container| Port::inside(protocol, container)));
        }
        ports
    }
}

impl From<&Port> for Exposed {
    fn from(port: &Port) -> Exposed {
        Exposed {
            protocol: port.protocol,
            ports: port.container..=port.container,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(texts: &[&str]) -> Vec<String> {
        let all = texts.iter().map(|text| Exposed::parse(text).unwrap()).collect();
        let show = |port: &Port| format!("{}/{}", port.container, port.protocol);
        Exposed::ports(all).iter().map(show).collect()
    }

    #[test]
    fn each_port_is_exposed_once() {
        let shown = ports(&["80", "53/udp", "79-81/tcp", "80/tcp", "8-9/udp", "82"]);
        assert_eq!(shown, ["79/tcp", "80/tcp", "81/tcp", "82/tcp", "8/udp", "9/udp", "53/udp"]);
    }

    #[test]
    fn an_endless_list_is_no_more_than_all_ports() {
        let texts: Vec<String> = (1..=65535u16).map(|first| format!("{first}-65535")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain(["1-65535/udp"]).collect();
        assert_eq!(ports(&texts).len(), 2 * 65535);
    }

    #[test]
    fn places_on_the_host_are_none_that_listen() {
        for text in ["8080:80", "127.0.0.1::80", "0", "", "80/sctp", "9-8", "65536", "-1"] {
            assert!(Exposed::parse(text).is_err(), "{text}");
        }
    }
}
