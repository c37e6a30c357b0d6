//! `tinydock container prune` and `tinydock system prune`: what is not used is removed.

use super::confirm::confirm;
use super::filter::Filters;
use super::table::decimal;
use super::{Command, image, network, print, report, tidy_all, volume};
use crate::engine::{Engine, ImageFilter};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, option, switch};

const FILTER: Flag = option(
    "filter",
    None,
    "KEY=VALUE",
    "Only what was made before a time, `until`, or has a `label`",
);
const FORCE: Flag = switch("force", Some(b'f'), "Do not ask");

pub const CONTAINER: Command = Command {
    name: "container prune",
    usage: "[-f] [--filter KEY=VALUE]",
    summary: "Remove all containers that do not run",
    flags: &[FILTER, FORCE],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: prune_containers,
};

pub const SYSTEM: Command = Command {
    name: "system prune",
    usage: "[-a] [-f] [--volumes] [--filter KEY=VALUE]",
    summary: "Remove containers, networks and images that are not used",
    flags: &[
        switch("all", Some(b'a'), "Also images that have a name"),
        FILTER,
        FORCE,
        switch("volumes", None, "Also volumes without a name"),
    ],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: prune_all,
};

/// What may be filtered by.
const KEYS: [&str; 3] = ["until", "label", "label!"];

fn prune_containers(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let filters = Filters::parse(&parsed, &KEYS)?;
    let until = filters.moments("until")?;
    confirm(&parsed, "This will remove all stopped containers.", "container prune")?;
    tidy_all(engine);
    let (text, bytes, status) = containers(engine, &filters, &until)?;
    print(text + &reclaimed(bytes)).map(|()| status)
}

fn reclaimed(bytes: u64) -> String {
    format!("Total reclaimed space: {}\n", decimal(bytes, 4))
}

/// Removes containers that do not run. Returns what is told of them, how many bytes they had, and 1 if one could not be removed.
fn containers(engine: &Engine, filters: &Filters, until: &[u64]) -> Result<(String, u64, u8)> {
    let (mut removed, mut bytes, mut status) = (Vec::new(), 0, 0);
    for listed in engine.list(true, |error| report(&error))? {
        let brief = &listed.brief;
        let is_old = until.iter().all(|until| brief.created < *until);
        if listed.state.is_live() || !is_old || !filters.labels(|name| brief.labels.get(name)) {
            continue;
        }
        let size = listed.size().unwrap_or(0);
        let done = engine
            .find(brief.id.as_str())
            .and_then(|container| engine.remove(&container, false, false));
        match done {
            Ok(()) => {
                bytes += size;
                removed.push(brief.id.to_string());
            }
            Err(error) => {
                report(&error);
                status = 1;
            }
        }
    }
    let text = match removed.is_empty() {
        true => String::new(),
        false => format!("Deleted Containers:\n{}\n\n", removed.join("\n")),
    };
    Ok((text, bytes, status))
}

fn warning(parsed: &Parsed) -> String {
    let mut lines = vec!["all stopped containers", "all networks not used by at least one container"];
    if parsed.is_set("volumes") {
        lines.push("all anonymous volumes not used by at least one container");
    }
    lines.push(match parsed.is_set("all") {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    });
    let mut text = format!("This will remove:\n  - {}\n", lines.join("\n  - "));
    let filters: Vec<String> = parsed.all("filter").map(|filter| filter.display().to_string()).collect();
    if !filters.is_empty() {
        text += &format!(
            "\n  Items to be pruned will be filtered with:\n  - {}\n",
            filters.join("\n  - ")
        );
    }
    text
}

fn prune_all(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let filters = Filters::parse(&parsed, &KEYS)?;
    let until = filters.moments("until")?;
    let networks = network::Meant::of(&filters)?;
    confirm(&parsed, &warning(&parsed), "system prune")?;
    tidy_all(engine);
    let (mut text, mut bytes, status) = containers(engine, &filters, &until)?;
    text += &network::deleted(&engine.prune_networks(|network| networks.has(network))?);
    // A volume does not tell when it was last used, so a time says nothing about it.
    if parsed.is_set("volumes") && until.is_empty() {
        let is_meant = |volume: &crate::layer::Volume| volume.is_anonymous() && filters.labels(|name| volume.labels.get(name));
        let pruned = engine.prune_volumes(is_meant)?;
        text += &volume::deleted(&pruned.names);
        bytes += pruned.bytes;
    }
    let images = ImageFilter {
        before: until.iter().min().copied(),
        labels: filters.all("label").map(String::from).collect(),
        ..ImageFilter::default()
    };
    // Those that lack a label cannot be asked for, and what nobody asked for stays.
    if !filters.has("label!") {
        let removed = engine.prune_images(&images, parsed.is_set("all"))?;
        text += &image::deleted(&removed);
        bytes += removed.bytes;
    }
    print(text + &reclaimed(bytes)).map(|()| status)
}
