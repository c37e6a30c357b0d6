//! Moments and durations as users spell them, which is as Docker reads them.

use std::time::Duration;

use super::clock;
use crate::error::{Error, Result};

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

/// Reads a moment, as how long after 1970 it is: RFC 3339 in full or in part, seconds since 1970, or how long before `now`. What has
/// no time zone is in UTC.
pub fn parse_moment(text: &str, now: Duration) -> Result<Duration> {
    let wrong = || {
        Error::invalid(format!("invalid time `{text}`"))
            .hint("give a date such as `2026-01-31T12:00:00`, seconds since 1970, or how long ago, such as `10m`")
    };
    // A duration of nothing would be now; Docker takes the number for 1970, which is everything.
    if text != "0"
        && let Ok(ago) = parse_duration(text)
    {
        return Ok(now.saturating_sub(ago));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos = format!("{fraction:0<9}").parse();
        let seconds = seconds.parse();
        return match (seconds, nanos) {
            (Ok(seconds), Ok(nanos)) if fraction.len() <= 9 => Ok(Duration::new(seconds, nanos)),
            _ => Err(wrong()),
        };
    }
    let (text, offset) = split_zone(text).ok_or_else(wrong)?;
    let missing = match text.len() {
        10 => "T00:00:00",
        13 => ":00:00",
        16 => ":00",
        _ => "",
    };
    let utc = clock::parse(&format!("{text}{missing}Z")).ok_or_else(wrong)?;
    let shift = Duration::from_secs(offset.unsigned_abs() * 60);
    if offset < 0 {
        utc.checked_add(shift)
    } else {
        utc.checked_sub(shift)
    }
    .ok_or_else(wrong)
}

/// What comes before a time zone, and how many minutes it is east of Greenwich.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(text) = text.strip_suffix('Z') {
        return Some((text, 0));
    }
    let at = text.len().checked_sub(6).filter(|at| *at > 10 && text.is_char_boundary(*at));
    let Some((time, zone)) = at.map(|at| text.split_at(at)) else {
        return Some((text, 0));
    };
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return Some((text, 0)),
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    Some((time, sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)))
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
    fn moments_are_dates_or_numbers_or_how_long_ago() {
        let now = Duration::from_secs(2_000_000_000);
        for (text, seconds) in [
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2001-09-09T03:46:40+02:00", 1_000_000_000),
            ("2001-09-08T21:16:40-04:30", 1_000_000_000),
            ("2001-09-09T01:46:40", 1_000_000_000),
            ("2001-09-09T01:46", 999_999_960),
            ("2001-09-09T01", 999_997_200),
            ("2001-09-09", 999_993_600),
            ("1000000000", 1_000_000_000),
            ("10m", 1_999_999_400),
            ("1h30m", 1_999_994_600),
        ] {
            assert_eq!(parse_moment(text, now).unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(parse_moment("1.5", now).unwrap(), Duration::from_millis(1500));
        assert_eq!(parse_moment("0", now).unwrap(), Duration::ZERO);
        assert_eq!(parse_moment("2001-09-09T01:46:40.25Z", now).unwrap().subsec_millis(), 250);
        for text in [
            "",
            "yesterday",
            "2001-13-01",
            "1.1234567890",
            "2001-09-09T01:46:40+xx:00",
            "é2001-09-09T01:46:40",
        ] {
            let error = parse_moment(text, now).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid time `{text}`")), "{error}");
        }
    }
}
