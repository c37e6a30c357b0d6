//! `tinydock inspect`: all that is known of something, as JSON or in the words of a template.

use super::template::{Template, Value};
use super::{Command, MANY, image, network, print, report, tidy, volume};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};

pub const FORMAT: Flag = option(
    "format",
    Some(b'f'),
    "TEMPLATE",
    "`json`, or a Go template of fields, such as `{{.State.Status}}`",
);
const SIZE: Flag = switch("size", Some(b's'), "Also tell how much a container has written");

const FLAGS: [Flag; 3] = [
    FORMAT,
    SIZE,
    option(
        "type",
        None,
        "TYPE",
        "What is meant: `container`, `image`, `network` or `volume`",
    ),
];

pub const COMMAND: Command = command(
    "inspect",
    "[-f TEMPLATE] [-s] [--type TYPE] NAME...",
    "Show all that is known of containers, images, networks or volumes",
    &FLAGS,
    run,
);

pub const CONTAINER: Command = command(
    "container inspect",
    "[-f TEMPLATE] [-s] CONTAINER...",
    "Show all that is known of containers, as JSON",
    &[FORMAT, SIZE],
    |engine, parsed| show(engine, &parsed, &["container"]),
);

pub const IMAGE: Command = command(
    "image inspect",
    "[-f TEMPLATE] IMAGE...",
    "Show all that is known of images, as JSON",
    &[FORMAT],
    |engine, parsed| show(engine, &parsed, &["image"]),
);

pub const NETWORK: Command = command(
    "network inspect",
    "[-f TEMPLATE] NETWORK...",
    "Show all that is known of networks, as JSON",
    &[FORMAT],
    |engine, parsed| show(engine, &parsed, &["network"]),
);

pub const VOLUME: Command = command(
    "volume inspect",
    "[-f TEMPLATE] VOLUME...",
    "Show all that is known of volumes, as JSON",
    &[FORMAT],
    |engine, parsed| show(engine, &parsed, &["volume"]),
);

const fn command(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    flags: &'static [Flag],
    run: fn(&Engine, Parsed) -> Result<u8>,
) -> Command {
    Command {
        name,
        usage,
        summary,
        flags,
        order: Order::Mixed,
        arguments: (1, MANY),
        failure: 1,
        run,
    }
}

/// What there is to inspect, in the order in which it is looked for.
const TYPES: [&str; 4] = ["container", "image", "network", "volume"];

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    match parsed.text("type")?.unwrap_or_default() {
        "" => show(engine, &parsed, &TYPES),
        wanted => match TYPES.iter().position(|known| *known == wanted) {
            Some(at) => show(engine, &parsed, &TYPES[at..=at]),
            None => Err(Error::invalid(format!("unknown type `{wanted}`")).hint(format!("there are {}", TYPES.join(", ")))),
        },
    }
}

/// Shows all that is known of each argument. What does not exist is told after what does.
fn show(engine: &Engine, parsed: &Parsed, types: &[&str]) -> Result<u8> {
    let format = match parsed.text("format")?.unwrap_or_default() {
        "" => None,
        "json" => Some(Template::parse("{{json .}}")?),
        text => Some(Template::parse(text)?),
    };
    tidy(engine);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &parsed.arguments {
        match find(engine, &name.display().to_string(), types, parsed.is_set("size")) {
            Ok(value) => found.push(value),
            Err(error) => missing.push(error),
        }
    }
    match format {
        None => print(Value::List(found).pretty() + "\n")?,
        Some(format) => {
            let lines = found.iter().map(|value| Ok(format.execute(value)? + "\n"));
            print(lines.collect::<Result<String>>()?)?;
        }
    }
    missing.iter().for_each(report);
    Ok(u8::from(!missing.is_empty()))
}

/// What is known of the first thing of this name.
fn find(engine: &Engine, name: &str, types: &[&str], size: bool) -> Result<Value> {
    let mut wrong = None;
    for kind in types {
        let found = match *kind {
            "container" => engine
                .find(name)
                .and_then(|container| Value::of(&engine.inspect(&container, size)?)),
            "image" => image::inspect(engine, name),
            "network" => network::inspect(engine, name),
            _ => volume::inspect(engine, name),
        };
        match found {
            // What is no name of an image may be one of something else.
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Invalid) => _ = wrong.get_or_insert(error),
            found => return found,
        }
    }
    match (wrong, types) {
        (Some(error), [_]) => Err(error),
        _ => Err(Error::not_found(format!("no such object: `{name}`"))),
    }
}
