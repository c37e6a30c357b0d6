//! The flags that limit what a container may use.

use crate::cgroup::{Limits, parse_cpus, parse_memory};
use crate::error::{Error, Result};
use crate::flags::{Flag, Parsed, option};

pub const FLAGS: &[Flag] = &[
    option("cpus", Some(b'c'), "NUMBER", "Limit the processors, such as 0.5"),
    option("memory", Some(b'm'), "BYTES", "Limit the memory, such as 512m"),
    option(
        "pids-limit",
        None,
        "NUMBER",
        "Limit the processes and threads (default 4096, -1 for no limit)",
    ),
];

pub fn limits(parsed: &Parsed) -> Result<Limits> {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let pids = |text: &str| match text.parse::<i64>() {
        Ok(-1) => Ok(0),
        Ok(number) if number >= 0 => Ok(number as u64),
        _ => Err(Error::invalid(format!("invalid process limit `{text}`")).hint("give a number of processes, or -1 for no limit")),
    };
    Ok(Limits {
        cpus: parsed.text("cpus")?.map(|text| parse_cpus(text, available())).transpose()?,
        memory: parsed.text("memory")?.map(parse_memory).transpose()?,
        pids: parsed.text("pids-limit")?.map(pids).transpose()?,
    })
}
