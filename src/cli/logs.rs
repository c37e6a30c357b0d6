//! `tinydock logs`

use std::io::Write;

use super::{Command, print, tidy};
use crate::engine::{Engine, Stream};
use crate::error::{Doing, Result};
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 1] = [switch("follow", Some(b'f'), "Go on until the container ends")];

pub const COMMAND: Command = Command {
    name: "logs",
    usage: "[-f] CONTAINER",
    summary: "Print what a container has written",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let show = |stream, text: &str| match stream {
        Stream::Stdout => print(text),
        Stream::Stderr => std::io::stderr().write_all(text.as_bytes()).doing(|| "write the output"),
    };
    engine.logs(&container, parsed.is_set("follow"), show).map(|()| 0)
}
