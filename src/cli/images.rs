//! `tinydock images`

use std::time::Duration;

use super::table::{bytes, table};
use super::{Command, print, report, tidy};
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
    let passed = clock::seconds().saturating_sub(seconds);
    let one = |text: &str| text.to_string();
    let (minutes, hours) = (passed / 60, passed / 3600);
    match (passed, minutes, hours) {
        (0, ..) => one("Less than a second"),
        (1, ..) => one("1 second"),
        (..60, ..) => format!("{passed} seconds"),
        (_, 1, _) => one("About a minute"),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => one("About an hour"),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (passed, shown) in [
            (0, "Less than a second"),
            (45, "45 seconds"),
            (90, "About a minute"),
            (3600 * 47, "47 hours"),
            (3600 * 24 * 3, "3 days"),
            (3600 * 24 * 400, "13 months"),
        ] {
            assert_eq!(ago(clock::seconds() - passed), shown);
        }
    }
}
