//! Times as records spell them.

#[path = "../../monitor/clock.rs"]
mod spelling;

use std::time::{Duration, SystemTime};

/// Now, in seconds since 1970.
pub fn seconds() -> u64 {
    since_1970().as_secs()
}

/// Now, in RFC 3339.
pub fn now() -> String {
    let since = since_1970();
    String::from_utf8_lossy(&spelling::spell(since.as_secs(), since.subsec_nanos())).into_owned()
}

/// A time in seconds since 1970 as lists show it, in UTC: `2026-11-24 04:04:30`.
pub fn show(seconds: u64) -> String {
    String::from_utf8_lossy(&spelling::spell(seconds, 0)[..19]).replace('T', " ")
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (1_735_689_599, "2024-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(show(seconds), text);
        }
    }

    #[test]
    fn now_has_nanoseconds() {
        assert_eq!(now().len(), spelling::LENGTH);
        assert!(now().ends_with('Z'));
    }
}
