//! `tinydock history`

use super::images::ago;
use super::table::{bytes, table};
use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};
use crate::image::{History, Image};
use crate::store::clock;

const FLAGS: [Flag; 2] = [
    switch("no-trunc", None, "Print everything in full"),
    switch("quiet", Some(b'q'), "Only print ids"),
];

pub const COMMAND: Command = Command {
    name: "history",
    usage: "[-q] [--no-trunc] IMAGE",
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
    let full = parsed.is_set("no-trunc");
    let rows = rows(&image, full);
    if parsed.is_set("quiet") {
        return print(rows.iter().map(|row| format!("{}\n", row[0])).collect::<String>()).map(|()| 0);
    }
    print(table(["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], rows)).map(|()| 0)
}

/// One row for each entry, the youngest first. Only the image itself has an id.
fn rows(image: &Image, full: bool) -> Vec<[String; 5]> {
    let mut sizes = image
        .manifest
        .iter()
        .flat_map(|(_, manifest)| &manifest.layers)
        .map(|layer| layer.size);
    let mut rows = Vec::new();
    for history in &image.config.history {
        let size = if history.empty_layer { 0 } else { sizes.next().unwrap_or(0) };
        rows.push(row(history, size, full));
    }
    rows.reverse();
    if let Some(first) = rows.first_mut() {
        first[0] = if full {
            image.id.to_string()
        } else {
            image.id.hex()[..12].into()
        };
    }
    rows
}

fn row(history: &History, size: u64, full: bool) -> [String; 5] {
    let created = history.created.as_deref().and_then(clock::parse).map(|time| time.as_secs());
    let created = created
        .filter(|time| *time > 0)
        .map_or("N/A".into(), |time| format!("{} ago", ago(time)));
    let mut by = history.created_by.clone().unwrap_or_default().replace(['\n', '\t'], " ");
    if !full && by.chars().count() > LONGEST {
        by = by.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    let comment = history.comment.clone().unwrap_or_default();
    ["<missing>".into(), created, by, bytes(size), comment]
}
