//! The flags about the container's place in a network.

use super::read_all;
use crate::error::Result;
use crate::flags::{Flag, Parsed, option, switch};
use crate::network::{self, Exposed, Mode, Port};

pub const FLAGS: &[Flag] = &[
    option(
        "network",
        None,
        "NETWORK",
        "Connect to a network, or `none`, or `host` (default `bridge`)",
    ),
    option(
        "publish",
        Some(b'p'),
        "[[ADDRESS:]HOST:]CONTAINER",
        "Publish a port of the container on the host",
    ),
    option(
        "expose",
        None,
        "PORT",
        "Say that the container listens there, as its image may do",
    ),
    switch(
        "publish-all",
        Some(b'P'),
        "Publish all ports that are exposed, at any that are free on the host",
    ),
];

pub fn mode(parsed: &Parsed) -> Result<Mode> {
    Ok(match parsed.text("network")? {
        None => Mode::Bridge(network::DEFAULT.into()),
        Some("none") => Mode::None,
        Some("host") => Mode::Host,
        Some("default") => Mode::Bridge(network::DEFAULT.into()),
        Some(name) => Mode::Bridge(name.into()),
    })
}

/// Ports without a place on the host.
pub fn exposed(parsed: &Parsed) -> Result<Vec<Port>> {
    Ok(Exposed::ports(read_all(parsed, "expose", Exposed::parse)?))
}

pub fn ports(parsed: &Parsed) -> Result<Vec<Port>> {
    let ports: Vec<Vec<Port>> = read_all(parsed, "publish", Port::parse)?;
    network::distinct(ports.concat())
}
