//! `tinydock start`

use super::{Command, MANY, for_each, tidy, warn};
use crate::engine::{Engine, Run, Streams};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 2] = [
    switch("attach", Some(b'a'), "Show what the container writes until it ends"),
    switch("interactive", Some(b'i'), "The same, and pass on what is typed"),
];

pub const COMMAND: Command = Command {
    name: "start",
    usage: "[-a] [-i] CONTAINER...",
    summary: "Start containers that do not run",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let interactive = parsed.is_set("interactive");
    if !interactive && !parsed.is_set("attach") {
        return for_each(&parsed.arguments, |name| engine.start(&engine.find(name)?, warn).map(|_| ()));
    }
    let [name] = &parsed.arguments[..] else {
        return Err(Error::invalid("only one container can be started and attached to at once"));
    };
    let container = engine.find(&name.display().to_string())?;
    let streams = Streams {
        terminal: container.spec.options.terminal,
        input: interactive && container.spec.options.interactive,
    };
    streams.check()?;
    match engine.start(&container, warn)? {
        Some(attached) => Ok(Run::of(&container, attached).attach(streams)? as u8),
        None => Err(Error::conflict(format!("container `{}` is running", container.name()))),
    }
}
