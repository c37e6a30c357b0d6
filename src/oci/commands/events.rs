//! `events`: what a container uses, and when memory runs out.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::super::container::{Container, Status};
use super::super::end::KILLS;
use super::super::{Command, Context};
use super::{container, print};
use crate::cgroup::OomEvent;
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option, switch};

pub const EVENTS: Command = Command {
    name: "events",
    usage: "[FLAGS] CONTAINER",
    summary: "Print what a container uses, and when it was short of memory, as lines of JSON",
    flags: &[
        option(
            "interval",
            None,
            "DURATION",
            "How often what it uses is printed, such as `5s` (the default)",
        ),
        switch("stats", None, "Print what it uses once, and end"),
    ],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

#[derive(Serialize)]
struct Event<'a, T: Serialize> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

fn run(context: &Context, parsed: Parsed) -> Result<u8> {
    let container = container(context, &parsed)?;
    if container.status()? == Status::Stopped {
        return Err(Error::conflict("container not running"));
    }
    if parsed.is_set("stats") {
        return tell_stats(&container);
    }
    let interval = parsed.text("interval")?.map_or(Ok(Duration::from_secs(5)), read_duration)?;
    let (init, _) = container.open_init()?;
    let left = File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(container.file(KILLS));
    let left = left.doing(|| "wait for events")?;
    let mut watch = container.group()?.watch_oom()?;
    loop {
        let limit = Timespec::try_from(interval).unwrap_or_default();
        let mut set = [
            PollFd::from_borrowed_fd(init.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN),
        ];
        let ready = rustix::io::retry_on_intr(|| poll(&mut set, Some(&limit))).doing(|| "wait for events")?;
        let [ended, short] = set.map(|entry| !entry.revents().is_empty());
        // What ended it may have been told of at the same time, or a moment later.
        if (short || ended) && matches!(watch.take()?, OomEvent::Killed(_)) {
            tell("oom", &container.id, None::<()>)?;
        }
        if ended {
            // The cgroups may have been removed before they were looked at.
            if io::read_to_string(left)?.parse().is_ok_and(|kills| watch.has_missed(kills)) {
                tell("oom", &container.id, None::<()>)?;
            }
            return Ok(0);
        }
        if ready == 0 {
            tell_stats(&container)?;
        }
    }
}

fn tell_stats(container: &Container) -> Result<u8> {
    tell("stats", &container.id, Some(container.group()?.stats()?))
}

fn tell(kind: &str, id: &str, data: Option<impl Serialize>) -> Result<u8> {
    let line = serde_json::to_string(&Event { kind, id, data }).map_err(Error::system)?;
    print(line + "\n")
}

/// Reads a time such as `5s`, `100ms` or `1m30s`, as programs in Go write it.
fn read_duration(text: &str) -> Result<Duration> {
    let wrong = || Error::invalid(format!("`--interval`: `{text}` is no time")).hint("write it as `5s` or `100ms`");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let seconds = match &rest[digits..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return Err(wrong()),
        };
        total += Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        rest = &rest[unit_end..];
    }
    if total.is_zero() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [("5s", 5000), ("100ms", 100), ("1m30s", 90_000), ("1.5s", 1500)] {
            assert_eq!(read_duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "5", "s", "0s", "5 s", "1d"] {
            assert!(read_duration(text).is_err(), "{text}");
        }
    }
}
