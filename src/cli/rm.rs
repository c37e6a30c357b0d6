//! `tinydock rm`

use super::{Command, MANY, for_each, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 1] = [switch("force", Some(b'f'), "Kill containers that are running")];

pub const COMMAND: Command = Command {
    name: "rm",
    usage: "[-f] CONTAINER...",
    summary: "Remove containers with all they have written",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let force = parsed.is_set("force");
    let status = for_each(&parsed.arguments, |name| engine.remove(&engine.find(name)?, force));
    tidy(engine);
    status
}
