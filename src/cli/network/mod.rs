//! `tinydock network`

mod inspect;
mod list;

use super::confirm::confirm;
use super::filter::Filters;
use super::listing::{FORMAT, NO_TRUNC, QUIET};
use super::{Command, MANY, for_each, print};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::network::{Network, Subnet};

pub use inspect::inspect;

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
    usage: "[FLAGS] NETWORK",
    summary: "Create a network",
    flags: &CREATE_FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: create,
};

const LS_FLAGS: [Flag; 4] = [
    option(
        "filter",
        Some(b'f'),
        "KEY=VALUE",
        "Only networks with this `name`, `id`, `driver`, `type`, `dangling`",
    ),
    FORMAT,
    NO_TRUNC,
    QUIET,
];

pub const LS: Command = Command {
    name: "network ls",
    usage: "[FLAGS]",
    summary: "List networks",
    flags: &LS_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: list::run,
};

const PRUNE_FLAGS: [Flag; 2] = [
    option(
        "filter",
        None,
        "KEY=VALUE",
        "Only those that were made before this time: `until`",
    ),
    switch("force", Some(b'f'), "Do not ask"),
];

pub const PRUNE: Command = Command {
    name: "network prune",
    usage: "[FLAGS]",
    summary: "Remove all networks that no container has",
    flags: &PRUNE_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: prune,
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

fn rm(engine: &Engine, parsed: Parsed) -> Result<u8> {
    for_each(&parsed.arguments, |name| engine.remove_network(&engine.network(name)?.name))
}

fn prune(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let filters = Filters::parse(&parsed, &["until", "label", "label!"])?;
    let meant = Meant::of(&filters)?;
    confirm(
        &parsed,
        "This will remove all networks that no container has.",
        "network prune",
    )?;
    let removed = engine.prune_networks(|network| meant.has(network))?;
    print(deleted(&removed)).map(|()| 0)
}

/// Which networks are to go.
pub struct Meant {
    /// Those that were made before these times.
    until: Vec<u64>,
    /// None has labels, so those that want some mean none.
    wants_labels: bool,
}

impl Meant {
    pub fn of(filters: &Filters) -> Result<Meant> {
        Ok(Meant {
            until: filters.moments("until")?,
            wants_labels: filters.has("label"),
        })
    }

    pub fn has(&self, network: &Network) -> bool {
        !self.wants_labels && self.until.iter().all(|until| network.created < *until)
    }
}

/// What is told of networks that are gone.
pub fn deleted(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("Deleted Networks:\n{}\n\n", names.join("\n")),
    }
}
