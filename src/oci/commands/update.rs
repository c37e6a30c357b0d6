//! `update`: other limits for a container that runs.

use std::io::Read;
use std::path::Path;

use super::super::config::parse;
use super::super::container::Status;
use super::super::{Command, Context, container::Container};
use super::{container, number};
use crate::cgroup::{Group, Resources, parse_bytes};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option};

pub const UPDATE: Command = Command {
    name: "update",
    usage: "[FLAGS] CONTAINER",
    summary: "Change the limits of a container",
    flags: &[
        option(
            "resources",
            Some(b'r'),
            "FILE",
            "A file with `resources` as in config.json, or `-` for the standard input",
        ),
        option("blkio-weight", None, "NUMBER", "Its share of disk accesses, 10 to 1000"),
        option(
            "cpu-period",
            None,
            "MICROSECONDS",
            "The period of which `--cpu-quota` is a part",
        ),
        option("cpu-quota", None, "MICROSECONDS", "The processor time in each period"),
        option("cpu-burst", None, "MICROSECONDS", "What may be saved up of it"),
        option("cpu-share", None, "NUMBER", "Its share of processors that are short"),
        option("cpu-idle", None, "0|1", "Whether it runs only when nothing else does"),
        option(
            "cpu-rt-period",
            None,
            "MICROSECONDS",
            "The period of which `--cpu-rt-runtime` is a part",
        ),
        option(
            "cpu-rt-runtime",
            None,
            "MICROSECONDS",
            "The time in each for processes in real time",
        ),
        option("cpuset-cpus", None, "LIST", "The processors it may use"),
        option("cpuset-mems", None, "LIST", "The memory nodes it may use"),
        option("memory", None, "BYTES", "The memory it may use"),
        option(
            "memory-reservation",
            None,
            "BYTES",
            "The memory it is left with when memory is short",
        ),
        option(
            "memory-swap",
            None,
            "BYTES",
            "The memory and swap it may use, -1 for no limit",
        ),
        option(
            "pids-limit",
            None,
            "NUMBER",
            "How many processes it may have, -1 for no limit",
        ),
        option("kernel-memory", None, "BYTES", "Has no effect in today's kernels"),
        option("kernel-memory-tcp", None, "BYTES", "The memory of its TCP buffers"),
        option("l3-cache-schema", None, "SCHEMA", "Not supported"),
        option("mem-bw-schema", None, "SCHEMA", "Not supported"),
    ],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(context: &Context, parsed: Parsed) -> Result<u8> {
    let container = container(context, &parsed)?;
    if container.status()? == Status::Stopped {
        return Err(Error::conflict("container not running"));
    }
    let mut change = match parsed.text("resources")? {
        None => Resources::default(),
        Some(file) => read(file)?,
    };
    take_flags(&mut change, &parsed)?;
    change.check()?;
    apply(context, &container, &change).map(|()| 0)
}

/// Applies a change to what is known so far, since some limits only mean something together.
fn apply(context: &Context, container: &Container, change: &Resources) -> Result<()> {
    let _lock = container.lock()?;
    let hierarchies = container.hierarchies()?;
    let mut config = container.config.clone();
    config.linux.resources.merge(change);
    let mut resources = config.linux.resources.clone();
    // Devices are what they were, unless something is said about them.
    resources.devices = match change.devices.is_empty() {
        true => Vec::new(),
        false => config.resources().devices,
    };
    if let Some(scope) = container.scope()? {
        scope.update(&resources, hierarchies)?;
    }
    let warnings = Group::update(hierarchies, Path::new(&container.origin.cgroup), &resources)?;
    warnings.iter().for_each(|warning| context.warn(warning));
    container.record_config(&config)
}

fn read(file: &str) -> Result<Resources> {
    let doing = || format!("read `{file}`");
    let mut bytes = Vec::new();
    match file {
        "-" => std::io::stdin().read_to_end(&mut bytes).doing(|| "read the standard input")?,
        path => std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .doing(doing)?,
    };
    parse(&bytes).map_err(|error| error.doing(doing()))
}

fn take_flags(change: &mut Resources, parsed: &Parsed) -> Result<()> {
    for flag in ["l3-cache-schema", "mem-bw-schema"] {
        if parsed.last(flag).is_some() {
            return Err(Error::invalid(format!("`--{flag}` is not supported")));
        }
    }
    let memory = |flag: &str| -> Result<Option<i64>> {
        match parsed.text(flag)? {
            None => Ok(None),
            Some("-1") => Ok(Some(-1)),
            Some(text) => parse_bytes(text).map(Some).doing(|| format!("`--{flag}`")),
        }
    };
    take(&mut change.memory.limit, memory("memory")?);
    take(&mut change.memory.reservation, memory("memory-reservation")?);
    take(&mut change.memory.swap, memory("memory-swap")?);
    take(&mut change.memory.kernel_tcp, memory("kernel-memory-tcp")?);
    take(&mut change.cpu.period, number(parsed, "cpu-period")?);
    take(&mut change.cpu.quota, number(parsed, "cpu-quota")?);
    take(&mut change.cpu.burst, number(parsed, "cpu-burst")?);
    take(&mut change.cpu.shares, number(parsed, "cpu-share")?);
    take(&mut change.cpu.idle, number(parsed, "cpu-idle")?);
    take(&mut change.cpu.realtime_period, number(parsed, "cpu-rt-period")?);
    take(&mut change.cpu.realtime_runtime, number(parsed, "cpu-rt-runtime")?);
    take(&mut change.pids.limit, number(parsed, "pids-limit")?);
    take(&mut change.block_io.weight, number(parsed, "blkio-weight")?);
    for (flag, field) in [("cpuset-cpus", &mut change.cpu.cpus), ("cpuset-mems", &mut change.cpu.mems)] {
        if let Some(list) = parsed.text(flag)? {
            *field = list.into();
        }
    }
    Ok(())
}

fn take<T>(field: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *field = given;
    }
}
