//! What version 1 counts, in the trees of the controllers.

use rustix::param::clock_ticks_per_second;

use super::check::parse_list;
use super::stats::{BlkioEntry, CpusetStats, Files, HugetlbStats, MemoryEntry, Stats, Throttling};

/// Reads what the controllers of one tree count.
pub fn read(files: &Files, stats: &mut Stats) {
    if let Some(total) = files.number("cpuacct.usage") {
        usage(files, total, stats);
    }
    if files.number("cpu.shares").is_some() {
        let pairs = files.pairs("cpu.stat");
        let number = |name: &str| pairs.get(name).copied().unwrap_or(0);
        stats.cpu.throttling = Throttling {
            periods: number("nr_periods"),
            throttled_periods: number("nr_throttled"),
            throttled_time: number("throttled_time"),
        };
    }
    if files.number("memory.usage_in_bytes").is_some() {
        memory(files, stats);
    }
    if let Some(current) = files.number("pids.current") {
        stats.pids.current = current;
        stats.pids.limit = files.number("pids.max").filter(|limit| *limit != u64::MAX).unwrap_or(0);
    }
    if files.text("cpuset.cpus").is_some() {
        cpuset(files, &mut stats.cpuset);
    }
    if files.text("blkio.throttle.io_service_bytes").is_some() {
        blkio(files, stats);
    }
    for size in files.page_sizes(".usage_in_bytes") {
        let number = |suffix: &str| files.or_zero(&format!("hugetlb.{size}.{suffix}"));
        let entry = HugetlbStats {
            usage: number("usage_in_bytes"),
            max: number("max_usage_in_bytes"),
            failcnt: number("failcnt"),
        };
        stats.hugetlb.insert(size, entry);
    }
}

fn usage(files: &Files, total: u64, stats: &mut Stats) {
    let usage = &mut stats.cpu.usage;
    usage.total = total;
    usage.percpu = files.numbers("cpuacct.usage_percpu");
    usage.percpu_user = files.numbers("cpuacct.usage_percpu_user");
    usage.percpu_kernel = files.numbers("cpuacct.usage_percpu_sys");
    let ticks = files.pairs("cpuacct.stat");
    let nanoseconds = |name: &str| ticks.get(name).copied().unwrap_or(0) * (1_000_000_000 / clock_ticks_per_second().max(1));
    usage.user = nanoseconds("user");
    usage.kernel = nanoseconds("system");
}

fn memory(files: &Files, stats: &mut Stats) {
    let entry = |name: &str| MemoryEntry {
        limit: files.or_zero(&format!("{name}.limit_in_bytes")),
        usage: files.or_zero(&format!("{name}.usage_in_bytes")),
        max: files.or_zero(&format!("{name}.max_usage_in_bytes")),
        failcnt: files.or_zero(&format!("{name}.failcnt")),
    };
    stats.memory.usage = entry("memory");
    stats.memory.swap = entry("memory.memsw");
    stats.memory.kernel = entry("memory.kmem");
    stats.memory.kernel_tcp = entry("memory.kmem.tcp");
    stats.memory.raw = files.pairs("memory.stat");
    stats.memory.cache = stats.memory.raw.get("cache").copied().unwrap_or(0);
}

fn cpuset(files: &Files, stats: &mut CpusetStats) {
    let list = |name: &str| parse_list(&files.text(name).unwrap_or_default()).unwrap_or_default();
    let number = |name: &str| files.or_zero(&format!("cpuset.{name}"));
    *stats = CpusetStats {
        cpus: list("cpuset.cpus"),
        cpu_exclusive: number("cpu_exclusive"),
        mems: list("cpuset.mems"),
        mem_hardwall: number("mem_hardwall"),
        mem_exclusive: number("mem_exclusive"),
        memory_migrate: number("memory_migrate"),
        memory_spread_page: number("memory_spread_page"),
        memory_spread_slab: number("memory_spread_slab"),
        memory_pressure: number("memory_pressure"),
        sched_load_balance: number("sched_load_balance"),
        sched_relax_domain_level: files
            .text("cpuset.sched_relax_domain_level")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
    };
}

/// The BFQ scheduler counts what it serves. What throttling counts is there always.
fn blkio(files: &Files, stats: &mut Stats) {
    let entries = |name: &str| {
        files
            .text(name)
            .map(|text| text.lines().filter_map(entry).collect::<Vec<_>>())
    };
    let first = |names: [&str; 3]| names.into_iter().filter_map(entries).find(|entries| !entries.is_empty());
    let blkio = &mut stats.blkio;
    blkio.io_service_bytes_recursive = first([
        "blkio.bfq.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes",
    ])
    .unwrap_or_default();
    blkio.io_serviced_recursive = first([
        "blkio.bfq.io_serviced_recursive",
        "blkio.throttle.io_serviced_recursive",
        "blkio.throttle.io_serviced",
    ])
    .unwrap_or_default();
    for (table, name) in [
        (&mut blkio.io_queued_recursive, "io_queued"),
        (&mut blkio.io_service_time_recursive, "io_service_time"),
        (&mut blkio.io_wait_time_recursive, "io_wait_time"),
        (&mut blkio.io_merged_recursive, "io_merged"),
        (&mut blkio.io_time_recursive, "time"),
        (&mut blkio.sectors_recursive, "sectors"),
    ] {
        *table = entries(&format!("blkio.bfq.{name}_recursive")).unwrap_or_default();
    }
}

/// A line is `8:0 Read 1`, or `8:0 1`, and in the end `Total 1`.
fn entry(line: &str) -> Option<BlkioEntry> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (major, minor) = fields.first()?.split_once(':')?;
    Some(BlkioEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: if fields.len() > 2 { fields[1].into() } else { String::new() },
        value: fields.last()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_devices_have_lines() {
        let entry_of = |op: &str, value| {
            Some(BlkioEntry {
                major: 8,
                minor: 16,
                op: op.into(),
                value,
            })
        };
        for (line, expected) in [
            ("8:16 Read 1282048", entry_of("Read", 1_282_048)),
            ("8:16 6792", entry_of("", 6792)),
            ("Total 3477504", None),
            ("", None),
        ] {
            assert_eq!(entry(line), expected, "{line}");
        }
    }
}
