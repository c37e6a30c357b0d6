//! Resources have two names: the specification's fields, and the flags of the engine's commands.
//!
//! What is wrong with a resource is said in the specification's words (`linux.resources.memory.swap`). Whoever has typed
//! `--memory-swap` is told about that.

use crate::error::Error;

/// A field, the flag for it, and the files that it is written to.
const NAMES: [(&str, &str, &[&str]); 18] = [
    ("memory.limit", "memory", &["memory.max", "memory.limit_in_bytes"]),
    (
        "memory.swap",
        "memory-swap",
        &["memory.swap.max", "memory.memsw.limit_in_bytes"],
    ),
    (
        "memory.reservation",
        "memory-reservation",
        &["memory.low", "memory.soft_limit_in_bytes"],
    ),
    ("memory.swappiness", "memory-swappiness", &["memory.swappiness"]),
    ("memory.disableOOMKiller", "oom-kill-disable", &["memory.oom_control"]),
    ("cpu", "cpu-…", &[]),
    ("cpu.shares", "cpu-shares", &["cpu.weight", "cpu.shares"]),
    ("cpu.quota", "cpu-quota", &["cpu.max", "cpu.cfs_quota_us"]),
    ("cpu.period", "cpu-period", &["cpu.cfs_period_us"]),
    ("cpu.realtimePeriod", "cpu-rt-period", &["cpu.rt_period_us"]),
    ("cpu.realtimeRuntime", "cpu-rt-runtime", &["cpu.rt_runtime_us"]),
    ("cpu.cpus", "cpuset-cpus", &["cpuset.cpus"]),
    ("cpu.mems", "cpuset-mems", &["cpuset.mems"]),
    ("pids.limit", "pids-limit", &["pids.max"]),
    (
        "blockIO.weight",
        "blkio-weight",
        &["io.weight", "io.bfq.weight", "blkio.weight", "blkio.bfq.weight"],
    ),
    (
        "blockIO.throttleReadBpsDevice",
        "device-read-bps",
        &["blkio.throttle.read_bps_device"],
    ),
    (
        "blockIO.throttleWriteBpsDevice",
        "device-write-bps",
        &["blkio.throttle.write_bps_device"],
    ),
    (
        "blockIO",
        "device-…",
        &[
            "io.max",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_iops_device",
        ],
    ),
];

/// Says something about a field of the specification's as it is about a flag.
pub fn in_flags(text: &str) -> String {
    let Some((before, rest)) = text.split_once("`linux.resources.") else {
        return text.into();
    };
    let Some((field, after)) = rest.split_once('`') else {
        return text.into();
    };
    let exact = NAMES.iter().find(|(name, ..)| *name == field);
    let within = || {
        NAMES
            .iter()
            .find(|(name, ..)| field.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '['])))
    };
    match exact.or_else(within) {
        Some((_, flag, _)) => format!("{before}`--{flag}`{after}"),
        None => text.into(),
    }
}

/// Says the same of an error, and which flag a file is about that the kernel does not let be written.
pub fn error_in_flags(error: Error) -> Error {
    let error = error.map(in_flags);
    let message = error.message();
    let is_named = |file: &&str| message.contains(&format!("/{file}`"));
    match NAMES.iter().find(|(_, _, files)| files.iter().any(&is_named)) {
        Some((_, flag, _)) if !message.contains("`--") => error.doing(format!("`--{flag}`")),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_become_flags() {
        for (said, heard) in [
            ("`linux.resources.memory.swap`: too little", "`--memory-swap`: too little"),
            ("`linux.resources.blockIO.weightDevice[0].weight`: 5", "`--device-…`: 5"),
            (
                "`linux.resources.memory.swappiness` is not kept: why",
                "`--memory-swappiness` is not kept: why",
            ),
            ("`linux.resources.rdma`: else", "`linux.resources.rdma`: else"),
            ("else", "else"),
            (
                "write `1` to `/c/x/memory.limit_in_bytes`: busy",
                "`--memory`: write `1` to `/c/x/memory.limit_in_bytes`: busy",
            ),
        ] {
            assert_eq!(error_in_flags(Error::invalid(said)).to_string(), heard);
        }
    }
}
