//! `list` and `ps`: what there is, and what runs in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command as Program;

use serde::Serialize;

use super::super::container::{Container, Status};
use super::super::{Command, Context, VERSION, word};
use super::{container, print, print_json};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option, switch};

pub const LIST: Command = Command {
    name: "list",
    usage: "[FLAGS]",
    summary: "List containers",
    flags: &[
        option("format", Some(b'f'), "FORMAT", "`table` or `json`"),
        switch("quiet", Some(b'q'), "Print ids only"),
    ],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: list,
};

pub const PS: Command = Command {
    name: "ps",
    usage: "[FLAGS] CONTAINER [PS-FLAG...]",
    summary: "List the processes of a container",
    flags: &[option("format", Some(b'f'), "FORMAT", "`table` or `json`")],
    order: Order::FlagsFirst,
    arguments: (1, super::super::MANY),
    failure: 1,
    run: ps,
};

/// A container as `list` and `state` show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    oci_version: &'static str,
    id: String,
    pid: i32,
    status: Status,
    bundle: PathBuf,
    rootfs: PathBuf,
    created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    owner: String,
}

impl Entry {
    pub fn of(container: &Container) -> Result<Entry> {
        let status = container.status()?;
        let pid = match status {
            Status::Stopped => 0,
            _ => container.process()?.map_or(0, |process| process.pid),
        };
        Ok(Entry {
            oci_version: VERSION,
            id: container.id.clone(),
            pid,
            status,
            bundle: container.origin.bundle.clone(),
            rootfs: container.config.root(&container.origin.bundle),
            created: container.origin.created.clone(),
            annotations: container.config.annotations.clone(),
            owner: owner(container.origin.owner),
        })
    }
}

/// The host's name for a user.
fn owner(user: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = user.to_string();
    let named = users.lines().find(|line| line.split(':').nth(2) == Some(&number));
    named
        .and_then(|line| line.split(':').next())
        .map_or(format!("#{user}"), str::to_string)
}

fn list(context: &Context, parsed: Parsed) -> Result<u8> {
    let mut entries = Vec::new();
    for id in context.root.ids()? {
        // One that is removed meanwhile is none.
        if let Ok(container) = context.root.find(&id) {
            entries.push(Entry::of(&container)?);
        }
    }
    if parsed.is_set("quiet") {
        let ids: Vec<String> = entries.iter().map(|entry| format!("{}\n", entry.id)).collect();
        return print(ids.concat());
    }
    match parsed.text("format")? {
        Some("json") => print_json(&entries),
        None | Some("table") => print(table(&entries)),
        Some(other) => Err(Error::invalid(format!("`--format`: there is no `{other}`"))),
    }
}

fn table(entries: &[Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        let bundle = entry.bundle.display().to_string();
        [
            entry.id.clone(),
            entry.pid.to_string(),
            word(entry.status).into(),
            bundle,
            entry.created.clone(),
            entry.owner.clone(),
        ]
    });
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_string);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |n: usize| rows.iter().map(|row| row[n].len()).max().unwrap_or(0).max(9);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}   "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

fn ps(context: &Context, parsed: Parsed) -> Result<u8> {
    let container = container(context, &parsed)?;
    let processes = container.group()?.processes()?;
    let numbers: Vec<i32> = processes.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    match parsed.text("format")? {
        Some("json") => print(serde_json::to_string(&numbers).map_err(Error::system)? + "\n"),
        None | Some("table") => show_processes(&numbers, &parsed),
        Some(other) => Err(Error::invalid(format!("`--format`: there is no `{other}`"))),
    }
}

/// Shows of what ps(1) prints the lines of these processes.
fn show_processes(numbers: &[i32], parsed: &Parsed) -> Result<u8> {
    let mut command = Program::new("ps");
    match &parsed.arguments[1..] {
        [] => command.arg("-ef"),
        flags => command.args(flags),
    };
    let done = command.output().doing(|| "run `ps`")?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Error::invalid("`ps` was asked for no column `PID`"))?;
    let is_ours = |line: &&str| {
        line.split_whitespace()
            .nth(column)
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| numbers.contains(&pid))
    };
    let shown: Vec<&str> = std::iter::once(head).chain(lines.filter(is_ours)).collect();
    print(shown.join("\n") + "\n")
}
