//! `tinydock pause` and `tinydock unpause`

use super::{Command, MANY, for_each};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "pause",
    usage: "CONTAINER...",
    summary: "Stop all processes of containers where they are",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: pause,
};

pub const UNPAUSE: Command = Command {
    name: "unpause",
    usage: "CONTAINER...",
    summary: "Let paused containers go on",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: unpause,
};

fn pause(engine: &Engine, parsed: Parsed) -> Result<u8> {
    for_each(&parsed.arguments, |name| engine.pause(&engine.find(name)?))
}

fn unpause(engine: &Engine, parsed: Parsed) -> Result<u8> {
    for_each(&parsed.arguments, |name| engine.unpause(&engine.find(name)?))
}
