//! Values that make no sense, found before anything is made. An error names the field as the specification spells it.

use super::Resources;
use super::resources::{BlockIo, Cpu, DeviceRule, Memory};
use crate::error::{Error, Result};

/// The kernel's bounds of a period and the smallest quota, in microseconds.
const PERIODS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;
/// The bounds of a weight in version 1.
const WEIGHTS: std::ops::RangeInclusive<u16> = 10..=1000;
/// No number of a device is larger: the kernel's have 12 and 20 bits, and what decides about them compares 31.
const LARGEST_NUMBER: i64 = i32::MAX as i64;

impl Resources {
    /// Refuses what no kernel can do.
    pub fn check(&self) -> Result<()> {
        for (n, rule) in self.devices.iter().enumerate() {
            rule.check(&format!("devices[{n}]"))?;
        }
        self.memory.check()?;
        self.cpu.check()?;
        self.block_io.check()?;
        for (n, limit) in self.hugepage_limits.iter().enumerate() {
            if !is_page_size(&limit.page_size) {
                let wrong = format!("`{}` is no size of pages such as `2MB`", limit.page_size);
                return Err(invalid(&format!("hugepageLimits[{n}].pageSize"), wrong));
            }
        }
        for (n, priority) in self.network.priorities.iter().enumerate() {
            if priority.name.is_empty() || priority.name.contains(|c: char| c.is_whitespace() || c == '/') {
                let wrong = format!("`{}` is no name of an interface", priority.name);
                return Err(invalid(&format!("network.priorities[{n}].name"), wrong));
            }
        }
        for name in self.rdma.keys() {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(invalid("rdma", format!("`{name}` is no name of a device")));
            }
        }
        for file in self.unified.keys() {
            if file.contains('/') || !file.trim_matches('.').contains('.') {
                return Err(invalid("unified", format!("`{file}` is no name of a cgroup's file")));
            }
        }
        Ok(())
    }
}

impl DeviceRule {
    fn check(&self, field: &str) -> Result<()> {
        let kind = self.kind.as_deref().unwrap_or("a");
        if !["", "a", "b", "c"].contains(&kind) {
            return Err(invalid(
                &format!("{field}.type"),
                format!("`{kind}` is none of `a`, `b` and `c`"),
            ));
        }
        for (name, number) in [("major", self.major), ("minor", self.minor)] {
            if let Some(number) = number.filter(|number| !(-1..=LARGEST_NUMBER).contains(number)) {
                return Err(invalid(
                    &format!("{field}.{name}"),
                    format!("there is no device number {number}"),
                ));
            }
        }
        let access = self.access.as_deref().unwrap_or("rwm");
        if access.contains(|letter| !"rwm".contains(letter)) {
            return Err(invalid(
                &format!("{field}.access"),
                format!("`{access}` is not made of `r`, `w` and `m`"),
            ));
        }
        Ok(())
    }
}

impl Memory {
    fn check(&self) -> Result<()> {
        for (name, bytes) in [
            ("limit", self.limit),
            ("reservation", self.reservation),
            ("swap", self.swap),
            ("kernel", self.kernel),
            ("kernelTCP", self.kernel_tcp),
        ] {
            if let Some(bytes) = bytes.filter(|bytes| *bytes < -1) {
                let wrong = format!("{bytes} is neither a number of bytes nor -1 for no limit");
                return Err(invalid(&format!("memory.{name}"), wrong));
            }
        }
        let (limit, swap) = (self.limit.unwrap_or(0), self.swap.unwrap_or(0));
        if limit > 0 && swap > 0 && swap < limit {
            let wrong = format!("{swap} is memory and swap together, and below the limit of memory alone ({limit})");
            return Err(invalid("memory.swap", wrong));
        }
        if let Some(swappiness) = self.swappiness.filter(|swappiness| *swappiness > 100) {
            return Err(invalid("memory.swappiness", format!("{swappiness} is not between 0 and 100")));
        }
        Ok(())
    }
}

