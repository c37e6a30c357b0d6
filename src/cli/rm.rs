//! `tinydock rm`

use super::{Command, MANY, for_each, report, tidy};
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
    let mut names = parsed.arguments.clone();
    if force {
        // What is not there is as it was asked for.
        names.retain(|name| match engine.find(&name.display().to_string()) {
            Err(error) if error.kind == Kind::NotFound => {
                report(&error);
                false
            }
            _ => true,
        });
    }
    let status = for_each(&names, |name| match engine.find(name) {
        // It was there a moment ago.
        Err(error) if force && error.kind == Kind::NotFound => Ok(()),
        container => engine.remove(&container?, force, volumes),
    });
    tidy(engine);
    status
}
