//! `tinydock network`

use super::table::table;
use super::{Command, MANY, for_each, print, tidy};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option};
use crate::network::Subnet;

const CREATE_FLAGS: [Flag; 2] = [
    option(
        "driver",
        Some(b'd'),
        "DRIVER",
        "How the network works: `bridge`, which is also the default",
    ),
    option(
        "subnet",
        None,
        "CIDR",
        "The network's addresses, such as 172.27.0.0/16 (default: a free subnet)",
    ),
];

pub const CREATE: Command = Command {
    name: "network create",
    usage: "[-driver bridge] [-subnet CIDR] NETWORK",
    summary: "Create a network",
    flags: &CREATE_FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: create,
};

pub const LS: Command = Command {
    name: "network ls",
    usage: "",
    summary: "List networks",
    flags: &[],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: ls,
};

pub const RM: Command = Command {
    name: "network rm",
    usage: "NETWORK...",
    summary: "Remove networks that no container uses",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: rm,
};

fn create(engine: &Engine, parsed: Parsed) -> Result<u8> {
    if let Some(driver) = parsed.text("driver")?.filter(|driver| *driver != "bridge") {
        return Err(Error::invalid(format!("unsupported driver: `{driver}`")).hint("the only driver is `bridge`"));
    }
    let subnet = parsed.text("subnet")?.map(Subnet::parse).transpose()?;
    let network = engine.create_network(&parsed.arguments[0].display().to_string(), subnet)?;
    print(format!("{}\n", network.name)).map(|()| 0)
}

fn ls(engine: &Engine, _: Parsed) -> Result<u8> {
    tidy(engine);
    let gateway = |subnet: Subnet| format!("{}/{}", subnet.gateway(), subnet.prefix());
    let rows = engine
        .networks()?
        .into_iter()
        .map(|network| [network.name, "bridge".into(), gateway(network.subnet), network.bridge]);
    print(table(["NAME", "DRIVER", "GATEWAY", "BRIDGE"], rows)).map(|()| 0)
}

fn rm(engine: &Engine, parsed: Parsed) -> Result<u8> {
    for_each(&parsed.arguments, |name| engine.remove_network(name))
}
