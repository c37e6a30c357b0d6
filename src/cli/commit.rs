//! `tinydock commit`

use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};
use crate::image::Name;

pub const COMMAND: Command = Command {
    name: "commit",
    usage: "CONTAINER NAME",
    summary: "Make an image of what a container has changed",
    flags: &[],
    order: Order::Mixed,
    arguments: (2, 2),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let name = Name::parse(&parsed.arguments[1].display().to_string())?;
    engine.commit(&container, &name)?;
    print(format!("{name}\n")).map(|()| 0)
}
