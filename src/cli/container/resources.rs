//! The flags that limit what a container may use: those of processors, memory and processes, and which are not for this system.

use super::block_io;
use crate::cgroup::{self, Resources, parse_cpus, parse_memory};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed, option, switch};

/// What can be limited also while a container runs.
pub const FLAGS: &[Flag] = &[
    option("cpus", Some(b'c'), "NUMBER", "Limit the processors, such as 0.5"),
    option(
        "cpu-shares",
        None,
        "NUMBER",
        "Its share of processors that are short (default 1024)",
    ),
    option(
        "cpu-period",
        None,
        "MICROSECONDS",
        "The period of which `--cpu-quota` is a part",
    ),
    option("cpu-quota", None, "MICROSECONDS", "The processor time in each period"),
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
    option("cpuset-cpus", None, "LIST", "The processors it may use, such as 0-3,5"),
    option("cpuset-mems", None, "LIST", "The memory nodes it may use"),
    option("memory", Some(b'm'), "BYTES", "Limit the memory, such as 512m"),
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
        "Limit memory and swap together (default twice the memory, -1 for no limit)",
    ),
    option(
        "pids-limit",
        None,
        "NUMBER",
        "Limit the processes and threads (default 4096, -1 for no limit)",
    ),
];

/// What is so from the start on.
pub const FIRST_FLAGS: &[Flag] = &[
    option(
        "memory-swappiness",
        None,
        "NUMBER",
        "How readily its memory is swapped out, 0 to 100",
    ),
    switch(
        "oom-kill-disable",
        None,
        "Let its processes wait for memory where they would be killed",
    ),
    option(
        "oom-score-adj",
        None,
        "NUMBER",
        "How soon they are killed when the host is short, -1000 to 1000",
    ),
    option("cgroup-parent", None, "PATH", "Make its cgroups below this one"),
];

/// What Docker has as well, but not for today's Linux.
pub const OTHER_FLAGS: &[Flag] = &[
    option("isolation", None, "WORD", "Only `default`: others are for Windows"),
    option("kernel-memory", None, "BYTES", "Refused: kernels limit it with the memory"),
    option("cpu-count", None, "NUMBER", "Refused: for Windows"),
    option("cpu-percent", None, "NUMBER", "Refused: for Windows"),
    option("io-maxbandwidth", None, "BYTES", "Refused: for Windows"),
    option("io-maxiops", None, "NUMBER", "Refused: for Windows"),
];

/// What the flags ask for, checked as far as it can be by itself.
pub fn limits(parsed: &Parsed) -> Result<Resources> {
    let mut limits = Resources::default();
    processors(parsed, &mut limits)?;
    let memory = |flag: &str| -> Result<Option<i64>> {
        let text = parsed.text(flag)?;
        text.map(parse_memory).transpose().doing(|| format!("`--{flag}`"))
    };
    limits.memory.limit = memory("memory")?;
    limits.memory.reservation = memory("memory-reservation")?;
    limits.memory.swap = memory("memory-swap")?;
    limits.memory.swappiness = number::<i64>(parsed, "memory-swappiness")?
        .filter(|number| *number != -1)
        .map(|number| u64::try_from(number).unwrap_or(u64::MAX));
    limits.memory.disable_oom_killer = parsed.is_set("oom-kill-disable").then_some(true);
    limits.pids.limit = parsed.text("pids-limit")?.map(pids).transpose()?;
    block_io::take(parsed, &mut limits.block_io)?;
    cgroup::check_available(&limits)?;
    Ok(limits)
}

fn processors(parsed: &Parsed, limits: &mut Resources) -> Result<()> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = &mut limits.cpu;
    cpu.shares = number(parsed, "cpu-shares")?;
    cpu.quota = number(parsed, "cpu-quota")?;
    cpu.period = number(parsed, "cpu-period")?;
    cpu.realtime_period = number(parsed, "cpu-rt-period")?;
    cpu.realtime_runtime = number(parsed, "cpu-rt-runtime")?;
    cpu.cpus = parsed.text("cpuset-cpus")?.unwrap_or_default().into();
    cpu.mems = parsed.text("cpuset-mems")?.unwrap_or_default().into();
    if let Some(text) = parsed.text("cpus")? {
        let cpus = parse_cpus(text, available)?;
        for (flag, is_said) in [
            ("cpu-period", cpu.period.is_some_and(|period| period != 0)),
            ("cpu-quota", cpu.quota.is_some_and(|quota| quota != 0)),
        ] {
            if cpus.is_some() && is_said {
                let both = format!("conflicting options: `--cpus` and `--{flag}` cannot both be set");
                return Err(Error::invalid(both).hint("`--cpus 0.5` is a quota of 50000 in a period of 100000"));
            }
        }
        match cpus {
            Some(cpus) => cpu.set_processors(cpus),
            None if cpu.quota.is_none() => cpu.quota = Some(-1),
            None => {}
        }
    }
    Ok(())
}

