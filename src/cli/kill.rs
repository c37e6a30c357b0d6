//! `tinydock kill`

use super::{Command, MANY, container, for_each};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, option};

const FLAGS: [Flag; 1] = [option(
    "signal",
    Some(b's'),
    "SIGNAL",
    "The signal to send, by name or number (default KILL)",
)];

pub const COMMAND: Command = Command {
    name: "kill",
    usage: "[-s SIGNAL] CONTAINER...",
    summary: "Send running containers a signal",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let number = container::stop_signal(&parsed, "signal")?.unwrap_or(libc::SIGKILL);
    for_each(&parsed.arguments, |name| engine.kill(&engine.find(name)?, number))
}
