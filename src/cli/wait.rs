//! `tinydock wait`

use super::{Command, MANY, print, report, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "wait",
    usage: "CONTAINER...",
    summary: "Wait until containers end, and print their exit codes",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let names = parsed.arguments.iter().map(|name| name.display().to_string());
    // All are expected before the first is waited for: the others could end meanwhile, and be removed.
    let expected: Vec<_> = names
        .map(|name| engine.find(&name).and_then(|container| engine.expect_end(container)))
        .collect();
    let mut status = 0;
    for end in expected {
        match end.and_then(|end| end.code()) {
            Ok(code) => print(format!("{code}\n"))?,
            Err(error) => {
                report(&error);
                status = 1;
            }
        }
    }
    Ok(status)
}
