//! Restart policies: whether a container that has ended is started again, and when.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::Exit;
use crate::error::{Error, Result};

/// When a container is started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    #[default]
    No,
    /// When it failed, at most so many times; 0 is any number.
    OnFailure(u32),
    /// Whenever it ends and nobody asked for that; and when the host has started.
    Always,
    /// The same, but what somebody has stopped is not started with the host.
    UnlessStopped,
}

/// How often a container was started again since somebody started it, and how it ended before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    pub count: u32,
    /// How many of those came one soon after another.
    pub hurried: u32,
    /// When it ended last, and how.
    pub last: Option<Exit>,
}

/// How long is waited before the first restart, and at most (moby, `restartmanager`).
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// A container that ran this long did not fail because it was started.
pub const SETTLED: Duration = Duration::from_secs(10);

impl Policy {
    /// Reads `no`, `always`, `unless-stopped` or `on-failure[:TIMES]`.
    pub fn parse(text: &str) -> Result<Policy> {
        let (kind, times) = text.split_once(':').map_or((text, None), |(kind, times)| (kind, Some(times)));
        let policy = match kind {
            "no" | "" => Policy::No,
            "always" => Policy::Always,
            "unless-stopped" => Policy::UnlessStopped,
            "on-failure" => {
                let times = times.unwrap_or("0").parse();
                return times.map(Policy::OnFailure).map_err(|_| {
                    Error::invalid(format!("invalid restart policy `{text}`"))
                        .hint("how many times must be a number, as in `on-failure:5`")
                });
            }
            _ => {
                return Err(Error::invalid(format!("invalid restart policy `{text}`"))
                    .hint("there are `no`, `on-failure[:TIMES]`, `always` and `unless-stopped`"));
            }
        };
        match times {
            None => Ok(policy),
            Some(_) => {
                Err(Error::invalid(format!("invalid restart policy `{text}`")).hint("only `on-failure` can be so many times"))
            }
        }
    }

    /// The policy's name, as it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Policy::No => "no",
            Policy::OnFailure(_) => "on-failure",
            Policy::Always => "always",
            Policy::UnlessStopped => "unless-stopped",
        }
    }

    /// Whether a container that has ended like this, and that nobody has stopped, is started again.
    pub fn wants(self, exit: &Exit, restarts: &Restarts) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure(times) => exit.code != 0 && (times == 0 || restarts.count < times),
            Policy::Always | Policy::UnlessStopped => true,
        }
    }

    /// Whether a container is started when the host has started.
    pub fn wants_at_boot(self, exit: Option<&Exit>, stopped: bool) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure(_) => !stopped && exit.is_some_and(|exit| exit.code != 0),
            Policy::Always => true,
            Policy::UnlessStopped => !stopped,
        }
    }
}

impl Display for Policy {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Policy::OnFailure(times @ 1..) => write!(to, "on-failure:{times}"),
            policy => to.write_str(policy.name()),
        }
    }
}

impl Restarts {
    /// What is known after a container has ended that ran for so long.
    pub fn after(&self, exit: &Exit, ran: Duration) -> Restarts {
        Restarts {
            count: self.count + 1,
            hurried: if ran >= SETTLED { 0 } else { self.hurried + 1 },
            last: Some(exit.clone()),
        }
    }

    /// How long is waited now: twice as long each time, so that what cannot run does not keep the host busy.
    pub fn delay(&self) -> Duration {
        FIRST.saturating_mul(1 << self.hurried.saturating_sub(1).min(16)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::Lost;

    #[test]
    fn policies_are_spelled_as_they_are_read() {
        for (text, policy) in [
            ("no", Policy::No),
            ("always", Policy::Always),
            ("unless-stopped", Policy::UnlessStopped),
            ("on-failure", Policy::OnFailure(0)),
            ("on-failure:3", Policy::OnFailure(3)),
        ] {
            assert_eq!(Policy::parse(text).unwrap(), policy, "{text}");
            assert_eq!(policy.to_string(), text);
        }
        for text in ["sometimes", "always:3", "on-failure:x", "on-failure:-1"] {
            let error = Policy::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid restart policy `{text}`")), "{error}");
        }
    }

    #[test]
    fn each_delay_is_twice_the_last_up_to_a_minute() {
        let failed = Exit {
            code: 1,
            ..Exit::lost(Lost::Host)
        };
        let mut restarts = Restarts::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            restarts = restarts.after(&failed, Duration::ZERO);
            delays.push(restarts.delay().as_millis());
        }
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[10..], [60_000, 60_000]);
        assert_eq!(restarts.after(&failed, SETTLED).delay().as_millis(), 100);
    }

    #[test]
    fn a_policy_decides_by_how_the_container_ended() {
        let exit = |code| Exit {
            code,
            ..Exit::lost(Lost::Host)
        };
        let after = |count| Restarts {
            count,
            ..Restarts::default()
        };
        for (policy, code, count, wanted) in [
            (Policy::No, 1, 0, false),
            (Policy::OnFailure(0), 0, 0, false),
            (Policy::OnFailure(0), 1, 99, true),
            (Policy::OnFailure(2), 1, 1, true),
            (Policy::OnFailure(2), 1, 2, false),
            (Policy::Always, 0, 9, true),
            (Policy::UnlessStopped, 0, 0, true),
        ] {
            assert_eq!(policy.wants(&exit(code), &after(count)), wanted, "{policy} {code} {count}");
        }
        assert!(Policy::Always.wants_at_boot(None, true) && !Policy::UnlessStopped.wants_at_boot(None, true));
        assert!(!Policy::OnFailure(0).wants_at_boot(Some(&exit(0)), false));
    }
}
