//! `tinydock rename`

use super::{Command, tidy};
use crate::engine::{Engine, bare_name};
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "rename",
    usage: "CONTAINER NAME",
    summary: "Give a container another name",
    flags: &[],
    order: Order::Mixed,
    arguments: (2, 2),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let [container, name] = [0, 1].map(|n| parsed.arguments[n].display().to_string());
    engine.rename(&engine.find(&container)?, bare_name(&name)).map(|()| 0)
}
