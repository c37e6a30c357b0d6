//! `tinydock commit`

use super::{Command, print, tidy};
use crate::engine::{Commit, Engine};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::image::Reference;

const FLAGS: [Flag; 4] = [
    option("author", Some(b'a'), "AUTHOR", "Who made the image"),
    option(
        "change",
        Some(b'c'),
        "LINE",
        "Change the configuration, such as `CMD [\"sh\"]` or `ENV A=b`",
    ),
    option("message", Some(b'm'), "TEXT", "What was done"),
    switch(
        "pause",
        Some(b'p'),
        "Freeze a running container meanwhile, which is the default (`--pause=false`)",
    ),
];

pub const COMMAND: Command = Command {
    name: "commit",
    usage: "[-a AUTHOR] [-m TEXT] [-c LINE] CONTAINER [NAME[:TAG]]",
    summary: "Make an image of what a container has changed",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 2),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let name = parsed
        .arguments
        .get(1)
        .map(|name| Reference::parse(&name.display().to_string()));
    let name = name.transpose()?;
    let commit = Commit {
        author: parsed.text("author")?.map(str::to_string),
        message: parsed.text("message")?.map(str::to_string),
        changes: parsed.all("change").map(|change| change.display().to_string()).collect(),
        live: parsed.last("pause").is_some_and(|pause| pause == "false"),
    };
    let id = engine.commit(&container, name.as_ref(), &commit)?;
    print(format!("{id}\n")).map(|()| 0)
}
