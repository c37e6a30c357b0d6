//! `tinydock images`

use std::time::Duration;

use super::listing::{FORMAT, Listing, NO_TRUNC, QUIET};
use super::table::bytes;
use super::template::Value;
use super::{Command, print, report, tidy, units};
use crate::engine::{Engine, ImageFilter, Listed, ListedImage};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::store::{clock, parse_moment};

const FLAGS: [Flag; 6] = [
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
    FORMAT,
    NO_TRUNC,
    QUIET,
];

pub const COMMAND: Command = Command {
    name: "images",
    usage: "[-q] [-f FILTER] [--format TEMPLATE] [--digests] [--no-trunc] [NAME[:TAG]]",
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
    let table = if parsed.is_set("digests") {
        WITH_DIGESTS
    } else {
        LISTING.table
    };
    let format = LISTING.format_or(&parsed, table)?;
    let full = parsed.is_set("no-trunc");
    let images: Vec<&ListedImage> = if parsed.is_set("quiet") {
        images.iter().filter(|image| image.image.is_some()).collect()
    } else {
        images.iter().collect()
    };
    let users = if format.mentions("Containers") {
        engine.list(true, |error| report(&error))?
    } else {
        Vec::new()
    };
    let rows = images.iter().map(|image| fields(image, full, &users));
    let text = format.show(rows)?;
    if !parsed.is_set("quiet") {
        return print(text).map(|()| status);
    }
    let mut ids: Vec<&str> = text.lines().collect();
    ids.dedup();
    print(ids.iter().map(|id| format!("{id}\n")).collect::<String>()).map(|()| status)
}

const LISTING: Listing = Listing {
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    quiet: "{{.ID}}",
    headings: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
    ],
};

const WITH_DIGESTS: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/// An image's fields, in the order of Docker's JSON.
fn fields(image: &ListedImage, full: bool, users: &[Listed]) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.into());
    let created = match (image.created, &image.digest) {
        (0, None) => "built in".into(),
        (0, Some(_)) => "N/A".into(),
        (seconds, _) => format!("{} ago", ago(seconds)),
    };
    let is_user = |listed: &&Listed| {
        image
            .image
            .as_ref()
            .is_some_and(|image| listed.brief.image_id.as_ref() == Some(&image.id))
    };
    Value::Object(vec![
        ("Containers", users.iter().filter(is_user).count().to_string().into()),
        ("CreatedAt", format!("{} +0000 UTC", clock::show(image.created)).into()),
        ("CreatedSince", created.into()),
        (
            "Digest",
            image.digest.as_ref().map_or(NONE.into(), ToString::to_string).into(),
        ),
        ("ID", id(image, full).unwrap_or_else(|| "not unpacked".into()).into()),
        ("Repository", text(&image.repository).into()),
        ("Size", bytes(image.size).into()),
        ("Tag", text(&image.tag).into()),
    ])
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
