//! `tinydock top`

use super::table::ragged;
use super::{Command, MANY, print};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "top",
    usage: "CONTAINER [PS-OPTION...]",
    summary: "List the processes of a container",
    flags: &[],
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let name = parsed.arguments[0].display().to_string();
    let processes = engine.top(&engine.find(&name)?, &parsed.arguments[1..])?;
    let rows: Vec<Vec<String>> = std::iter::once(processes.titles).chain(processes.rows).collect();
    print(ragged(&rows)).map(|()| 0)
}
