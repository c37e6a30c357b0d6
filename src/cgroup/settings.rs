//! Which files of which controllers are written for what a container may use.
//!
//! The specification speaks the language of version 1. Version 2 counts some things otherwise; what it does not know at all
//! is told, not refused, as other runtimes do. Where the host has no controller, limits that others rely on are refused.

use std::path::{Path, PathBuf};

use super::check::invalid;
use super::plan::{Missing, Write};
use super::resources::{Cpu, Memory, Pids};
use super::{Hierarchies, Resources};
use crate::error::Result;

/// What has been found to write.
pub struct Settings<'a> {
    hierarchies: &'a Hierarchies,
    path: &'a Path,
    pub writes: Vec<Write>,
    pub warnings: Vec<String>,
}

/// The container's directory of a controller.
#[derive(Clone)]
pub struct Place {
    pub directory: PathBuf,
    pub unified: bool,
}

const WHY: &str = "in force before the command can run";

impl<'a> Settings<'a> {
    pub fn new(hierarchies: &'a Hierarchies, path: &'a Path) -> Settings<'a> {
        Settings {
            hierarchies,
            path,
            writes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Everything but devices, which are not numbers in files.
    pub fn all(&mut self, resources: &Resources) -> Result<()> {
        self.cpu(&resources.cpu)?;
        self.cpuset(&resources.cpu)?;
        self.memory(&resources.memory)?;
        self.pids(&resources.pids)?;
        self.block_io(&resources.block_io)?;
        self.hugepages(&resources.hugepage_limits);
        self.network(&resources.network);
        self.rdma(&resources.rdma);
        self.unified(&resources.unified)
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<()> {
        let shares = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1));
        let period = cpu.period.filter(|period| *period != 0);
        let quota = cpu.quota.filter(|quota| *quota != 0);
        if quota.is_some_and(|quota| quota > 0) {
            self.needed("cpu.quota", "cpu")?;
        }
        let asked = shares.is_some() || quota.is_some() || period.is_some() || cpu.burst.is_some() || cpu.idle.is_some();
        let realtime = cpu.realtime_period.is_some() || cpu.realtime_runtime.is_some();
        if !asked && !realtime {
            return Ok(());
        }
        let Some(place) = self.wanted("cpu", &["cpu"]) else {
            return Ok(());
        };
        if let Some(idle) = cpu.idle {
            self.add(&place, "cpu.idle", idle, Missing::Warn("cpu.idle"));
        }
        if place.unified {
            self.cpu_unified(&place, cpu, shares, quota, period);
        } else {
            self.cpu_separate(&place, cpu, shares, quota, period);
        }
        Ok(())
    }

    fn cpu_unified(&mut self, place: &Place, cpu: &Cpu, shares: Option<u64>, quota: Option<i64>, period: Option<u64>) {
        if let Some(shares) = shares {
            self.add(place, "cpu.weight", weight_of_shares(shares), Missing::Refuse);
        }
        if quota.is_some() || period.is_some() {
            let quota = quota
                .filter(|quota| *quota > 0)
                .map_or("max".into(), |quota| quota.to_string());
            // Without a second number the period stays as it is.
            let value = period.map_or(quota.clone(), |period| format!("{quota} {period}"));
            self.add(place, "cpu.max", value, Missing::Refuse);
        }
        if let Some(burst) = cpu.burst {
            self.add(place, "cpu.max.burst", burst, Missing::Warn("cpu.burst"));
        }
        if cpu.realtime_period.is_some_and(|period| period != 0) || cpu.realtime_runtime.is_some_and(|runtime| runtime != 0) {
            self.unknown_to_unified("cpu.realtimeRuntime");
        }
    }

