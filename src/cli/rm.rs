//! `tinydock rm`

use super::{Command, MANY, for_those, report, tidy};
use crate::engine::Engine;
use crate::error::{Kind, Result};
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
    let status = for_those(&parsed.arguments, |name| match engine.find(name) {
        // It is as it was asked for.
        Err(error) if force && error.kind == Kind::NotFound => {
            report(&error);
            Ok(false)
        }
        container => engine.remove(&container?, force, volumes).map(|()| true),
    });
    tidy(engine);
    status
}
