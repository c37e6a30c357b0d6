//! `tinydock start`

use super::{Command, MANY, attach, for_each, tidy, warn};
use crate::engine::{Engine, Run};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 4] = [
    switch("attach", Some(b'a'), "Show what the container writes until it ends"),
    switch("interactive", Some(b'i'), "The same, and pass on what is typed"),
    attach::DETACH_KEYS,
    attach::SIG_PROXY,
];

pub const COMMAND: Command = Command {
    name: "start",
    usage: "[FLAGS] CONTAINER...",
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
    let options = &container.spec.options;
    let streams = attach::streams(&parsed, options.terminal, interactive && options.interactive)?;
    streams.check()?;
    match engine.start(&container, warn)? {
        Some(attached) => attach::accompany(engine, &Run::of(&container, attached), &streams),
        None => attach::status(engine.attach(&container, &streams)?),
    }
}