    fn cpu_separate(&mut self, place: &Place, cpu: &Cpu, shares: Option<u64>, quota: Option<i64>, period: Option<u64>) {
        if let Some(shares) = shares {
            self.add(place, "cpu.shares", shares, Missing::Refuse);
        }
        if let Some(period) = cpu.realtime_period.filter(|period| *period != 0) {
            self.add(place, "cpu.rt_period_us", period, Missing::Warn("cpu.realtimePeriod"));
        }
        if let Some(runtime) = cpu.realtime_runtime.filter(|runtime| *runtime != 0) {
            self.add(place, "cpu.rt_runtime_us", runtime, Missing::Warn("cpu.realtimeRuntime"));
        }
        if let Some(period) = period {
            self.add(place, "cpu.cfs_period_us", period, Missing::Refuse);
        }
        if let Some(quota) = quota {
            self.add(place, "cpu.cfs_quota_us", quota.max(-1), Missing::Refuse);
        }
        if let Some(burst) = cpu.burst {
            self.add(place, "cpu.cfs_burst_us", burst, Missing::Warn("cpu.burst"));
        }
    }

    fn cpuset(&mut self, cpu: &Cpu) -> Result<()> {
        for (field, file, list) in [("cpu.cpus", "cpuset.cpus", &cpu.cpus), ("cpu.mems", "cpuset.mems", &cpu.mems)] {
            if !list.is_empty() {
                let place = self.needed(field, "cpuset")?;
                self.add(&place, file, list, Missing::Refuse);
            }
        }
        Ok(())
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        if memory.kernel.is_some_and(|bytes| bytes > 0) {
            self.warn("memory.kernel", "kernels do not limit their own memory by itself any more");
        }
        if memory.kernel_tcp.is_some_and(|bytes| bytes > 0) {
            self.warn("memory.kernelTCP", "kernels do not limit their own memory by itself any more");
        }
        let number = |value: Option<i64>| value.filter(|value| *value != 0);
        let (limit, swap, reservation) = (number(memory.limit), number(memory.swap), number(memory.reservation));
        let limits = [
            ("memory.limit", limit),
            ("memory.swap", swap),
            ("memory.reservation", reservation),
        ];
        if let Some((field, _)) = limits.iter().find(|(_, bytes)| bytes.is_some_and(|bytes| bytes > 0)) {
            self.needed(field, "memory")?;
        }
        match self.place(&["memory"]) {
            Some(place) if place.unified => {
                self.memory_unified(&place, limit, swap, reservation)?;
                if memory.swappiness.is_some() {
                    self.unknown_to_unified("memory.swappiness");
                }
                if memory.disable_oom_killer == Some(true) {
                    self.unknown_to_unified("memory.disableOOMKiller");
                }
            }
            Some(place) => {
                self.memory_separate(&place, limit, swap, reservation);
                self.memory_habits(&place, memory);
            }
            None => {}
        }
        Ok(())
    }

    fn memory_unified(&mut self, place: &Place, limit: Option<i64>, swap: Option<i64>, reservation: Option<i64>) -> Result<()> {
        if let Some(limit) = limit {
            self.add(place, "memory.max", maximum(limit), Missing::Refuse);
        }
        // The specification counts memory and swap together.
        let swap = match (limit, swap) {
            (Some(-1), None) | (_, Some(-1)) => Some(-1),
            (_, None) => None,
            (None, Some(_)) => {
                return Err(invalid(
                    "memory.swap",
                    "is memory and swap together: give `memory.limit`, too",
                ));
            }
            (Some(-1), swap) => swap,
            (Some(limit), Some(swap)) => Some(swap - limit),
        };
        if let Some(swap) = swap {
            let missing = if swap <= 0 {
                Missing::Ignore
            } else {
                Missing::Warn("memory.swap")
            };
            self.add(place, "memory.swap.max", maximum(swap), missing);
        }
        if let Some(reservation) = reservation {
            self.add(place, "memory.low", maximum(reservation), Missing::Refuse);
        }
        Ok(())
    }

    fn memory_separate(&mut self, place: &Place, limit: Option<i64>, swap: Option<i64>, reservation: Option<i64>) {
        if let Some(limit) = limit {
            self.add(place, "memory.limit_in_bytes", limit, Missing::Refuse);
        }
        if let Some(swap) = swap.or(limit.filter(|limit| *limit == -1)) {
            let missing = if swap == -1 {
                Missing::Ignore
            } else {
                Missing::Warn("memory.swap")
            };
            self.add(place, "memory.memsw.limit_in_bytes", swap, missing);
        }
        if let Some(reservation) = reservation {
            self.add(place, "memory.soft_limit_in_bytes", reservation, Missing::Refuse);
        }
    }

