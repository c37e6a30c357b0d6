//! `tinydock events`

use std::time::{Duration, Instant};

use super::template::{Template, Value};
use super::{Command, print};
use crate::engine::Engine;
use crate::engine::events::Event;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option};
use crate::store::{clock, parse_moment};

const FLAGS: [Flag; 4] = [
    option("since", None, "TIME", "Show what has happened since then as well"),
    option("until", None, "TIME", "Go on until then"),
    option(
        "filter",
        Some(b'f'),
        "NAME=VALUE",
        "Show only events of a `container`, `event`, `image`, `label`, `type` and others",
    ),
    option(
        "format",
        None,
        "TEMPLATE",
        "`json`, or a Go template of fields, such as `{{.Action}}`",
    ),
];

pub const COMMAND: Command = Command {
    name: "events",
    usage: "[FLAGS]",
    summary: "Show what happens to containers",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

/// What can be filtered by.
const NAMES: [&str; 9] = [
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "scope",
    "type",
    "volume",
];

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let now = clock::since_1970();
    let moment = |flag| parsed.text(flag)?.map(|text| parse_moment(text, now)).transpose();
    let (since, until): (Option<Duration>, Option<Duration>) = (moment("since")?, moment("until")?);
    let filters = filters(&parsed)?;
    let format = match parsed.text("format")? {
        None => None,
        Some("json") => Some("{{json .}}"),
        given => given,
    };
    let format = format.map(Template::parse).transpose()?;
    let mut reader = engine.events(since.is_some() || until.is_some())?;
    let end = until.map(|until| Instant::now() + until.saturating_sub(now));
    while let Some(event) = reader.next(end)? {
        let at = Duration::from_nanos(event.time_nano);
        let in_time = since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until);
        if in_time && matches(&event, &filters) {
            print(match &format {
                Some(template) => template.execute(&Value::of(&event)?)? + "\n",
                None => line(&event),
            })?;
        }
    }
    Ok(0)
}

fn filters(parsed: &Parsed) -> Result<Vec<(String, String)>> {
    let read = |text: String| match text.split_once('=') {
        Some((name, value)) if NAMES.contains(&name) => Ok((name.to_string(), value.to_string())),
        Some((name, _)) => Err(Error::invalid(format!("invalid filter `{name}`")).hint(format!("there are {}", NAMES.join(", ")))),
        None => Err(Error::invalid(format!("invalid filter `{text}`")).hint("give one as `NAME=VALUE`")),
    };
    parsed.all("filter").map(|text| read(text.display().to_string())).collect()
}

/// Whether an event meets the filters: one of those with the same name, for each name.
fn matches(event: &Event, filters: &[(String, String)]) -> bool {
    let meets = |(name, value): &(String, String)| match name.as_str() {
        "event" => event.action == *value || event.action.split(':').next() == Some(value),
        "type" => event.kind == *value,
        "scope" => event.scope == *value,
        "label" => {
            let (label, wanted) = value
                .split_once('=')
                .map_or((value.as_str(), None), |(label, value)| (label, Some(value)));
            let found = event.actor.attributes.get(label);
            found.is_some_and(|found| wanted.is_none_or(|wanted| found == wanted))
        }
        "image" => {
            let image = event.actor.attributes.get("image");
            image.is_some_and(|image| image == value) || event.kind == "image" && event.actor.id == *value
        }
        "daemon" => false,
        kind => {
            let is_named = event.actor.attributes.get("name").is_some_and(|name| name == value);
            event.kind == kind && (is_named || event.actor.id.starts_with(value.as_str()) && !value.is_empty())
        }
    };
    let names = filters.iter().map(|(name, _)| name);
    names
        .clone()
        .all(|name| filters.iter().filter(|(other, _)| other == name).any(meets))
}

fn line(event: &Event) -> String {
    let attributes = event.actor.attributes.iter().map(|(name, value)| format!("{name}={value}"));
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let at = clock::spell(Duration::from_nanos(event.time_nano));
    format!("{at} {} {} {} ({attributes})\n", event.kind, event.action, event.actor.id)
}
