//! The limits that a user can ask for.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a container may use at most. Of processors and memory, nothing said is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Processors, as a number of whole ones.
    pub cpus: Option<f64>,
    /// Memory in bytes. As much again may be swapped out.
    pub memory: Option<u64>,
    /// Processes and threads. Nothing said is the usual limit, and 0 is none.
    pub pids: Option<u64>,
}

/// How many processes and threads a container has at most if nothing is said: enough for what is sane, and few enough to leave
/// the host some when one goes on forking.
pub const USUAL_PIDS: u64 = 4096;

/// Reads a number of processors of which the host has `available`.
pub fn parse_cpus(text: &str, available: usize) -> Result<f64> {
    let cpus: f64 = text.parse().ok().filter(|cpus: &f64| cpus.is_finite()).ok_or_else(|| {
        Error::invalid(format!("invalid CPU limit `{text}`")).hint("give a number of processors, such as `0.5` or `2`")
    })?;
    if cpus > available as f64 {
        return Err(Error::invalid(format!(
            "specified CPU limit ({cpus:.2}) exceeds available cores ({available})"
        )));
    }
    // The kernel's smallest quota is 1 ms of a period of 100 ms.
    if cpus < 0.01 {
        return Err(Error::invalid(format!(
            "specified CPU limit ({cpus}) is below the smallest one (0.01)"
        )));
    }
    Ok(cpus)
}

/// Below it hardly anything starts: the smallest limit that Docker takes, too.
const SMALLEST_MEMORY: u64 = 6 << 20;

/// Reads an amount of memory: a number, and a unit `b`, `k`, `m`, `g` or `t`, of 1024 each, in either case, after which `b` or
/// `ib` may follow.
pub fn parse_memory(text: &str) -> Result<u64> {
    let invalid =
        || Error::invalid(format!("invalid memory limit `{text}`")).hint("give a number and a unit, such as `512m` or `1.5g`");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(invalid()),
    };
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let bytes = number * (1u64 << shift) as f64;
    if !(0.0..9e18).contains(&bytes) {
        return Err(invalid());
    }
    if bytes < SMALLEST_MEMORY as f64 {
        return Err(Error::invalid(format!(
            "memory limit `{text}` is below the smallest one (6m)"
        )));
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_units() {
        for (text, bytes) in [
            ("6291456", 6 << 20),
            ("8192k", 8 << 20),
            ("100m", 100 << 20),
            ("100MB", 100 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_memory(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-1m", "1x", "1k", "1.2.3m", "0", "1e9", "99999999t", "nan"] {
            let error = parse_memory(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn cpus_are_at_most_what_there_is() {
        assert_eq!(parse_cpus("0.5", 2).unwrap(), 0.5);
        assert_eq!(parse_cpus("2", 2).unwrap(), 2.0);
        assert_eq!(
            parse_cpus("3", 2).unwrap_err().to_string(),
            "specified CPU limit (3.00) exceeds available cores (2)"
        );
        for text in ["", "0", "-1", "half", "inf", "NaN", "0.001"] {
            assert!(parse_cpus(text, 2).is_err(), "{text}");
        }
    }
}
