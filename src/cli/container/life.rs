//! The flags about how a container's life goes on: how it is stopped, started again, and watched.

use std::time::Duration;

use crate::engine::health::{Asked, Command};
use crate::engine::restart::Policy;
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed, option, switch};
use crate::kernel::signal;
use crate::store::parse_duration;

/// What `update` changes, too.
pub const RESTART: &[Flag] = &[option(
    "restart",
    None,
    "POLICY",
    "Start it again: `no`, `on-failure[:TIMES]`, `always`, `unless-stopped`",
)];

pub const FLAGS: &[Flag] = &[
    switch("init", None, "Run a first process that passes on signals and reaps"),
    option("stop-signal", None, "SIGNAL", "What asks the command to end (default TERM)"),
    option(
        "stop-timeout",
        None,
        "SECONDS",
        "How long it has for that (default 10, -1 is forever)",
    ),
    option("health-cmd", None, "COMMAND", "What is run to find out whether all is well"),
    option("health-interval", None, "DURATION", "How often (default 30s)"),
    option(
        "health-timeout",
        None,
        "DURATION",
        "How long one check may take (default 30s)",
    ),
    option(
        "health-retries",
        None,
        "TIMES",
        "How many failures in a row are too many (default 3)",
    ),
    option(
        "health-start-period",
        None,
        "DURATION",
        "How long failures do not count (default 0s)",
    ),
    option(
        "health-start-interval",
        None,
        "DURATION",
        "How often during that time (default 5s)",
    ),
    switch("no-healthcheck", None, "Do not run the image's health check either"),
];

pub fn restart(parsed: &Parsed) -> Result<Policy> {
    parsed.text("restart")?.map_or(Ok(Policy::No), Policy::parse)
}

/// Reads a signal's name or number.
pub fn stop_signal(parsed: &Parsed, flag: &str) -> Result<Option<i32>> {
    let read = |text: &str| {
        signal::parse(text)
            .ok_or_else(|| Error::invalid(format!("invalid signal `{text}`")).hint("give a name, such as `TERM`, or a number"))
    };
    parsed.text(flag)?.map(read).transpose()
}

/// Reads a number of seconds; one below zero is forever.
pub fn seconds(parsed: &Parsed, flag: &str) -> Result<Option<i64>> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Error::invalid(format!("invalid time `{text}`")).hint("give a number of seconds, or -1 to wait forever"))
    };
    parsed.text(flag)?.map(read).transpose()
}

pub fn health(parsed: &Parsed) -> Result<Asked> {
    let time = |flag: &'static str| -> Result<Option<Duration>> {
        let text = parsed.text(flag)?;
        text.map(parse_duration).transpose().doing(|| format!("`--{flag}`"))
    };
    let times = |text: &str| {
        text.parse()
            .map_err(|_| Error::invalid(format!("`--health-retries`: invalid number `{text}`")))
    };
    let none = parsed.is_set("no-healthcheck");
    let asked = Asked {
        none,
        command: parsed.text("health-cmd")?.map(|text| Command::Shell(text.into())),
        interval: time("health-interval")?,
        start_interval: time("health-start-interval")?,
        timeout: time("health-timeout")?,
        start_period: time("health-start-period")?,
        retries: parsed.text("health-retries")?.map(times).transpose()?,
    };
    let others = Asked {
        none: false,
        ..asked.clone()
    };
    if none && others != Asked::default() {
        return Err(Error::invalid(
            "`--no-healthcheck` conflicts with the other `--health-…` flags",
        ));
    }
    Ok(asked)
}
