//! `tinydock diff`

use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "diff",
    usage: "CONTAINER",
    summary: "List what a container has added (A), changed (C) and deleted (D)",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let mut text = Vec::new();
    for (change, path) in engine.changes(&container)? {
        text.extend_from_slice(format!("{} ", change.letter()).as_bytes());
        text.extend_from_slice(&path);
        text.push(b'\n');
    }
    print(text).map(|()| 0)
}
