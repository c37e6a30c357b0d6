//! `tinydock attach`, and what all commands have that connect the user with a container.

use std::io::Write;

use super::{Command, tidy};
use crate::engine::{DetachKeys, Engine, Left, Run, Streams};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};

pub const DETACH_KEYS: Flag = option(
    "detach-keys",
    None,
    "KEYS",
    "What is typed to leave it running (default ctrl-p,ctrl-q)",
);
pub const SIG_PROXY: Flag = switch("sig-proxy", None, "Pass on the signals that we get (default true)");

const FLAGS: [Flag; 3] = [
    DETACH_KEYS,
    switch("no-stdin", None, "Do not pass on what is typed"),
    SIG_PROXY,
];

pub const COMMAND: Command = Command {
    name: "attach",
    usage: "[FLAGS] CONTAINER",
    summary: "Connect to a running container",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let options = &container.spec.options;
    let streams = streams(&parsed, options.terminal, options.interactive && !parsed.is_set("no-stdin"))?;
    streams.check()?;
    status(engine.attach(&container, &streams)?)
}

/// What the flags `--detach-keys` and `--sig-proxy` ask for, of those that a command has.
pub fn streams(parsed: &Parsed, terminal: bool, input: bool) -> Result<Streams> {
    Ok(Streams {
        signals: parsed.last("sig-proxy").is_none_or(|value| value == "true"),
        keys: DetachKeys::parse(parsed.text("detach-keys")?.unwrap_or_default())?,
        ..Streams::new(terminal, input)
    })
}

/// Of several streams those that `--attach` names, or all if it is not there.
pub fn only_named(parsed: &Parsed, mut streams: Streams) -> Result<Streams> {
    let input = streams.input;
    if parsed.last("attach").is_some() {
        (streams.input, streams.output, streams.errors) = (false, false, false);
    }
    for name in parsed.all("attach") {
        match name.display().to_string().to_lowercase().as_str() {
            "stdin" => streams.input = input,
            "stdout" => streams.output = true,
            "stderr" => streams.errors = true,
            _ => {
                return Err(
                    Error::invalid(format!("invalid stream `{}`", name.display())).hint("there are `stdin`, `stdout` and `stderr`")
                );
            }
        }
    }
    Ok(streams)
}

/// Connects the user with a container that was started for that, until it ends or they leave. Returns the exit status, if this process
/// does not end with the container.
pub fn accompany(engine: &Engine, run: &Run, streams: &Streams) -> Result<u8> {
    let left = run.attach(streams)?;
    if let Left::Ended(code) = left {
        let _ = std::io::stdout().flush();
        run.end(engine, code as u8);
    }
    status(left)
}

/// The exit status after a connection.
pub fn status(left: Left) -> Result<u8> {
    match left {
        Left::Ended(code) => Ok(code as u8),
        Left::Detached => {
            let _ = writeln!(std::io::stderr(), "read escape sequence");
            Ok(0)
        }
        Left::Fed => Ok(0),
    }
}
