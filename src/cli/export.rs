//! `tinydock export`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::{Command, archives, tidy};
use crate::engine::Engine;
use crate::error::{Doing, Result};
use crate::flags::{Flag, Order, Parsed, option};

const FLAGS: [Flag; 1] = [option(
    "output",
    Some(b'o'),
    "FILE",
    "Write this file instead of the standard output",
)];

pub const COMMAND: Command = Command {
    name: "export",
    usage: "[-o FILE] CONTAINER",
    summary: "Write all files of a container as a tarball",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    archives::write_to(parsed.last("output").map(PathBuf::from), |into| {
        let mut into = BufWriter::with_capacity(256 << 10, into);
        engine.export(&container, &mut into)?;
        into.flush().doing(|| "write the tarball")
    })
    .map(|()| 0)
}
