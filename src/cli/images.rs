//! `tinydock images`

use std::time::Duration;

use super::table::{bytes, table};
use super::{Command, print, report, tidy, units};
use crate::engine::{Engine, ImageFilter, ListedImage};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::store::{clock, parse_moment};

const FLAGS: [Flag; 5] = [
    switch(
        "all",
        Some(b'a'),
        "Show all images (the same as without: there are none that are hidden)",
    ),
    switch("digests", None, "Show digests"),
    option(
        "filter",
        Some(b'f'),
        "FILTER",
        "Only images that match: dangling=, label=, before=, since=, reference=",
    ),
    switch("no-trunc", None, "Print ids in full"),
    switch("quiet", Some(b'q'), "Only print ids"),
];

pub const COMMAND: Command = Command {
    name: "images",
    usage: "[-q] [-f FILTER] [--digests] [--no-trunc] [NAME[:TAG]]",
    summary: "List images",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, 1),
    failure: 1,
    run,
};

const NONE: &str = "<none>";

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let mut filter = filter(engine, &parsed)?;
    filter
        .references
        .extend(parsed.arguments.first().map(|name| name.display().to_string()));
    let mut status = 0;
    let images = engine.images(&filter, |error| {
        report(&error);
        status = 1;
    })?;
    let full = parsed.is_set("no-trunc");
    if parsed.is_set("quiet") {
        let mut ids: Vec<String> = images.iter().filter_map(|image| id(image, full)).collect();
        ids.dedup();
        print(ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    } else if parsed.is_set("digests") {
        let rows = images.iter().map(|image| {
            let [repository, tag, id, created, size] = row(image, full);
            let digest = image.digest.as_ref().map_or(NONE.into(), ToString::to_string);
            [repository, tag, digest, id, created, size]
        });
        print(table(["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"], rows))?;
    } else {
        let rows = images.iter().map(|image| row(image, full));
        print(table(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"], rows))?;
    }
    Ok(status)
}

fn row(image: &ListedImage, full: bool) -> [String; 5] {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.into());
    let created = match (image.created, &image.digest) {
        (0, None) => "built in".into(),
        (0, Some(_)) => "N/A".into(),
        (seconds, _) => format!("{} ago", ago(seconds)),
    };
    [
        text(&image.repository),
        text(&image.tag),
        id(image, full).unwrap_or_else(|| "not unpacked".into()),
        created,
        bytes(image.size),
    ]
}

fn id(image: &ListedImage, full: bool) -> Option<String> {
    let id = &image.image.as_ref()?.id;
    Some(if full { id.to_string() } else { id.hex()[..12].to_string() })
}

/// How long ago a time was, in one unit.
pub fn ago(seconds: u64) -> String {
    units::duration(clock::seconds().saturating_sub(seconds))
}

/// The filters of a command line.
pub fn filter(engine: &Engine, parsed: &Parsed) -> Result<ImageFilter> {
    let mut filter = ImageFilter::default();
    for text in parsed.all("filter") {
        let text = text.display().to_string();
        let wrong = |what: &str| Error::invalid(what).doing(format!("filter `{text}`"));
        let (name, value) = text.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
        match name {
            "dangling" => {
                filter.dangling = Some(match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(wrong("it must be `true` or `false`")),
                });
            }
            "label" => filter.labels.push(value.into()),
            "before" => filter.before = Some(engine.image_created(value)?),
            "since" => filter.since = Some(engine.image_created(value)?),
            "until" => filter.before = Some(until(value)?),
            "reference" => filter.references.push(value.into()),
            _ => {
                let known = "there are dangling, label, before, since, until and reference";
                return Err(wrong("no such filter").hint(known));
            }
        }
    }
    Ok(filter)
}

fn until(text: &str) -> Result<u64> {
    parse_moment(text, Duration::from_secs(clock::seconds())).map(|moment| moment.as_secs())
}
