//! What a container uses, in the form that runc's `events --stats` has made a convention of.
//!
//! The form is that of version 1: nanoseconds, memory and swap together, `Read` and `Write` for each block device. What a
//! host does not count is 0 and left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Group;
use crate::error::Result;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    pub cpu: CpuStats,
    pub cpuset: CpusetStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub blkio: BlkioStats,
    /// By size of page.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    pub usage: CpuUsage,
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// In nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// In nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// How long processes have waited for a resource (the kernel's `accounting/psi.rst`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    pub some: PressureLine,
    pub full: PressureLine,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PressureLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpusetStats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u32>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u32>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    pub usage: MemoryEntry,
    pub swap: MemoryEntry,
    pub kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// The lines of `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryEntry {
    pub limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// 0 is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlkioStats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HugetlbStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Group {
    /// What the container uses now, with the cgroups below its own.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        if let Some(directory) = &self.unified {
            super::stats_unified::read(&Files(directory.clone()), &mut stats);
        }
        for directory in &self.separate {
            super::stats_separate::read(&Files(directory.clone()), &mut stats);
        }
        if stats.pids.current == 0 {
            stats.pids.current = self.processes()?.len() as u64;
        }
        Ok(stats)
    }

    /// Whether the kernel counts what the container reads from block devices and writes to them.
    pub fn counts_block_io(&self) -> bool {
        let counters = ["io.stat", "blkio.throttle.io_service_bytes"];
        self.directories()
            .any(|directory| counters.iter().any(|file| directory.join(file).exists()))
    }
}

/// The files of one cgroup. One that is not there has nothing in it.
pub struct Files(pub PathBuf);

impl Files {
    pub fn text(&self, name: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.0.join(name)).ok()
    }

    /// A number, of which `max` is the largest.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.text(name)?.trim() {
            "max" => Some(u64::MAX),
            // The largest of version 1 is rounded down to pages, and an old kernel's -1 is no limit.
            text => text.parse().ok(),
        }
    }

    pub fn or_zero(&self, name: &str) -> u64 {
        self.number(name).unwrap_or(0)
    }

    /// Numbers on one line.
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let text = self.text(name).unwrap_or_default();
        text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }

    /// Lines of a name and a number.
    pub fn pairs(&self, name: &str) -> BTreeMap<String, u64> {
        let text = self.text(name).unwrap_or_default();
        let pair = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_string(), number.trim().parse().ok()?))
        };
        text.lines().filter_map(pair).collect()
    }

    /// The sizes of huge pages that are counted in files such as `hugetlb.2MB.…`.
    pub fn page_sizes(&self, suffix: &str) -> Vec<String> {
        let mut sizes: Vec<String> = fs::read_dir(&self.0)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?;
                (!size.contains('.')).then(|| size.to_string())
            })
            .collect();
        sizes.sort();
        sizes
    }

    pub fn pressure(&self, name: &str) -> Option<Pressure> {
        let text = self.text(name)?;
        let line = |kind: &str| {
            let mut line = PressureLine::default();
            let fields = text.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or_default();
            for (key, value) in fields.split_whitespace().filter_map(|field| field.split_once('=')) {
                match key {
                    "avg10" => line.avg10 = value.parse().unwrap_or(0.0),
                    "avg60" => line.avg60 = value.parse().unwrap_or(0.0),
                    "avg300" => line.avg300 = value.parse().unwrap_or(0.0),
                    _ => line.total = value.parse().unwrap_or(0),
                }
            }
            line
        };
        Some(Pressure {
            some: line("some "),
            full: line("full "),
        })
    }
}
