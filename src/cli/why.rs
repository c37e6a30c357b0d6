//! `tinydock why`

use super::{Command, print, tidy};
use crate::engine::{Engine, Stream};
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "why",
    usage: "CONTAINER",
    summary: "Say in words why a container ended",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let why = engine.why(&container)?;
    let mut text = format!("Container `{}`:\n", container.name());
    for sentence in &why.sentences {
        text += &format!("- {sentence}.\n");
    }
    if !why.lines.is_empty() {
        text += "\nIts last lines:\n";
    }
    for (stream, line) in &why.lines {
        let mark = if *stream == Stream::Stderr { "!" } else { " " };
        text += &format!("{mark} {}\n", line.trim_end_matches('\n'));
    }
    print(text).map(|()| 0)
}
