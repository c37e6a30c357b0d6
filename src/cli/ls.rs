//! `tinydock ls`

use super::table::table;
use super::{Command, print, report, tidy};
use crate::engine::{Engine, Listed, State};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 3] = [
    switch("all", Some(b'a'), "Show all containers (default shows running)"),
    switch("quiet", Some(b'q'), "Only print ids"),
    switch("no-trunc", None, "Print ids and commands in full"),
];

pub const COMMAND: Command = Command {
    name: "ls",
    usage: "[-a] [-q] [--no-trunc]",
    summary: "List containers",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

const HEADING: [&str; 9] = ["ID", "STATUS", "IMAGE", "IP", "PORTS", "PID", "CREATED", "COMMAND", "NAME"];
const LONGEST_COMMAND: usize = 30;

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let mut status = 0;
    let listed = engine.list(parsed.is_set("all"), |error| {
        report(&error);
        status = 1;
    })?;
    let full = parsed.is_set("no-trunc");
    let id = |listed: &Listed| {
        if full {
            listed.container.id().to_string()
        } else {
            listed.container.id().short().to_string()
        }
    };
    if parsed.is_set("quiet") {
        print(listed.iter().map(|listed| id(listed) + "\n").collect::<String>())?;
        return Ok(status);
    }
    print(table(HEADING, listed.iter().map(|listed| row(listed, id(listed), full))))?;
    Ok(status)
}

fn row(listed: &Listed, id: String, full: bool) -> [String; 9] {
    let spec = &listed.container.spec;
    let (status, pid) = match &listed.state {
        State::Created => ("created".to_string(), String::new()),
        State::Running(started) => ("running".to_string(), started.pid.to_string()),
        State::Paused(started) => ("paused".to_string(), started.pid.to_string()),
        State::Restarting(exit) => (format!("restarting ({})", exit.code), String::new()),
        State::Exited(exit) if exit.oom_killed => (format!("exited ({}, out of memory)", exit.code), String::new()),
        State::Exited(exit) => (format!("exited ({})", exit.code), String::new()),
    };
    let address = listed
        .endpoint
        .as_ref()
        .map(|endpoint| endpoint.address.to_string())
        .unwrap_or_default();
    let ports = listed
        .endpoint
        .iter()
        .flat_map(|endpoint| &endpoint.ports)
        .map(ToString::to_string);
    let mut command = spec
        .options
        .command
        .iter()
        .map(|word| word.to_string().escape_debug().to_string())
        .collect::<Vec<_>>()
        .join(" ");
    if !full && command.chars().count() > LONGEST_COMMAND {
        command = command.chars().take(LONGEST_COMMAND - 3).chain("...".chars()).collect();
    }
    let ports = ports.collect::<Vec<_>>().join(",");
    [
        id,
        status,
        spec.options.image.clone(),
        address,
        ports,
        pid,
        listed.created.clone(),
        command,
        spec.name.clone(),
    ]
}
