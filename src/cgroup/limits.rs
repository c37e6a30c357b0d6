//! What the engine makes of the resources that its users ask for: what holds where nothing is said, and how amounts are spelled.

use serde::{Deserialize, Deserializer};

use super::resources::{Cpu, Memory, Pids};
use super::{Hierarchies, Resources};
use crate::error::{Error, Result};

/// How many processes and threads a container has at most if nothing is said: enough for what is sane, and few enough to leave
/// the host some when one goes on forking.
const USUAL_PIDS: i64 = 4096;

/// The length of the period of which a quota is a part, in microseconds, where only a number of processors is asked for.
const PERIOD: u64 = 100_000;

impl Resources {
    /// With what holds where nothing is said: as much swap as memory, and a usual number of processes where they can be counted.
    pub fn with_usual(&self, hierarchies: &Hierarchies) -> Resources {
        let mut all = self.clone();
        let memory = &mut all.memory;
        if let (Some(limit @ 1..), None | Some(0)) = (memory.limit, memory.swap) {
            memory.swap = Some(limit.saturating_mul(2));
        }
        if all.pids.limit.is_none() && hierarchies.tree("pids").is_some() {
            all.pids.limit = Some(USUAL_PIDS);
        }
        all
    }

    /// As many billionths of a processor as the quota is; 0 if there is none.
    pub fn nano_cpus(&self) -> u64 {
        let quota = self.cpu.quota.and_then(|quota| u64::try_from(quota).ok()).unwrap_or(0);
        let period = self.cpu.period.filter(|period| *period > 0).unwrap_or(PERIOD);
        quota.saturating_mul(1_000_000_000) / period
    }
}

impl Cpu {
    /// Sets the quota that is a number of processors.
    pub fn set_processors(&mut self, number: f64) {
        self.period = Some(PERIOD);
        self.quota = Some((number * PERIOD as f64).round() as i64);
    }
}

/// Limits as records of earlier versions have them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Three {
    cpus: Option<f64>,
    memory: Option<u64>,
    pids: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Three(Three),
    Resources(Box<Resources>),
}

/// Reads the limits of a record, also of one that an earlier version has written.
pub fn recorded<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Resources, D::Error> {
    Ok(match Recorded::deserialize(from)? {
        Recorded::Resources(resources) => *resources,
        Recorded::Three(three) => {
            let mut resources = Resources::default();
            three.cpus.iter().for_each(|cpus| resources.cpu.set_processors(*cpus));
            resources.memory = Memory {
                limit: three.memory.map(|bytes| bytes as i64),
                ..Memory::default()
            };
            resources.pids = Pids {
                limit: three.pids.map(|pids| if pids == 0 { -1 } else { pids as i64 }),
            };
            resources
        }
    })
}

/// Reads a number of processors of which the host has `available`; 0 is no limit.
pub fn parse_cpus(text: &str, available: usize) -> Result<Option<f64>> {
    let cpus: f64 = text.parse().ok().filter(|cpus: &f64| cpus.is_finite()).ok_or_else(|| {
        Error::invalid(format!("invalid CPU limit `{text}`")).hint("give a number of processors, such as `0.5` or `2`")
    })?;
    if cpus > available as f64 {
        return Err(Error::invalid(format!(
            "specified CPU limit ({cpus:.2}) exceeds available cores ({available})"
        )));
    }
    // The kernel's smallest quota is 1 ms of a period of 100 ms.
    if cpus != 0.0 && cpus < 0.01 {
        return Err(Error::invalid(format!(
            "specified CPU limit ({cpus}) is below the smallest one (0.01)"
        )));
    }
    Ok((cpus != 0.0).then_some(cpus))
}

/// Below it hardly anything starts: the smallest limit that Docker takes, too.
pub const SMALLEST_MEMORY: i64 = 6 << 20;

/// Reads a limit of memory: 0 is nothing, -1 is none.
pub fn parse_memory(text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = parse_bytes(text)?;
    if bytes != 0 && bytes < SMALLEST_MEMORY {
        return Err(Error::invalid(format!(
            "memory limit `{text}` is below the smallest one (6m)"
        )));
    }
    Ok(bytes)
}

/// Reads an amount of memory: a number, and a unit `b`, `k`, `m`, `g` or `t`, of 1024 each, in either case, after which `b` or
/// `ib` may follow.
pub fn parse_bytes(text: &str) -> Result<i64> {
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
    Ok(bytes as i64)
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
            ("0", 0),
            ("-1", -1),
        ] {
            assert_eq!(parse_memory(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-1m", "-2", "1x", "1k", "1.2.3m", "1e9", "99999999t", "nan"] {
            let error = parse_memory(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn cpus_are_at_most_what_there_is() {
        assert_eq!(parse_cpus("0.5", 2).unwrap(), Some(0.5));
        assert_eq!(parse_cpus("2", 2).unwrap(), Some(2.0));
        assert_eq!(parse_cpus("0", 2).unwrap(), None);
        assert_eq!(
            parse_cpus("3", 2).unwrap_err().to_string(),
            "specified CPU limit (3.00) exceeds available cores (2)"
        );
        for text in ["", "-1", "half", "inf", "NaN", "0.001"] {
            assert!(parse_cpus(text, 2).is_err(), "{text}");
        }
    }

    #[test]
    fn records_of_earlier_versions_say_the_same() {
        let read = |text: &str| recorded(&mut serde_json::Deserializer::from_str(text)).unwrap();
        for (old, new) in [
            ("{}", "{}"),
            (r#"{"cpus":null,"memory":null,"pids":null}"#, "{}"),
            (
                r#"{"cpus":0.5,"memory":67108864,"pids":20}"#,
                r#"{"memory":{"limit":67108864},"cpu":{"quota":50000,"period":100000},"pids":{"limit":20}}"#,
            ),
            (r#"{"cpus":null,"memory":null,"pids":0}"#, r#"{"pids":{"limit":-1}}"#),
        ] {
            assert_eq!(read(old), read(new), "{old}");
            assert_eq!(serde_json::to_string(&read(old)).unwrap(), new);
        }
        assert_eq!(read(r#"{"cpu":{"quota":50000,"period":100000}}"#).nano_cpus(), 500_000_000);
    }
}
