//! `tinydock volume`

use std::collections::BTreeMap;

use serde::Serialize;

use super::confirm::confirm;
use super::listing::{FORMAT, Listing, QUIET};
use super::table::bytes;
use super::template::Value;
use super::{Command, MANY, for_each, print, tidy};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::layer::{self, Volume};

const CREATE_FLAGS: [Flag; 3] = [
    option("driver", Some(b'd'), "DRIVER", "What makes the volume (default `local`)"),
    option("label", None, "NAME[=VALUE]", "Note something about the volume"),
    option("opt", Some(b'o'), "NAME=VALUE", "What is mounted: `type`, `device`, `o`"),
];

pub const CREATE: Command = Command {
    name: "volume create",
    usage: "[FLAGS] [VOLUME]",
    summary: "Create a volume, and print its name",
    flags: &CREATE_FLAGS,
    order: Order::Mixed,
    arguments: (0, 1),
    failure: 1,
    run: create,
};

const LS_FLAGS: [Flag; 3] = [
    option("filter", Some(b'f'), "KEY=VALUE", "`dangling`, `driver`, `label`, `name`"),
    FORMAT,
    QUIET,
];

pub const LS: Command = Command {
    name: "volume ls",
    usage: "[-q] [-f KEY=VALUE] [--format TEMPLATE]",
    summary: "List volumes",
    flags: &LS_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: ls,
};

const RM_FLAGS: [Flag; 1] = [switch("force", Some(b'f'), "Do not mind volumes that do not exist")];

pub const RM: Command = Command {
    name: "volume rm",
    usage: "[-f] VOLUME...",
    summary: "Remove volumes that no container uses",
    flags: &RM_FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: rm,
};

const PRUNE_FLAGS: [Flag; 3] = [
    switch("all", Some(b'a'), "Also those that have a name"),
    option("filter", None, "KEY=VALUE", "Only those with this `label`, or `label!`"),
    switch("force", Some(b'f'), "Do not ask"),
];

pub const PRUNE: Command = Command {
    name: "volume prune",
    usage: "[-a] [-f] [--filter KEY=VALUE]",
    summary: "Remove all volumes without a name that no container uses",
    flags: &PRUNE_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: prune,
};

fn create(engine: &Engine, parsed: Parsed) -> Result<u8> {
    layer::check_driver(parsed.text("driver")?.unwrap_or_default())?;
    let name = parsed
        .arguments
        .first()
        .map(|name| name.display().to_string())
        .unwrap_or_default();
    let name = engine.create_volume(&name, pairs(&parsed, "label"), pairs(&parsed, "opt"))?;
    print(format!("{name}\n")).map(|()| 0)
}

/// The values of a flag that are `NAME=VALUE`.
fn pairs(parsed: &Parsed, flag: &str) -> BTreeMap<String, String> {
    let texts = parsed.all(flag).map(|text| text.display().to_string());
    texts.map(|text| split(&text)).collect()
}

fn split(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.into(), value.into())
}

/// Whether a volume, which is used or not, is what a filter means.
fn is_meant(filter: &(String, String), volume: &Volume, used: bool) -> Result<bool> {
    let (key, value) = (filter.0.as_str(), filter.1.as_str());
    let has_label = || {
        let (name, wanted) = value
            .split_once('=')
            .map_or((value, None), |(name, wanted)| (name, Some(wanted)));
        let found = volume.labels.get(name);
        found.is_some_and(|found| wanted.is_none_or(|wanted| found == wanted))
    };
    match (key, value) {
        ("dangling", "true" | "1") => Ok(!used),
        ("dangling", "false" | "0") => Ok(used),
        ("driver", driver) => Ok(driver == "local"),
        ("label", _) => Ok(has_label()),
        ("label!", _) => Ok(!has_label()),
        ("name", part) => Ok(volume.name.contains(part)),
        _ => Err(Error::invalid(format!("invalid filter `{key}={value}`"))),
    }
}

