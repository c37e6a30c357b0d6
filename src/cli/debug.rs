//! `tinydock debug`

use std::io::{self, IsTerminal};

use super::exec::{PRIVILEGED, check_directory};
use super::{Command, MANY, attach, container, tidy};
use crate::engine::{Engine, ExecOptions};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, option};

const FLAGS: [Flag; 6] = [
    attach::DETACH_KEYS,
    option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
    option("env-file", None, "FILE", "The same, from the lines of a file"),
    PRIVILEGED,
    option("workdir", Some(b'w'), "DIRECTORY", "The working directory"),
    option(
        "user",
        Some(b'u'),
        "USER[:GROUP]",
        "Run as a user, by name or number (default: root)",
    ),
];

pub const COMMAND: Command = Command {
    name: "debug",
    usage: "[FLAGS] CONTAINER [COMMAND [ARGUMENT...]]",
    summary: "Run a shell, or a command, with tools that the container need not have",
    flags: &FLAGS,
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 125,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let mut arguments = parsed.arguments.iter().cloned();
    let name = arguments.next().unwrap_or_default();
    let mut command: Vec<_> = arguments.map(Into::into).collect();
    if command.is_empty() {
        command.push("sh".into());
    }
    let options = ExecOptions {
        command,
        environment: container::environment(&parsed)?,
        directory: parsed.last("workdir").cloned().map(Into::into),
        user: Some(parsed.text("user")?.unwrap_or("0:0").to_string()),
        // Whoever types sees what they type.
        terminal: io::stdin().is_terminal() && io::stdout().is_terminal(),
        interactive: true,
        detach: false,
        privileged: parsed.is_set("privileged"),
    };
    check_directory(&options)?;
    let streams = attach::streams(&parsed, options.terminal, options.interactive)?;
    streams.check()?;
    let container = engine.find(&name.display().to_string())?;
    attach::status(engine.debug(&container, &options, &streams)?)
}