fn pids(text: &str) -> Result<i64> {
    match text.parse::<i64>() {
        Ok(-1 | 0) => Ok(-1),
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Error::invalid(format!("invalid process limit `{text}`")).hint("give a number of processes, or -1 for no limit")),
    }
}

/// A number after a flag.
pub fn number<T: std::str::FromStr>(parsed: &Parsed, flag: &str) -> Result<Option<T>> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Error::invalid(format!("`{text}` is not such a number")).doing(format!("`--{flag}`")))
    };
    parsed.text(flag)?.map(read).transpose()
}

/// Refuses what there is not here, by its name.
pub fn refuse_others(parsed: &Parsed) -> Result<()> {
    for flag in ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"] {
        if parsed.last(flag).is_some() {
            return Err(Error::invalid(format!("`--{flag}` is for containers of Windows")));
        }
    }
    if parsed.last("kernel-memory").is_some() {
        return Err(
            Error::invalid("`--kernel-memory`: kernels do not limit their own memory by itself any more")
                .hint("it counts as the container's, which `--memory` limits"),
        );
    }
    match parsed.text("isolation")? {
        None | Some("" | "default") => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "`--isolation`: invalid isolation `{other}`: Linux only supports `default`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::flags::{Order, concat, parse};

    fn read(line: &str) -> Result<Resources> {
        const ALL: [Flag; 33] = concat(&[FLAGS, FIRST_FLAGS, OTHER_FLAGS, block_io::FLAGS]);
        let parsed = parse(&ALL, Order::FlagsFirst, line.split(' ').map(OsString::from))?;
        refuse_others(&parsed)?;
        let limits = limits(&parsed)?;
        cgroup::check_limits(&limits)?;
        Ok(limits)
    }

    #[test]
    fn flags_are_resources() {
        for (line, resources) in [
            ("-c 0.25", r#"{"cpu":{"quota":25000,"period":100000}}"#),
            ("--cpus 0", r#"{"cpu":{"quota":-1}}"#),
            ("--cpus 0 --cpu-quota 5000", r#"{"cpu":{"quota":5000}}"#),
            (
                "--cpu-quota 5000 --cpu-period 10000",
                r#"{"cpu":{"quota":5000,"period":10000}}"#,
            ),
            ("--cpu-shares 512 --cpuset-cpus 0", r#"{"cpu":{"shares":512,"cpus":"0"}}"#),
            (
                "-m 64m --memory-swap -1 --memory-reservation 32m",
                r#"{"memory":{"limit":67108864,"reservation":33554432,"swap":-1}}"#,
            ),
            (
                "--memory-swappiness 0 --oom-kill-disable",
                r#"{"memory":{"swappiness":0,"disableOOMKiller":true}}"#,
            ),
            ("--memory-swappiness -1", "{}"),
            ("--pids-limit 0", r#"{"pids":{"limit":-1}}"#),
            ("--isolation default", "{}"),
            ("--blkio-weight 300", r#"{"blockIO":{"weight":300}}"#),
        ] {
            let expected: Resources = serde_json::from_str(resources).unwrap();
            assert_eq!(read(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, wrong) in [
            (
                "--cpus 1 --cpu-quota 5000",
                "conflicting options: `--cpus` and `--cpu-quota` cannot both be set",
            ),
            (
                "--cpus 1 --cpu-period 5000",
                "conflicting options: `--cpus` and `--cpu-period` cannot both be set",
            ),
            ("--cpu-shares -1", "`--cpu-shares`: `-1` is not such a number"),
            (
                "--memory-reservation 1k",
                "`--memory-reservation`: memory limit `1k` is below",
            ),
            (
                "--memory-swappiness 101",
                "`--memory-swappiness`: 101 is not between 0 and 100",
            ),
            ("--memory-swappiness -2", "`--memory-swappiness`:"),
            ("--pids-limit x", "invalid process limit `x`"),
            ("--kernel-memory 5m", "`--kernel-memory`: kernels do not limit"),
            ("--cpu-count 2", "`--cpu-count` is for containers of Windows"),
            ("--isolation hyperv", "`--isolation`: invalid isolation `hyperv`"),
            (
                "--device-read-bps /dev/null:1mb",
                "`--device-read-bps`: `/dev/null` is no block device",
            ),
            ("--device-read-bps /dev/null", "`--device-read-bps`: bad format for path"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.starts_with(wrong), "{line}: {error}");
        }
    }
}
