//! `tinydock tag`, `rmi` and `image prune`, and what `inspect` tells about images

use std::io::{BufRead, IsTerminal, Write};

use serde::Serialize;

use super::images::filter;
use super::table::bytes;
use super::template::Value;
use super::{Command, MANY, print, report, tidy};
use crate::engine::{Engine, Removed};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::image::{Descriptor, Execution, Reference};
use crate::store::{Digest, clock};

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
    flags: &[
        switch(
            "force",
            Some(b'f'),
            "Also remove an image that a stopped container was made of, and a tarball",
        ),
        switch(
            "no-prune",
            None,
            "Keep images that this one was made of (the same as without: they have names)",
        ),
    ],
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: rmi,
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
    let text = deleted(&removed);
    print(format!("{text}Total reclaimed space: {}\n", bytes(removed.bytes))).map(|()| 0)
}

/// What is told of images that are gone.
pub fn deleted(removed: &Removed) -> String {
    if removed.untagged.is_empty() && removed.deleted.is_empty() {
        return String::new();
    }
    format!("Deleted Images:\n{}\n", lines(removed).to_lowercase())
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

/// An image in the shape that Docker gives it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    id: &'a Digest,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: String,
    created: String,
    docker_version: &'static str,
    author: String,
    config: &'a Execution,
    architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    os: String,
    size: u64,
    graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    root: Layers<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<&'a Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: Directories,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directories {
    lower_dir: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layers<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    layers: &'a [Digest],
}

/// All that is known of an image.
pub fn inspect(engine: &Engine, text: &str) -> Result<Value> {
    let kept = engine.image(text)?;
    let image = &kept.image;
    let config = &image.config;
    let names = engine.names_of(image)?;
    let lower = image
        .layers()
        .iter()
        .rev()
        .map(|id| engine.layer_path(id).display().to_string());
    let made = || clock::spell(std::time::Duration::from_secs(image.created));
    Value::of(&Shown {
        id: &image.id,
        repo_tags: names.tags,
        repo_digests: names.digests,
        parent: "",
        comment: config
            .history
            .last()
            .and_then(|last| last.comment.clone())
            .unwrap_or_default(),
        created: config.created.clone().unwrap_or_else(made),
        docker_version: "",
        author: config.author.clone().unwrap_or_default(),
        config: &config.config,
        architecture: config.platform().architecture,
        variant: config.variant.clone(),
        os: config.platform().os,
        size: image.size(),
        graph_driver: GraphDriver {
            data: Directories {
                lower_dir: lower.collect::<Vec<_>>().join(":"),
            },
            name: "overlay",
        },
        root: Layers {
            kind: &config.rootfs.kind,
            layers: image.layers(),
        },
        descriptor: image.manifest.as_ref().map(|(descriptor, _)| descriptor),
    })
}
