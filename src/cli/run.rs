//! `tinydock run`

use std::io::{self, Write};

use super::{Command, MANY, container, print, warn};
use crate::engine::{Engine, Streams};
use crate::error::Result;
use crate::flags::{Order, Parsed};
use crate::network::Mode;
use crate::program::explain;

pub const COMMAND: Command = Command {
    name: "run",
    usage: "[FLAGS] IMAGE [COMMAND [ARGUMENT...]]",
    summary: "Create a container and run a command in it",
    flags: &container::FLAGS,
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 125,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let mut options = container::options(&parsed)?;
    let (detach, trace) = (parsed.is_set("detach"), parsed.is_set("trace"));
    let streams = Streams {
        terminal: options.terminal,
        input: options.interactive,
    };
    if !detach {
        streams.check()?;
    }
    if options.network == Mode::Host && !options.ports.is_empty() {
        warn("a container on the host's network has no ports of its own to publish");
    }
    for limit in &mut options.ulimits {
        let (possible, warning) = limit.clone().possible();
        *limit = possible;
        warning.iter().for_each(|warning| warn(warning));
    }
    let unavailable = options.security.unavailable();
    if !unavailable.is_empty() && !options.namespaces.has_users() {
        warn(&format!(
            "this process has not got {} itself, so the container goes without",
            unavailable.join(", ")
        ));
    }
    let run = engine.run(options, parsed.text("name")?, parsed.text("hostname")?, trace, warn)?;
    if trace {
        // That nobody reads it must not end a run.
        let _ = io::stderr().write_all(explain::text(&run.explained).as_bytes());
    }
    if detach {
        return print(format!("{}\n", run.id)).map(|()| 0);
    }
    Ok(run.attach(streams)? as u8)
}
