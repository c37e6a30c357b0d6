//! `tinydock ps`: containers as Docker lists them. What is listed, and how it is told, is the same for `ls`.

mod filter;
mod ports;
mod row;

use std::mem;

use super::listing::{FORMAT, Listing, NO_TRUNC, QUIET};
use super::{Command, print, report, tidy};
use crate::engine::{Engine, Listed, of_each};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};

pub const FLAGS: [Flag; 8] = [
    switch("all", Some(b'a'), "Show all containers (default shows running)"),
    option(
        "filter",
        Some(b'f'),
        "KEY=VALUE",
        "Only containers with this name, status, label, ancestor, network or others",
    ),
    FORMAT,
    option(
        "last",
        Some(b'n'),
        "NUMBER",
        "Show the last created containers, whatever their state",
    ),
    switch("latest", Some(b'l'), "Show the last created container, whatever its state"),
    NO_TRUNC,
    QUIET,
    switch("size", Some(b's'), "Show how much containers have written"),
];

pub const COMMAND: Command = Command {
    name: "ps",
    usage: "[FLAGS]",
    summary: "List containers, in Docker's columns",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    quiet: "{{.ID}}",
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("State", "STATE"),
        ("HealthStatus", "HEALTH STATUS"),
        ("Ports", "PORTS"),
        ("Names", "NAMES"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("Networks", "NETWORKS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
    ],
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let (listed, status) = select(engine, &parsed)?;
    let shown = show(engine, &parsed, &listed);
    // The process ends now, and its memory with it: to give it back piece by piece takes a twentieth of a long list.
    mem::forget(listed);
    shown.map(|()| status)
}

/// The containers that a command line asks for, and 1 if the record of one cannot be read.
pub fn select(engine: &Engine, parsed: &Parsed) -> Result<(Vec<Listed>, u8)> {
    tidy(engine);
    let filter = filter::Filter::parse(engine, parsed)?;
    let last = last(parsed)?;
    let mut status = 0;
    let mut listed = engine.list(parsed.is_set("all") || last.is_some() || filter.wants_all(), |error| {
        report(&error);
        status = 1;
    })?;
    filter.keep(&mut listed)?;
    if let Some(last) = last {
        listed.truncate(last);
    }
    Ok((listed, status))
}

/// Prints containers as `--format` says.
pub fn show(engine: &Engine, parsed: &Parsed, listed: &[Listed]) -> Result<()> {
    let table = match parsed.is_set("size") {
        true => format!("{}\t{{{{.Size}}}}", LISTING.table),
        false => LISTING.table.into(),
    };
    let listed: Vec<&Listed> = listed.iter().collect();
    print(self::table(engine, parsed, &table, &listed)?)
}

/// A table of containers with these columns.
pub fn table(engine: &Engine, parsed: &Parsed, columns: &str, listed: &[&Listed]) -> Result<String> {
    let format = LISTING.format_or(parsed, columns)?;
    let make = |listed: &[&Listed]| {
        let rows = row::Rows::new(engine, &format, parsed);
        listed.iter().map(|listed| format.line(&rows.row(listed)?)).collect()
    };
    let lines = of_each(listed, make);
    format.around(&lines.collect::<Result<String>>()?)
}

/// How many containers `-n` or `-l` ask for.
fn last(parsed: &Parsed) -> Result<Option<usize>> {
    if parsed.is_set("latest") {
        return Ok(Some(1));
    }
    match parsed.text("last")?.map(|text| (text, text.parse::<i64>())) {
        None | Some((_, Ok(..1))) => Ok(None),
        Some((_, Ok(number))) => Ok(usize::try_from(number).ok()),
        Some((text, Err(_))) => Err(Error::invalid(format!("invalid number `{text}`")).doing("`--last`")),
    }
}
