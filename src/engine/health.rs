//! Health checks: a command that is run in a container again and again, and tells by its exit status whether all is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

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
