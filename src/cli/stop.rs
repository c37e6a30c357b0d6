//! `tinydock stop` and `tinydock restart`

use super::{Command, MANY, container, for_each, tidy, warn};
use crate::engine::{Asking, Engine};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, option};

const FLAGS: [Flag; 2] = [
    option(
        "signal",
        Some(b's'),
        "SIGNAL",
        "The signal to send, by name or number (default: the container's, or TERM)",
    ),
    option(
        "time",
        Some(b't'),
        "SECONDS",
        "How long to wait before SIGKILL (default: the container's, or 10; -1 is forever)",
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
    run: stop,
};

pub const RESTART: Command = Command {
    name: "restart",
    usage: "[-s SIGNAL] [-t SECONDS] CONTAINER...",
    summary: "Stop containers, and start them again",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: restart,
};

fn stop(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let asking = asking("stop", &parsed)?;
    for_each(&parsed.arguments, |name| engine.stop(&engine.find(name)?, &asking))
}

fn restart(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let asking = Asking {
        keeps: true,
        ..asking("restart", &parsed)?
    };
    for_each(&parsed.arguments, |name| {
        let container = engine.find(name)?;
        engine.stop(&container, &asking)?;
        engine.start(&container, warn)?;
        engine.tell(&container, "restart");
        Ok(())
    })
}

fn asking(by: &'static str, parsed: &Parsed) -> Result<Asking> {
    Ok(Asking {
        by,
        signal: container::stop_signal(parsed, "signal")?,
        seconds: container::seconds(parsed, "time")?,
        ..Asking::default()
    })
}
