//! `tinydock history`

use super::images::ago;
use super::listing::{FORMAT, Listing, NO_TRUNC, QUIET};
use super::table::bytes;
use super::template::Value;
use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};
use crate::image::{History, Image};
use crate::store::clock;

const FLAGS: [Flag; 4] = [
    FORMAT,
    switch(
        "human",
        Some(b'H'),
        "Print times as ages, and sizes with units; `--human=false` is not to",
    ),
    NO_TRUNC,
    QUIET,
];

/// The table without `--human`.
const EXACT: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
    headings: &[
        ("Comment", "COMMENT"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE"),
        ("Size", "SIZE"),
    ],
};

pub const COMMAND: Command = Command {
    name: "history",
    usage: "[-q] [--format TEMPLATE] [--human=false] [--no-trunc] IMAGE",
    summary: "Show how an image's layers came about",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

const LONGEST: usize = 45;

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let image = engine.image(&parsed.arguments[0].display().to_string())?.image;
    let shown = Shown {
        full: parsed.is_set("no-trunc"),
        human: parsed.last("human").is_none() || parsed.is_set("human"),
    };
    let format = LISTING.format_or(&parsed, if shown.human { LISTING.table } else { EXACT })?;
    print(format.show(rows(&image, shown))?).map(|()| 0)
}

/// How entries are shown.
#[derive(Clone, Copy)]
struct Shown {
    full: bool,
    human: bool,
}

/// One row for each entry, the youngest first. Only the image itself has an id.
fn rows(image: &Image, shown: Shown) -> Vec<Value> {
    let mut sizes = image
        .manifest
        .iter()
        .flat_map(|(_, manifest)| &manifest.layers)
        .map(|layer| layer.size);
    let mut rows = Vec::new();
    for history in &image.config.history {
        let size = if history.empty_layer { 0 } else { sizes.next().unwrap_or(0) };
        rows.push((history, size));
    }
    let id = if shown.full {
        image.id.to_string()
    } else {
        image.id.hex()[..12].into()
    };
    let ids = [id].into_iter().chain(std::iter::repeat("<missing>".into()));
    let rows = rows.into_iter().rev().zip(ids);
    rows.map(|((history, size), id)| row(history, size, id, shown)).collect()
}

fn row(history: &History, size: u64, id: String, shown: Shown) -> Value {
    let created = history.created.as_deref().and_then(clock::parse).map(|time| time.as_secs());
    let created = created
        .filter(|time| *time > 0)
        .map_or("N/A".into(), |time| format!("{} ago", ago(time)));
    let mut by = history.created_by.clone().unwrap_or_default().replace(['\n', '\t'], " ");
    if !shown.full && by.chars().count() > LONGEST {
        by = by.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    let comment = history.comment.clone().unwrap_or_default();
    let at = history.created.clone().unwrap_or_default();
    let size = if shown.human { bytes(size) } else { size.to_string() };
    Value::Object(vec![
        ("Comment", comment.into()),
        ("CreatedAt", at.clone().into()),
        ("CreatedBy", by.into()),
        ("CreatedSince", if shown.human { created } else { at }.into()),
        ("ID", id.into()),
        ("Size", size.into()),
    ])
}
