//! `tinydock rm`

use super::{Command, MANY, for_each, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 2] = [
    switch("force", Some(b'f'), "Kill containers that are running"),
    switch("volumes", Some(b'v'), "Remove their volumes that have no name, too"),
];

pub const COMMAND: Command = Command {
    name: "rm",
    usage: "[-f] [-v] CONTAINER...",
    summary: "Remove containers with all they have written",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let (force, volumes) = (parsed.is_set("force"), parsed.is_set("volumes"));
    let status = for_each(&parsed.arguments, |name| engine.remove(&engine.find(name)?, force, volumes));
    tidy(engine);
    status
}