    /// What is not how much, but how.
    fn memory_habits(&mut self, place: &Place, memory: &Memory) {
        if let Some(swappiness) = memory.swappiness {
            self.add(place, "memory.swappiness", swappiness, Missing::Warn("memory.swappiness"));
        }
        if let Some(disable) = memory.disable_oom_killer {
            let field = "memory.disableOOMKiller";
            self.add(place, "memory.oom_control", u8::from(disable), Missing::Warn(field));
        }
        if memory.use_hierarchy == Some(true) {
            // Since Linux 5.11 that is so anyway.
            self.add(place, "memory.use_hierarchy", 1, Missing::Ignore);
        }
    }

    fn pids(&mut self, pids: &Pids) -> Result<()> {
        match pids.limit.unwrap_or(0) {
            0 => {}
            limit if limit > 0 => {
                let place = self.needed("pids.limit", "pids")?;
                self.add(&place, "pids.max", limit, Missing::Refuse);
            }
            _ => {
                if let Some(place) = self.place(&["pids"]) {
                    self.add(&place, "pids.max", "max", Missing::Refuse);
                }
            }
        }
        Ok(())
    }

    /// The directory of one of these controllers.
    fn place(&self, controllers: &[&str]) -> Option<Place> {
        let (tree, unified) = controllers.iter().find_map(|name| self.hierarchies.tree(name))?;
        let directory = tree.mount.join(self.path);
        Some(Place { directory, unified })
    }

    /// The directory of a controller without which the container is refused.
    pub fn needed(&self, field: &str, controller: &str) -> Result<Place> {
        let wrong = || invalid(field, format!("this host has no cgroup controller `{controller}`"));
        let also = if controller == "blkio" { "io" } else { controller };
        self.place(&[controller, also]).ok_or_else(wrong)
    }

    /// The directory of a controller without which the container only has one thing less.
    pub fn wanted(&mut self, field: &str, controllers: &[&str]) -> Option<Place> {
        let place = self.place(controllers);
        if place.is_none() {
            self.warn(field, &format!("this host has no cgroup controller `{}`", controllers[0]));
        }
        place
    }

    /// The container's directory of version 2.
    pub fn unified_place(&self) -> Option<Place> {
        let directory = self.hierarchies.unified.as_ref()?.mount.join(self.path);
        Some(Place {
            directory,
            unified: true,
        })
    }

    /// Whether version 2 has a controller.
    pub fn is_unified(&self, controller: &str) -> bool {
        let unified = self.hierarchies.unified.iter();
        unified.flat_map(|tree| &tree.controllers).any(|name| name == controller)
    }

    pub fn add(&mut self, place: &Place, file: &str, value: impl ToString, missing: Missing) {
        self.writes.push(write(place, file, value, missing));
    }

    pub fn warn(&mut self, field: &str, why: &str) {
        self.warnings.push(format!("`linux.resources.{field}` is not kept: {why}"));
    }

    pub fn unknown_to_unified(&mut self, field: &str) {
        self.warn(field, "cgroups of version 2 have nothing like it");
    }
}

pub fn write(place: &Place, file: &str, value: impl ToString, missing: Missing) -> Write {
    Write {
        file: place.directory.join(file),
        value: value.to_string(),
        missing,
        why: WHY,
    }
}

fn maximum(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

/// The weight of version 2 for shares of version 1. A curve through the smallest, the usual and the largest of both: 2, 1024
/// and 262144 shares are weights of 1, 100 and 10000 (runc and crun have the same since 2025).
pub fn weight_of_shares(shares: u64) -> u64 {
    let power = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (power * power + 125.0 * power) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_weights() {
        for (shares, weight) in [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 2),
            (102, 17),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
            (999_999, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }
}
