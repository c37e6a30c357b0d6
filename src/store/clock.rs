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
    spell(since_1970())
}

/// A time as how long after 1970 it is, in RFC 3339.
pub fn spell(since: Duration) -> String {
    String::from_utf8_lossy(&spelling::spell(since.as_secs(), since.subsec_nanos())).into_owned()
}

/// A time in seconds since 1970 as lists show it, in UTC: `2026-11-24 04:04:30`.
pub fn show(seconds: u64) -> String {
    String::from_utf8_lossy(&spelling::spell(seconds, 0)[..19]).replace('T', " ")
}

/// Reads a time in RFC 3339, in UTC, as [`now`] writes it: how long after 1970 it is.
pub fn parse(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let nanos = format!("{:0<9}", fraction.get(..fraction.len().min(9))?)
        .parse::<u32>()
        .ok()?;
    // Days of a year that begins in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// Now, as how long after 1970 it is.
pub fn since_1970() -> Duration {
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
    fn times_are_read_as_they_are_spelled() {
        for seconds in [0, 951_782_399, 951_782_400, 1_709_164_800, 1_735_689_599, 4_107_542_400] {
            let text = show(seconds).replace(' ', "T") + ".000000012Z";
            assert_eq!(parse(&text), Some(Duration::new(seconds, 12)), "{text}");
        }
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Some(Duration::from_millis(1500)));
        for wrong in [
            "",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "x-01-01T00:00:00Z",
            "1969-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn now_has_nanoseconds() {
        assert_eq!(now().len(), spelling::LENGTH);
        assert!(now().ends_with('Z'));
    }
}