impl Cpu {
    fn check(&self) -> Result<()> {
        let period = self.period.unwrap_or(0);
        if period != 0 && !PERIODS.contains(&period) {
            let wrong = format!(
                "{period} is not between {} and {} microseconds",
                PERIODS.start(),
                PERIODS.end()
            );
            return Err(invalid("cpu.period", wrong));
        }
        let quota = self.quota.unwrap_or(0);
        if (1..*PERIODS.start() as i64).contains(&quota) {
            let wrong = format!("{quota} is below the smallest quota of {} microseconds", PERIODS.start());
            return Err(invalid("cpu.quota", wrong));
        }
        if let Some(burst) = self.burst.filter(|burst| quota > 0 && *burst > quota as u64) {
            return Err(invalid("cpu.burst", format!("{burst} is more than the quota of {quota}")));
        }
        if let Some(idle) = self.idle.filter(|idle| ![0, 1].contains(idle)) {
            return Err(invalid("cpu.idle", format!("{idle} is neither 0 nor 1")));
        }
        let (runtime, period) = (self.realtime_runtime.unwrap_or(0), self.realtime_period.unwrap_or(0));
        if runtime < -1 || period != 0 && runtime > period as i64 {
            let wrong = format!("{runtime} is not a part of the period of {period} microseconds");
            return Err(invalid("cpu.realtimeRuntime", wrong));
        }
        for (name, list) in [("cpus", &self.cpus), ("mems", &self.mems)] {
            if !list.is_empty() && parse_list(list).is_none() {
                return Err(invalid(
                    &format!("cpu.{name}"),
                    format!("`{list}` is no list such as `0-3,5`"),
                ));
            }
        }
        Ok(())
    }
}

impl BlockIo {
    fn check(&self) -> Result<()> {
        check_weights("", self.weight, self.leaf_weight)?;
        for (n, device) in self.weight_device.iter().enumerate() {
            check_device(&format!("weightDevice[{n}]"), device.major, device.minor)?;
            check_weights(&format!("weightDevice[{n}]."), device.weight, device.leaf_weight)?;
        }
        for (name, list) in [
            ("throttleReadBpsDevice", &self.throttle_read_bps_device),
            ("throttleWriteBpsDevice", &self.throttle_write_bps_device),
            ("throttleReadIOPSDevice", &self.throttle_read_iops_device),
            ("throttleWriteIOPSDevice", &self.throttle_write_iops_device),
        ] {
            for (n, throttle) in list.iter().enumerate() {
                check_device(&format!("{name}[{n}]"), throttle.major, throttle.minor)?;
            }
        }
        Ok(())
    }
}

fn check_weights(owner: &str, weight: Option<u16>, leaf_weight: Option<u16>) -> Result<()> {
    for (name, weight) in [("weight", weight), ("leafWeight", leaf_weight)] {
        if let Some(weight) = weight.filter(|weight| *weight != 0 && !WEIGHTS.contains(weight)) {
            let wrong = format!("{weight} is not between {} and {}", WEIGHTS.start(), WEIGHTS.end());
            return Err(invalid(&format!("blockIO.{owner}{name}"), wrong));
        }
    }
    Ok(())
}

fn check_device(owner: &str, major: i64, minor: i64) -> Result<()> {
    for (name, number) in [("major", major), ("minor", minor)] {
        if !(0..=LARGEST_NUMBER).contains(&number) {
            return Err(invalid(
                &format!("blockIO.{owner}.{name}"),
                format!("there is no device number {number}"),
            ));
        }
    }
    Ok(())
}

/// An error about a field.
pub fn invalid(field: &str, wrong: impl std::fmt::Display) -> Error {
    Error::invalid(wrong).doing(format!("`linux.resources.{field}`"))
}

/// The numbers in a list of processors or memory nodes such as `0-3,5`.
pub fn parse_list(list: &str) -> Option<Vec<u32>> {
    const LIMIT: usize = 1 << 16;
    // A text that says the same numbers again and again must not take memory for each time.
    const LONGEST: usize = 1 << 16;
    if list.len() > LONGEST {
        return None;
    }
    let mut said = vec![false; LIMIT];
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= LIMIT {
            return None;
        }
        said[first..=last].fill(true);
    }
    let numbers: Vec<u32> = (0..LIMIT as u32).filter(|n| said[*n as usize]).collect();
    (!numbers.is_empty()).then_some(numbers)
}

