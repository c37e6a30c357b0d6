//! `checkpoint` and `restore`: what they take.

use std::path::PathBuf;

use super::super::attach::{attach, catch};
use super::super::checkpoint::{checkpoint, restore};
use super::super::create::Request;
use super::super::criu::Criu;
use super::super::plan::Asked;
use super::super::{Command, Context, end};
use super::{container, id};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option, switch};

/// The flags of both.
macro_rules! with_images {
    ($($more:expr),*) => {
        &[
            option("image-path", None, "DIRECTORY", "Where the images are (default: `checkpoint`)"),
            option("work-path", None, "DIRECTORY", "Where criu's logs go (default: to the images)"),
            option("parent-path", None, "DIRECTORY", "Images of an earlier `--pre-dump`, seen from the new ones"),
            switch("leave-running", None, "Let the container go on"),
            switch("tcp-established", None, "Allow open TCP connections"),
            switch("ext-unix-sk", None, "Allow Unix sockets whose other end is elsewhere"),
            switch("shell-job", None, "Allow a session and a terminal of others"),
            switch("file-locks", None, "Allow locks of files"),
            switch("pre-dump", None, "Only write the memory, and let the container go on"),
            switch("auto-dedup", None, "Remove from the earlier images what the new ones have"),
            option("manage-cgroups-mode", None, "MODE", "criu's `soft`, `full`, `strict` or `ignore` (default: `ignore`)"),
            option("empty-ns", None, "NAMESPACE", "Do not save or restore what is in it: `network`"),
            switch("lazy-pages", None, "Is refused: memory is not fetched later"),
            option("page-server", None, "ADDRESS", "Is refused: memory is not sent elsewhere"),
            option("status-fd", None, "NUMBER", "Is refused, since it belongs to `--lazy-pages`"),
            $($more),*
        ]
    };
}

/// Switches that criu has by the same names.
const SWITCHES: [&str; 5] = ["tcp-established", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup"];
const MODES: [&str; 4] = ["soft", "full", "strict", "ignore"];

pub const CHECKPOINT: Command = Command {
    name: "checkpoint",
    usage: "[FLAGS] CONTAINER",
    summary: "Save a running container's processes, by criu(8)",
    flags: with_images!(),
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| {
        let criu = criu(context, &parsed)?;
        checkpoint(&container(context, &parsed)?, &criu).map(|()| 0)
    },
};

pub const RESTORE: Command = Command {
    name: "restore",
    usage: "[FLAGS] CONTAINER",
    summary: "Make a container again from what `checkpoint` saved",
    flags: with_images!(
        option(
            "bundle",
            Some(b'b'),
            "DIRECTORY",
            "The bundle (default: the working directory)"
        ),
        option(
            "pid-file",
            None,
            "FILE",
            "Write the process id of the container's init to this file"
        ),
        option("console-socket", None, "PATH", "Is refused: terminals are not restored"),
        switch("detach", Some(b'd'), "Leave it running"),
        switch("no-pivot", None, "Has no effect: criu exchanges the root"),
        switch("no-subreaper", None, "Has no effect: nothing here becomes one")
    ),
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: run_restored,
};

fn criu(context: &Context, parsed: &Parsed) -> Result<Criu> {
    for flag in ["lazy-pages", "page-server", "status-fd", "console-socket"] {
        let is_given = parsed.last(flag).is_some_and(|value| !value.is_empty() && value != "false");
        if is_given {
            return Err(Error::invalid(format!("`--{flag}` is not supported")));
        }
    }
    let cgroups = parsed
        .text("manage-cgroups-mode")?
        .filter(|mode| !mode.is_empty())
        .unwrap_or("ignore");
    if !MODES.contains(&cgroups) {
        return Err(
            Error::invalid(format!("`--manage-cgroups-mode`: there is no `{cgroups}`")).hint("`soft`, `full`, `strict`, `ignore`")
        );
    }
    if let Some(other) = parsed.all("empty-ns").find(|name| *name != "network") {
        return Err(Error::invalid(format!(
            "`--empty-ns`: `{}` is not `network`",
            other.display()
        )));
    }
    let path = |flag: &str| parsed.last(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
    // criu changes its working directory before it looks.
    let absolute = |path: PathBuf| std::path::absolute(&path).doing(|| format!("find `{}`", path.display()));
    Ok(Criu {
        program: context.criu.clone(),
        images: absolute(path("image-path").unwrap_or_else(|| "checkpoint".into()))?,
        work: path("work-path").map(absolute).transpose()?,
        parent: path("parent-path"),
        leave_running: parsed.is_set("leave-running"),
        pre_dump: parsed.is_set("pre-dump"),
        empty_network: parsed.last("empty-ns").is_some(),
        cgroups: cgroups.into(),
        switches: SWITCHES.into_iter().filter(|name| parsed.is_set(name)).collect(),
    })
}

fn run_restored(context: &Context, parsed: Parsed) -> Result<u8> {
    let criu = criu(context, &parsed)?;
    let request = Request {
        id: id(&parsed),
        bundle: parsed.last("bundle").map_or_else(|| ".".into(), PathBuf::from),
        console_socket: None,
        pid_file: parsed.last("pid-file").filter(|path| !path.is_empty()).map(PathBuf::from),
        asked: Asked::default(),
    };
    let signals = (!parsed.is_set("detach")).then(catch).transpose()?;
    let (container, init) = restore(&context.root, &request, &criu, &|text| context.warn(text))?;
    let Some(signals) = signals else { return Ok(0) };
    let code = attach(&init, signals, None)?;
    end::remove(&container, false, &|text| context.warn(text))?;
    Ok(code)
}
