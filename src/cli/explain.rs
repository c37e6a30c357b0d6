//! `tinydock explain`

use super::{Command, MANY, container, print};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{self, Flag, Order, Parsed, switch};
use crate::program::explain;

const FLAGS: [Flag; 1] = [switch("json", None, "Print JSON")];

pub const COMMAND: Command = Command {
    name: "explain",
    usage: "[--json] run [FLAGS] IMAGE [COMMAND [ARGUMENT...]]",
    summary: "Show every step that `run` would take, without taking it",
    flags: &FLAGS,
    order: Order::FlagsFirst,
    arguments: (2, MANY),
    failure: 125,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let mut words = parsed.arguments.iter().cloned();
    let command = words.next().unwrap_or_default();
    if command != "run" {
        return Err(Error::invalid(format!("cannot explain `{}`", command.display())).hint("only `run` can be explained"));
    }
    // `--json` may also follow `run`, where a reader would put it.
    let flags: Vec<Flag> = container::FLAGS.iter().chain(&FLAGS).copied().collect();
    let run = flags::parse(&flags, Order::FlagsFirst, words)?;
    if run.arguments.is_empty() {
        return Err(Error::invalid("'tinydock explain run' requires at least 1 argument"));
    }
    let steps = engine.explain(&container::options(&run)?, container::called(&run)?)?;
    if parsed.is_set("json") || run.is_set("json") {
        let json = serde_json::to_string_pretty(&steps).map_err(Error::system)?;
        return print(format!("{json}\n")).map(|()| 0);
    }
    print(explain::text(&steps)).map(|()| 0)
}
