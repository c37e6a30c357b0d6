//! `stats`: what a container uses.

use std::fs;
use std::time::Instant;

use super::{Container, Engine, cgroups};
use crate::cgroup::Stats;
use crate::error::Result;
use crate::network::Mode;

/// What a container uses, as it was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    pub at: Instant,
    /// The processor time it has had so far, in nanoseconds.
    pub cpu: u64,
    /// Memory in bytes, without what the kernel would give up first.
    pub memory: u64,
    /// What it may use at most: that of the host, if nothing limits it.
    pub limit: u64,
    /// Bytes received and sent by the interfaces of its own.
    pub network: [u64; 2],
    /// Bytes read from and written to block devices.
    pub block: [u64; 2],
    /// Processes and threads.
    pub pids: u64,
}

impl Engine {
    /// What a container uses now; nothing if it does not run.
    pub fn usage(&self, container: &Container) -> Result<Option<Usage>> {
        let Some(started) = container.state()?.started().cloned() else {
            return Ok(None);
        };
        let group = cgroups::existing(&self.store, container.id())?;
        let stats = group.stats()?;
        // On the host's network there is nothing of its own.
        let network = match container.spec.options.network {
            Mode::Host => [0, 0],
            // The container may have given an interface a name that is no text.
            _ => interfaces(&String::from_utf8_lossy(
                &fs::read(format!("/proc/{}/net/dev", started.pid)).unwrap_or_default(),
            )),
        };
        let block = if group.counts_block_io() {
            block(&stats)
        } else {
            let mut sum = [0, 0];
            for pid in group.processes()? {
                // It may have ended since.
                let io = fs::read_to_string(format!("/proc/{}/io", pid.as_raw_nonzero())).unwrap_or_default();
                sum = add(sum, of_process(&io));
            }
            sum
        };
        let memory = &stats.memory;
        Ok(Some(Usage {
            at: Instant::now(),
            cpu: stats.cpu.usage.total,
            memory: memory.usage.usage.saturating_sub(inactive(&stats)),
            limit: host_memory().map_or(memory.usage.limit, |all| match memory.usage.limit {
                0 => all,
                limit => limit.min(all),
            }),
            network,
            block,
            pids: stats.pids.current,
        }))
    }
}

impl Usage {
    /// The processor time since `before`, in percent of one processor.
    pub fn cpu_percent(&self, before: &Usage) -> f64 {
        let time = self.at.saturating_duration_since(before.at).as_nanos() as f64;
        if time == 0.0 {
            return 0.0;
        }
        self.cpu.saturating_sub(before.cpu) as f64 / time * 100.0
    }

    /// The memory in use, in percent of the limit.
    pub fn memory_percent(&self) -> f64 {
        if self.limit == 0 {
            return 0.0;
        }
        self.memory as f64 / self.limit as f64 * 100.0
    }
}

/// Cached files that nobody has used lately: the first to go, so that they are not what a container needs (docker/cli,
/// `calculateMemUsageUnixNoCache`).
fn inactive(stats: &Stats) -> u64 {
    let raw = &stats.memory.raw;
    let inactive = raw
        .get("total_inactive_file")
        .or(raw.get("inactive_file"))
        .copied()
        .unwrap_or(0);
    if inactive < stats.memory.usage.usage { inactive } else { 0 }
}

fn block(stats: &Stats) -> [u64; 2] {
    let entries = &stats.blkio.io_service_bytes_recursive;
    let sum = |kind: &str| {
        let of_kind = entries.iter().filter(|entry| entry.op.eq_ignore_ascii_case(kind));
        of_kind.map(|entry| entry.value).sum()
    };
    [sum("read"), sum("write")]
}

/// The same of one process and the children that it has waited for (proc_pid_io(5)).
fn of_process(text: &str) -> [u64; 2] {
    ["read_bytes: ", "write_bytes: "].map(|name| {
        let number = text.lines().find_map(|line| line.strip_prefix(name));
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    })
}

/// What all interfaces but the loopback have received and sent. After a name and a colon, a line has eight numbers of what was
/// received, bytes first, and eight of what was sent.
fn interfaces(text: &str) -> [u64; 2] {
    let mut sum = [0, 0];
    for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        if name.trim() != "lo" && numbers.len() >= 16 {
            sum = add(sum, [numbers[0], numbers[8]]);
        }
    }
    sum
}

fn add(one: [u64; 2], other: [u64; 2]) -> [u64; 2] {
    [one[0] + other[0], one[1] + other[1]]
}

/// All memory of the host, in bytes.
fn host_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kilobytes
        .trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|number| number << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_but_the_loopback_count() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:      84       1    0    0    0     0          0         0       84       1    0    0    0     0       0          0
  eth0:    1000       8    0    0    0     0          0         0      200       3    0    0    0     0       0          0
  eth1:      11       1    0    0    0     0          0         0       22       1    0    0    0     0       0          0
";
        assert_eq!(interfaces(text), [1011, 222]);
        assert_eq!(interfaces(""), [0, 0]);
    }

    #[test]
    fn processes_count_what_reached_devices() {
        let text = "rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n";
        assert_eq!(of_process(text), [4096, 8192]);
    }

    #[test]
    fn memory_is_without_inactive_files() {
        let mut stats = Stats::default();
        stats.memory.usage.usage = 100;
        for (name, inactive_file, left) in [
            ("total_inactive_file", 30, 70),
            ("inactive_file", 30, 70),
            ("inactive_file", 200, 100),
        ] {
            stats.memory.raw = [(name.to_string(), inactive_file)].into();
            assert_eq!(stats.memory.usage.usage - inactive(&stats), left, "{name}");
        }
    }
}