/// The volumes that are what all filters mean. Of several labels it has to have all; of several values of another key, one.
fn is_meant_by_all(filters: &[(String, String)], volume: &Volume, used: bool) -> Result<bool> {
    let mut others: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        let meant = is_meant(filter, volume, used)?;
        if filter.0.starts_with("label") && !meant {
            return Ok(false);
        }
        *others.entry(&filter.0).or_default() |= meant;
    }
    Ok(others.values().all(|meant| *meant))
}

fn filters(parsed: &Parsed, keys: &[&str]) -> Result<Vec<(String, String)>> {
    let texts = parsed.all("filter").map(|text| text.display().to_string());
    let filters: Vec<_> = texts.map(|text| split(&text)).collect();
    match filters.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
        Some((key, _)) => Err(Error::invalid(format!("invalid filter `{key}`")).hint(format!("it is one of {}", keys.join(", ")))),
        None => Ok(filters),
    }
}

fn ls(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let filters = filters(&parsed, &["dangling", "driver", "label", "name"])?;
    let format = LISTING.format(&parsed)?;
    let mut rows = Vec::new();
    for (volume, used) in engine.volumes()? {
        if is_meant_by_all(&filters, &volume, used)? {
            rows.push(fields(engine, &volume)?);
        }
    }
    print(format.show(rows)?).map(|()| 0)
}

const LISTING: Listing = Listing {
    table: "{{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
    headings: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
    ],
};

fn fields(engine: &Engine, volume: &Volume) -> Result<Value> {
    let labels = volume.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let (_, data) = engine.volume(&volume.name)?;
    Ok(Value::Object(vec![
        ("Driver", "local".into()),
        ("Label", Value::Lookup(volume.labels.clone())),
        ("Labels", labels.collect::<Vec<_>>().join(",").into()),
        ("Mountpoint", data.display().to_string().into()),
        ("Name", volume.name.as_str().into()),
        ("Scope", "local".into()),
    ]))
}

/// A volume as Docker shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    created_at: String,
    driver: &'static str,
    labels: Option<BTreeMap<String, String>>,
    mountpoint: String,
    name: String,
    options: Option<BTreeMap<String, String>>,
    scope: &'static str,
}

impl Shown {
    fn of(engine: &Engine, name: &str) -> Result<Shown> {
        let (volume, data) = engine.volume(name)?;
        let some = |pairs: BTreeMap<_, _>| Some(pairs).filter(|pairs| !pairs.is_empty());
        Ok(Shown {
            created_at: volume.created,
            driver: "local",
            labels: some(volume.labels),
            mountpoint: data.display().to_string(),
            name: volume.name,
            options: some(volume.options),
            scope: "local",
        })
    }
}

/// All that is known of a volume.
pub fn inspect(engine: &Engine, name: &str) -> Result<Value> {
    Value::of(&Shown::of(engine, name)?)
}

fn rm(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let force = parsed.is_set("force");
    for_each(&parsed.arguments, |name| engine.remove_volume(name, force))
}

fn prune(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let filters = filters(&parsed, &["all", "label", "label!"])?;
    let (all, labels): (Vec<_>, Vec<_>) = filters.into_iter().partition(|(key, _)| key == "all");
    let all = parsed.is_set("all") || all.iter().any(|(_, value)| ["true", "1"].contains(&value.as_str()));
    let which = if all { "all" } else { "anonymous" };
    let warning = format!("This will remove {which} local volumes not used by at least one container.");
    confirm(&parsed, &warning, "volume prune")?;
    let is_meant = |volume: &Volume| (all || volume.is_anonymous()) && is_meant_by_all(&labels, volume, false).unwrap_or(false);
    let pruned = engine.prune_volumes(is_meant)?;
    let text = deleted(&pruned.names);
    print(format!("{text}Total reclaimed space: {}\n", bytes(pruned.bytes))).map(|()| 0)
}

/// What is told of volumes that are gone.
pub fn deleted(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("Deleted Volumes:\n{}\n\n", names.join("\n")),
    }
}
