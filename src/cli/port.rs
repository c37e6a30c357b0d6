//! `tinydock port`

use std::net::Ipv4Addr;

use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Order, Parsed};
use crate::network::Port;

pub const COMMAND: Command = Command {
    name: "port",
    usage: "CONTAINER [PORT[/PROTOCOL]]",
    summary: "Show where a container's ports are published",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 2),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let mut ports = match container.state()?.started() {
        Some(_) => container.endpoint()?.map(|endpoint| endpoint.ports).unwrap_or_default(),
        None => Vec::new(),
    };
    ports.sort_by_key(|port| (port.container, port.protocol.number(), port.address, port.host));
    let Some(wanted) = parsed.arguments.get(1).map(|wanted| wanted.display().to_string()) else {
        let line = |port: &Port| format!("{}/{} -> {}\n", port.container, port.protocol, place(port));
        return print(ports.iter().map(line).collect::<String>()).map(|()| 0);
    };
    let wanted = if wanted.contains('/') {
        wanted
    } else {
        format!("{wanted}/tcp")
    };
    ports.retain(|port| format!("{}/{}", port.container, port.protocol) == wanted);
    if ports.is_empty() {
        return Err(Error::not_found(format!(
            "no public port `{wanted}` published for `{}`",
            container.name()
        )));
    }
    print(ports.iter().map(|port| place(port) + "\n").collect::<String>()).map(|()| 0)
}

fn place(port: &Port) -> String {
    format!("{}:{}", port.address.unwrap_or(Ipv4Addr::UNSPECIFIED), port.host)
}
