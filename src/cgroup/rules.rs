//! What makes no sense of what the engine's users ask for, beyond what the kernel refuses: Docker's rules (moby,
//! `daemon_unix.go`, `verifyPlatformContainerResources`), told about flags.

use std::fs;

use super::check::parse_list;
use super::words::error_in_flags;
use super::{Resources, limits::SMALLEST_MEMORY};
use crate::error::{Error, Result};

/// Refuses limits that contradict each other or nothing can run with.
pub fn check_limits(limits: &Resources) -> Result<()> {
    let memory = &limits.memory;
    let number = |value: Option<i64>| value.unwrap_or(0);
    let (limit, swap, reservation) = (number(memory.limit), number(memory.swap), number(memory.reservation));
    let wrong = |flag: &str, wrong: &str| Err(Error::invalid(wrong).doing(format!("`--{flag}`")));
    if limit > 0 && limit < SMALLEST_MEMORY {
        return wrong("memory", "minimum memory limit allowed is 6MB");
    }
    if limit > 0 && swap > 0 && swap < limit {
        return wrong(
            "memory-swap",
            "minimum memoryswap limit should be larger than memory limit, since it is both together",
        );
    }
    if limit <= 0 && swap > 0 {
        return wrong(
            "memory-swap",
            "you should always set the memory limit when using memoryswap limit",
        );
    }
    if reservation > 0 && reservation < SMALLEST_MEMORY {
        return wrong("memory-reservation", "minimum memory reservation allowed is 6MB");
    }
    if limit > 0 && limit < reservation {
        return wrong(
            "memory-reservation",
            "minimum memory limit can not be less than memory reservation limit",
        );
    }
    limits.check().map_err(error_in_flags)
}

/// Refuses processors and memory nodes that this host has not got.
pub fn check_available(limits: &Resources) -> Result<()> {
    for (flag, what, asked, list) in [
        ("cpuset-cpus", "CPUs", &limits.cpu.cpus, "/sys/devices/system/cpu/online"),
        (
            "cpuset-mems",
            "memory nodes",
            &limits.cpu.mems,
            "/sys/devices/system/node/online",
        ),
    ] {
        let Ok(available) = fs::read_to_string(list) else {
            continue;
        };
        let available = available.trim();
        let (Some(wanted), Some(there)) = (parse_list(asked), parse_list(available)) else {
            continue;
        };
        if !wanted.iter().all(|number| there.contains(number)) {
            let wrong = format!("requested {what} are not available - requested {asked}, available: {available}");
            return Err(Error::invalid(wrong).doing(format!("`--{flag}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_dockers() {
        let m = 1 << 20;
        for (limits, wrong) in [
            (
                format!(r#"{{"memory":{{"limit":{}}}}}"#, 5 * m),
                "`--memory`: minimum memory limit allowed is 6MB",
            ),
            (
                format!(r#"{{"memory":{{"limit":{},"swap":{}}}}}"#, 64 * m, 32 * m),
                "`--memory-swap`: minimum memoryswap limit should be larger than memory limit",
            ),
            (
                format!(r#"{{"memory":{{"swap":{}}}}}"#, 64 * m),
                "`--memory-swap`: you should always set the memory limit",
            ),
            (
                format!(r#"{{"memory":{{"limit":{},"reservation":{}}}}}"#, 64 * m, 65 * m),
                "`--memory-reservation`: minimum memory limit can not be less than",
            ),
            (
                r#"{"memory":{"reservation":5}}"#.into(),
                "`--memory-reservation`: minimum memory reservation allowed is 6MB",
            ),
            (
                r#"{"memory":{"swappiness":101}}"#.into(),
                "`--memory-swappiness`: 101 is not between 0 and 100",
            ),
            (
                r#"{"cpu":{"period":10}}"#.into(),
                "`--cpu-period`: 10 is not between 1000 and 1000000",
            ),
            (
                r#"{"cpu":{"quota":10}}"#.into(),
                "`--cpu-quota`: 10 is below the smallest quota",
            ),
            (r#"{"cpu":{"cpus":"x"}}"#.into(), "`--cpuset-cpus`: `x` is no list"),
            (
                r#"{"blockIO":{"weight":5}}"#.into(),
                "`--blkio-weight`: 5 is not between 10 and 1000",
            ),
        ] {
            let error = check_limits(&serde_json::from_str(&limits).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(wrong), "{limits}: {error}");
        }
        for limits in [
            "{}".into(),
            r#"{"memory":{"swap":-1}}"#.into(),
            format!(r#"{{"memory":{{"limit":{},"swap":{}}}}}"#, 64 * m, 64 * m),
        ] {
            assert_eq!(check_limits(&serde_json::from_str(&limits).unwrap()), Ok(()), "{limits}");
        }
    }

    #[test]
    fn no_host_has_all_processors() {
        let limits = |text| check_available(&serde_json::from_str(text).unwrap());
        let error = limits(r#"{"cpu":{"cpus":"0,9999"}}"#).unwrap_err().to_string();
        assert!(
            error.starts_with("`--cpuset-cpus`: requested CPUs are not available - requested 0,9999"),
            "{error}"
        );
        assert_eq!(limits(r#"{"cpu":{"cpus":"0"}}"#), Ok(()));
    }
}
