//! What version 2 counts.

use super::stats::{BlkioEntry, CpuUsage, Files, HugetlbStats, MemoryEntry, Stats, Throttling};

/// Reads what the controllers that are enabled count.
pub fn read(files: &Files, stats: &mut Stats) {
    if files.number("cpu.weight").is_some() {
        cpu(files, stats);
    }
    if files.number("memory.current").is_some() {
        memory(files, stats);
    }
    if let Some(current) = files.number("pids.current") {
        stats.pids.current = current;
        stats.pids.limit = files.number("pids.max").filter(|limit| *limit != u64::MAX).unwrap_or(0);
    }
    if let Some(text) = files.text("io.stat") {
        text.lines().for_each(|line| io(line, stats));
        stats.blkio.psi = files.pressure("io.pressure");
    }
    for size in files.page_sizes(".current") {
        let (current, reserved) = (format!("hugetlb.{size}.current"), format!("hugetlb.{size}.rsvd.current"));
        let events = files.pairs(&format!("hugetlb.{size}.events"));
        let entry = HugetlbStats {
            usage: files.number(&reserved).unwrap_or_else(|| files.or_zero(&current)),
            max: 0,
            failcnt: events.get("max").copied().unwrap_or(0),
        };
        stats.hugetlb.insert(size, entry);
    }
}

/// The times are in microseconds.
fn cpu(files: &Files, stats: &mut Stats) {
    let pairs = files.pairs("cpu.stat");
    let number = |name: &str| pairs.get(name).copied().unwrap_or(0);
    stats.cpu.usage = CpuUsage {
        total: number("usage_usec") * 1000,
        user: number("user_usec") * 1000,
        kernel: number("system_usec") * 1000,
        ..CpuUsage::default()
    };
    stats.cpu.throttling = Throttling {
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled_time: number("throttled_usec") * 1000,
    };
    stats.cpu.psi = files.pressure("cpu.pressure");
}

/// Swap is counted by itself, where version 1 adds it to memory.
fn memory(files: &Files, stats: &mut Stats) {
    let events = files.pairs("memory.events");
    let raw = files.pairs("memory.stat");
    let usage = MemoryEntry {
        limit: files.or_zero("memory.max"),
        usage: files.or_zero("memory.current"),
        max: files.or_zero("memory.peak"),
        failcnt: events.get("max").copied().unwrap_or(0),
    };
    if let Some(swap) = files.number("memory.swap.current") {
        stats.memory.swap = MemoryEntry {
            limit: files.or_zero("memory.swap.max").saturating_add(usage.limit),
            usage: swap + usage.usage,
            ..MemoryEntry::default()
        };
    }
    stats.memory.cache = raw.get("file").copied().unwrap_or(0);
    stats.memory.usage = usage;
    stats.memory.raw = raw;
    stats.memory.psi = files.pressure("memory.pressure");
}

/// A line is `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
fn io(line: &str, stats: &mut Stats) {
    let mut fields = line.split_whitespace();
    let numbers = fields.next().and_then(|device| device.split_once(':'));
    let Some((Ok(major), Ok(minor))) = numbers.map(|(major, minor)| (major.parse(), minor.parse())) else {
        return;
    };
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        let (table, op) = match key {
            "rbytes" => (&mut stats.blkio.io_service_bytes_recursive, "Read"),
            "wbytes" => (&mut stats.blkio.io_service_bytes_recursive, "Write"),
            "rios" => (&mut stats.blkio.io_serviced_recursive, "Read"),
            "wios" => (&mut stats.blkio.io_serviced_recursive, "Write"),
            _ => continue,
        };
        table.push(BlkioEntry {
            major,
            minor,
            op: op.into(),
            value: value.parse().unwrap_or(0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn numbers_are_told_as_version_1_would() {
        let directory = std::env::temp_dir().join(format!("tinydock-stats2-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [
            ("cpu.weight", "100\n"),
            (
                "cpu.stat",
                "usage_usec 10\nuser_usec 7\nsystem_usec 3\nnr_periods 5\nnr_throttled 4\nthrottled_usec 9\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "8192\n"),
            ("memory.swap.current", "1\n"),
            ("memory.swap.max", "max\n"),
            ("memory.stat", "anon 1\nfile 2048\n"),
            ("memory.events", "low 0\nmax 3\noom_kill 1\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
            ("hugetlb.2MB.current", "0\n"),
            ("hugetlb.2MB.rsvd.current", "2097152\n"),
            ("hugetlb.2MB.events", "max 6\n"),
            (
                "cpu.pressure",
                "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        let mut stats = Stats::default();
        read(&Files(directory.clone()), &mut stats);
        let told = serde_json::to_value(&stats).unwrap();
        fs::remove_dir_all(directory).unwrap();
        assert_eq!(
            told["cpu"]["usage"],
            serde_json::json!({"total": 10000, "user": 7000, "kernel": 3000})
        );
        assert_eq!(
            told["cpu"]["throttling"],
            serde_json::json!({"periods": 5, "throttledPeriods": 4, "throttledTime": 9000})
        );
        assert_eq!(told["cpu"]["psi"]["some"]["avg10"], 1.5);
        assert_eq!(
            told["memory"]["usage"],
            serde_json::json!({"limit": 8192, "usage": 4096, "failcnt": 3})
        );
        assert_eq!(
            told["memory"]["swap"],
            serde_json::json!({"limit": u64::MAX, "usage": 4097, "failcnt": 0})
        );
        assert_eq!(told["memory"]["cache"], 2048);
        assert_eq!(told["memory"]["raw"]["anon"], 1);
        assert_eq!(told["pids"], serde_json::json!({"current": 2}));
        assert_eq!(
            told["blkio"]["ioServiceBytesRecursive"][1],
            serde_json::json!({"major": 8, "op": "Write", "value": 2})
        );
        assert_eq!(told["hugetlb"]["2MB"], serde_json::json!({"usage": 2_097_152, "failcnt": 6}));
    }
}
