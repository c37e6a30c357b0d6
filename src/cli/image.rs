//! `tinydock tag`, `rmi`, `image inspect` and `image prune`

use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use super::images::filter;
use super::table::bytes;
use super::{Command, MANY, print, report, tidy};
use crate::engine::{Engine, Removed};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::image::{Image, Reference};
use crate::store::clock;

pub const TAG: Command = Command {
    name: "tag",
    usage: "IMAGE NAME[:TAG]",
    summary: "Give an image another name",
    flags: &[],
    order: Order::Mixed,
    arguments: (2, 2),
    failure: 1,
    run: tag,
};

pub const RMI: Command = Command {
    name: "rmi",
    usage: "[-f] IMAGE...",
    summary: "Remove images",
    flags: &[switch(
        "force",
        Some(b'f'),
        "Also remove an image that a stopped container was made of, and a tarball",
    )],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: rmi,
};

pub const INSPECT: Command = Command {
    name: "image inspect",
    usage: "IMAGE...",
    summary: "Show all that is known of images, as JSON",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: inspect,
};

const PRUNE_FLAGS: [Flag; 3] = [
    switch(
        "all",
        Some(b'a'),
        "Remove all images that no container was made of, not only those without a name",
    ),
    option("filter", None, "FILTER", "Only images that match: until=, label=, dangling="),
    switch("force", Some(b'f'), "Do not ask"),
];

pub const PRUNE: Command = Command {
    name: "image prune",
    usage: "[-a] [-f] [--filter FILTER]",
    summary: "Remove images that are not used",
    flags: &PRUNE_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: prune,
};

fn tag(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let name = Reference::parse(&parsed.arguments[1].display().to_string())?;
    if name.digest().is_some() {
        return Err(Error::invalid(format!(
            "`{}`: a name cannot be given at a digest",
            name.familiar()
        )));
    }
    engine.tag(&parsed.arguments[0].display().to_string(), &name).map(|()| 0)
}

fn rmi(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let mut status = 0;
    for text in &parsed.arguments {
        match engine.remove_image(&text.display().to_string(), parsed.is_set("force")) {
            Ok(removed) => print(lines(&removed))?,
            Err(error) => {
                report(&error);
                status = 1;
            }
        }
    }
    Ok(status)
}

fn lines(removed: &Removed) -> String {
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {name}\n"));
    untagged
        .chain(removed.deleted.iter().map(|id| format!("Deleted: {id}\n")))
        .collect()
}

fn prune(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let filter = filter(engine, &parsed)?;
    // `dangling=false` is how Docker spells `-a` as a filter.
    let all = parsed.is_set("all") || filter.dangling == Some(false);
    if !parsed.is_set("force") && !confirmed(all)? {
        return Ok(0);
    }
    let removed = engine.prune_images(
        &crate::engine::ImageFilter {
            dangling: None,
            ..filter
        },
        all,
    )?;
    let mut text = String::new();
    if !removed.untagged.is_empty() || !removed.deleted.is_empty() {
        text += &format!("Deleted Images:\n{}\n", lines(&removed).to_lowercase());
    }
    print(format!("{text}Total reclaimed space: {}\n", bytes(removed.bytes))).map(|()| 0)
}

fn confirmed(all: bool) -> Result<bool> {
    let which = if all {
        "all images that no container was made of"
    } else {
        "all images without a name"
    };
    print(format!(
        "WARNING! This will remove {which}.\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    let stdin = std::io::stdin();
    stdin.lock().read_line(&mut answer)?;
    if !stdin.is_terminal() {
        let _ = writeln!(std::io::stdout());
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn inspect(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let (mut shown, mut status) = (Vec::new(), 0);
    for text in &parsed.arguments {
        match engine.image(&text.display().to_string()) {
            Ok(kept) => shown.push(details(engine, &kept.image)?),
            Err(error) => {
                report(&error);
                status = 1;
            }
        }
    }
    let text = serde_json::to_string_pretty(&shown).map_err(Error::system)?;
    print(text + "\n").map(|()| status)
}

/// An image in the shape that Docker gives it.
pub fn details(engine: &Engine, image: &Image) -> Result<Value> {
    let config = &image.config;
    let names = engine.names_of(image)?;
    let last = config.history.last();
    let lower = image
        .layers()
        .iter()
        .rev()
        .map(|id| engine.layer_path(id).display().to_string());
    Ok(json!({
        "Id": image.id,
        "RepoTags": names.tags,
        "RepoDigests": names.digests,
        "Parent": "",
        "Comment": last.and_then(|last| last.comment.clone()).unwrap_or_default(),
        "Created": config.created.clone().unwrap_or_else(|| clock::spell(std::time::Duration::from_secs(image.created))),
        "DockerVersion": "",
        "Author": config.author.clone().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.platform().architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.platform().os,
        "Size": image.size(),
        "GraphDriver": {"Name": "overlay", "Data": {"LowerDir": lower.collect::<Vec<_>>().join(":")}},
        "RootFS": {"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids},
        "Descriptor": image.manifest.as_ref().map(|(descriptor, _)| descriptor),
    }))
}