/// Whether the kernel could name a file after it: `64KB`, `2MB`, `1GB`.
fn is_page_size(size: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    number.is_some_and(|number| {
        number
            .parse::<u32>()
            .is_ok_and(|value| value.to_string() == number && value > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, field) in [
            (r#"{"devices":[{"allow":true},{"allow":true,"type":"x"}]}"#, "devices[1].type"),
            (r#"{"devices":[{"allow":true,"major":-2}]}"#, "devices[0].major"),
            (r#"{"devices":[{"allow":true,"access":"rx"}]}"#, "devices[0].access"),
            (r#"{"memory":{"limit":-2}}"#, "memory.limit"),
            (r#"{"memory":{"reservation":-5}}"#, "memory.reservation"),
            (r#"{"memory":{"limit":10,"swap":9}}"#, "memory.swap"),
            (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness"),
            (r#"{"cpu":{"period":999}}"#, "cpu.period"),
            (r#"{"cpu":{"period":1000001}}"#, "cpu.period"),
            (r#"{"cpu":{"quota":999}}"#, "cpu.quota"),
            (r#"{"cpu":{"quota":2000,"burst":2001}}"#, "cpu.burst"),
            (r#"{"cpu":{"idle":2}}"#, "cpu.idle"),
            (r#"{"cpu":{"realtimePeriod":5,"realtimeRuntime":6}}"#, "cpu.realtimeRuntime"),
            (r#"{"cpu":{"cpus":"3-1"}}"#, "cpu.cpus"),
            (r#"{"cpu":{"mems":"zero"}}"#, "cpu.mems"),
            (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight"),
            (r#"{"blockIO":{"leafWeight":1001}}"#, "blockIO.leafWeight"),
            (
                r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":5}]}}"#,
                "blockIO.weightDevice[0].weight",
            ),
            (
                r#"{"blockIO":{"throttleReadIOPSDevice":[{"major":8,"minor":-1,"rate":5}]}}"#,
                "blockIO.throttleReadIOPSDevice[0].minor",
            ),
            (
                r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#,
                "hugepageLimits[0].pageSize",
            ),
            (
                r#"{"network":{"priorities":[{"name":"a b","priority":1}]}}"#,
                "network.priorities[0].name",
            ),
            (r#"{"rdma":{"a b":{}}}"#, "rdma"),
            (r#"{"unified":{"../memory.max":"1"}}"#, "unified"),
        ] {
            let resources: Resources = serde_json::from_str(text).unwrap();
            let error = resources.check().unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Invalid);
            let start = format!("`linux.resources.{field}`: ");
            assert!(error.to_string().starts_with(&start), "{text}: {error}");
        }
    }

    #[test]
    fn what_others_write_for_nothing_is_nothing() {
        for text in [
            "{}",
            r#"{"memory":{"limit":0,"swap":0,"reservation":0},"cpu":{"shares":0,"quota":0,"period":0},"pids":{"limit":0}}"#,
            r#"{"memory":{"limit":-1,"swap":-1},"cpu":{"quota":-1,"cpus":"0,2-3"},"pids":{"limit":-1}}"#,
            r#"{"blockIO":{"weight":0},"hugepageLimits":[{"pageSize":"1GB","limit":0}],"unified":{"memory.high":"max"}}"#,
            r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":-1,"minor":-1,"access":"m"}]}"#,
        ] {
            assert_eq!(serde_json::from_str::<Resources>(text).unwrap().check(), Ok(()), "{text}");
        }
    }

    #[test]
    fn lists_have_ranges() {
        assert_eq!(parse_list("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        for list in ["", "-", "1-", "2-1", "0-99999", "a"] {
            assert_eq!(parse_list(list), None, "{list}");
        }
    }
}
