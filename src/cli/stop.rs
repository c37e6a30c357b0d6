//! `tinydock stop`

use std::time::Duration;

use super::{Command, MANY, for_each};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option};
use crate::kernel::signal;

const FLAGS: [Flag; 2] = [
    option(
        "signal",
        Some(b's'),
        "SIGNAL",
        "The signal to send, by name or number (default TERM)",
    ),
    option(
        "time",
        Some(b't'),
        "SECONDS",
        "How long to wait before SIGKILL (default 10, -1 is forever)",
    ),
];

pub const COMMAND: Command = Command {
    name: "stop",
    usage: "[-s SIGNAL] [-t SECONDS] CONTAINER...",
    summary: "Ask containers to end, and kill those that do not",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

const GRACE: Duration = Duration::from_secs(10);

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let number = match parsed.text("signal")? {
        None => libc::SIGTERM,
        Some(text) => signal::parse(text)
            .ok_or_else(|| Error::invalid(format!("invalid signal `{text}`")).hint("give a name, such as `TERM`, or a number"))?,
    };
    let grace = match parsed.text("time")?.map(|text| (text, text.parse::<i64>())) {
        None => Some(GRACE),
        Some((_, Ok(-1))) => None,
        Some((_, Ok(seconds @ 0..))) => Some(Duration::from_secs(seconds as u64)),
        Some((text, _)) => {
            return Err(Error::invalid(format!("invalid time `{text}`")).hint("give a number of seconds, or -1 to wait forever"));
        }
    };
    for_each(&parsed.arguments, |name| engine.stop(&engine.find(name)?, number, grace))
}
