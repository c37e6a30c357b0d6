//! Health checks: a command that is run in a container again and again, and tells by its exit status whether all is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::Text;

/// How a container's health is found out (moby, `HealthConfig`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub command: Command,
    /// How long after one check ended the next one begins.
    pub interval: Duration,
    /// The same while the container is still starting.
    pub start_interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// How long after its start a container may fail without that being counted.
    pub start_period: Duration,
    /// How many failures in a row make a container unhealthy.
    pub retries: u32,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Words(Vec<Text>),
    /// Run by the container's `/bin/sh`.
    Shell(String),
}

/// What the flags say about a check; what they do not say, the image or the usual values do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Whether there is to be none.
    pub none: bool,
    pub command: Option<Command>,
    pub interval: Option<Duration>,
    pub start_interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub start_period: Option<Duration>,
    pub retries: Option<u32>,
}

const INTERVAL: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

impl Asked {
    /// The check of a container whose image asks for `image`.
    pub fn over(&self, image: &Asked) -> Option<Check> {
        if self.none || (self.command.is_none() && image.none) {
            return None;
        }
        let time = |ours: Option<Duration>, theirs: Option<Duration>, usual| {
            ours.or(theirs).filter(|time| !time.is_zero()).unwrap_or(usual)
        };
        Some(Check {
            command: self.command.clone().or_else(|| image.command.clone())?,
            interval: time(self.interval, image.interval, INTERVAL),
            start_interval: time(self.start_interval, image.start_interval, START_INTERVAL),
            timeout: time(self.timeout, image.timeout, TIMEOUT),
            start_period: time(self.start_period, image.start_period, Duration::ZERO),
            retries: self.retries.or(image.retries).filter(|times| *times > 0).unwrap_or(RETRIES),
        })
    }
}

/// Reads a duration as Go spells them: `1m30s`, `500ms`, `1.5h`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = || Error::invalid(format!("invalid duration `{text}`")).hint("give a number with a unit, such as `30s` or `1m30s`");
    let mut rest = text;
    let mut total = 0.0;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |length| digits + length);
        total += number
            * match &rest[digits..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if !text.is_empty() => Ok(duration),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "30", "s", "1x", "-1s", "1..5s", "1e400h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_go_over_what_the_image_says() {
        let shell = |text: &str| Some(Command::Shell(text.into()));
        let image = Asked {
            command: shell("image"),
            retries: Some(7),
            ..Asked::default()
        };
        let flags = Asked {
            interval: Some(Duration::from_secs(1)),
            ..Asked::default()
        };
        let check = flags.over(&image).unwrap();
        assert_eq!(
            (Some(check.command), check.interval.as_secs(), check.retries),
            (shell("image"), 1, 7)
        );
        assert_eq!(
            Asked {
                none: true,
                ..Asked::default()
            }
            .over(&image),
            None
        );
        assert_eq!(Asked::default().over(&Asked::default()), None);
        let own = Asked {
            command: shell("own"),
            ..Asked::default()
        };
        assert_eq!(
            own.over(&Asked {
                none: true,
                ..Asked::default()
            })
            .unwrap()
            .retries,
            3
        );
    }
}
