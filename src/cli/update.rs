//! `tinydock update`

use super::{Command, MANY, container, for_each, warn};
use crate::engine::{Change, Engine};
use crate::error::{Error, Result};
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "update",
    usage: "[FLAGS] CONTAINER...",
    summary: "Change the limits and the restart policy of containers",
    flags: &container::CHANGING,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let change = container::change(&parsed)?;
    if change == Change::default() {
        return Err(Error::invalid("you must provide one or more flags when using this command")
            .hint("`tinydock update --help` lists them"));
    }
    for_each(&parsed.arguments, |name| engine.update(&engine.find(name)?, &change, warn))
}
