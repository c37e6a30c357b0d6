//! `tinydock ls`

use super::ps;
use super::table::table;
use super::{Command, print};
use crate::engine::{Engine, Listed, State, of_each};
use crate::error::Result;
use crate::flags::{Order, Parsed};
use crate::store::clock;

pub const COMMAND: Command = Command {
    name: "ls",
    usage: "[FLAGS]",
    summary: "List containers",
    flags: &ps::FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

const HEADING: [&str; 9] = ["ID", "STATUS", "IMAGE", "IP", "PORTS", "PID", "CREATED", "COMMAND", "NAME"];
const LONGEST_COMMAND: usize = 30;

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let (listed, status) = ps::select(engine, &parsed)?;
    let is_usual = parsed
        .text("format")?
        .is_none_or(|format| format.is_empty() || format == "table");
    if !is_usual || parsed.is_set("quiet") || parsed.is_set("size") {
        return ps::show(engine, &parsed, &listed).map(|()| status);
    }
    let full = parsed.is_set("no-trunc");
    let rows = of_each(&listed, |listed| listed.iter().map(|listed| row(listed, full)).collect());
    let rows: Vec<_> = rows.into_iter().collect::<Result<_>>()?;
    print(table(HEADING, rows)).map(|()| status)
}

fn row(listed: &Listed, full: bool) -> Result<[String; 9]> {
    let brief = &listed.brief;
    let (status, pid) = match &listed.state {
        State::Created => ("created".to_string(), String::new()),
        State::Running(started) => ("running".to_string(), started.pid.to_string()),
        State::Paused(started) => ("paused".to_string(), started.pid.to_string()),
        State::Restarting(exit) => (format!("restarting ({})", exit.code), String::new()),
        State::Exited(exit) if exit.oom_killed => (format!("exited ({}, out of memory)", exit.code), String::new()),
        State::Exited(exit) => (format!("exited ({})", exit.code), String::new()),
    };
    let endpoint = listed.endpoint()?;
    let address = endpoint
        .as_ref()
        .map_or_else(String::new, |endpoint| endpoint.address.to_string());
    let ports = endpoint.iter().flat_map(|endpoint| &endpoint.ports).map(ToString::to_string);
    let words = brief.arguments().map(|word| word.to_string().escape_debug().to_string());
    let mut command = words.collect::<Vec<_>>().join(" ");
    if !full && command.chars().count() > LONGEST_COMMAND {
        command = command.chars().take(LONGEST_COMMAND - 3).chain("...".chars()).collect();
    }
    let id = if full {
        brief.id.to_string()
    } else {
        brief.id.short().to_string()
    };
    Ok([
        id,
        status,
        brief.image.clone(),
        address,
        ports.collect::<Vec<_>>().join(","),
        pid,
        clock::show(brief.created),
        command,
        brief.name.clone(),
    ])
}
