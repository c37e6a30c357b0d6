//! `tinydock exec`

use super::{Command, MANY, attach, container, tidy};
use crate::engine::{Engine, ExecOptions};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};

/// What `exec` and `debug` take alike.
pub const PRIVILEGED: Flag = switch(
    "privileged",
    None,
    "Trust the command like the host's root, in the container's namespaces",
);

const FLAGS: [Flag; 9] = [
    switch("interactive", Some(b'i'), "Keep the command's standard input open"),
    switch("tty", Some(b't'), "Give the command a terminal"),
    switch("detach", Some(b'd'), "Leave the command running"),
    attach::DETACH_KEYS,
    option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
    option("env-file", None, "FILE", "The same, from the lines of a file"),
    PRIVILEGED,
    option("workdir", Some(b'w'), "DIRECTORY", "The working directory"),
    option("user", Some(b'u'), "USER[:GROUP]", "Run as a user, by name or number"),
];

pub const COMMAND: Command = Command {
    name: "exec",
    usage: "[FLAGS] CONTAINER COMMAND [ARGUMENT...]",
    summary: "Run another command in a running container",
    flags: &FLAGS,
    order: Order::FlagsFirst,
    arguments: (2, MANY),
    failure: 125,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let mut arguments = parsed.arguments.iter().cloned();
    let name = arguments.next().unwrap_or_default();
    let options = ExecOptions {
        command: arguments.map(Into::into).collect(),
        environment: container::environment(&parsed)?,
        directory: parsed.last("workdir").cloned().map(Into::into),
        user: parsed.text("user")?.map(str::to_string),
        terminal: parsed.is_set("tty"),
        interactive: parsed.is_set("interactive"),
        detach: parsed.is_set("detach"),
        privileged: parsed.is_set("privileged"),
    };
    check_directory(&options)?;
    let streams = attach::streams(&parsed, options.terminal, options.interactive)?;
    if !options.detach {
        streams.check()?;
    }
    let found = engine.find(&name.display().to_string());
    let left = found.and_then(|container| engine.exec(&container, &options, &streams));
    // What others have left is left to them, unless it is the container that was meant.
    attach::status(left.inspect_err(|_| tidy(engine))?)
}

/// Checks that the working directory, if one is named, is named from the root.
pub fn check_directory(options: &ExecOptions) -> Result<()> {
    let mut directory = options.directory.iter();
    if directory.any(|directory| !directory.as_bytes().starts_with(b"/")) {
        return Err(Error::invalid("the working directory must be an absolute path"));
    }
    Ok(())
}
