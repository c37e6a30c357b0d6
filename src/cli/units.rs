//! Amounts as Docker spells them for people: durations in one unit, sizes in units of 1000.

/// How long something took or is ago, in one unit (go-units, `HumanDuration`).
pub fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".into(),
        (1, ..) => "1 second".into(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, ..2) => "About an hour".into(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A size with so many digits, without zeros at its end (go-units, `HumanSizeWithPrecision`).
pub fn size(bytes: u64, digits: usize) -> String {
    spell(bytes as f64, 1000.0, digits, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn spell(mut amount: f64, base: f64, digits: usize, units: [&str; 7]) -> String {
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while amount >= base
        && let Some(larger) = units.next()
    {
        amount /= base;
        unit = larger;
    }
    let whole = (amount.log10().max(0.0).floor() as usize) + 1;
    let mut text = format!("{amount:.*}", digits.saturating_sub(whole));
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        for (seconds, shown) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (89 * 60, "About an hour"),
            (90 * 60, "2 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(duration(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn sizes_have_as_many_digits_as_are_asked_for() {
        for (bytes, three, four) in [
            (0, "0B", "0B"),
            (12, "12B", "12B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (1_500, "1.5kB", "1.5kB"),
            (1_984_123, "1.98MB", "1.984MB"),
            (72_800_000, "72.8MB", "72.8MB"),
            (187_654_321, "188MB", "187.7MB"),
            (2_000_000_000, "2GB", "2GB"),
        ] {
            assert_eq!((size(bytes, 3).as_str(), size(bytes, 4).as_str()), (three, four), "{bytes}");
        }
    }
}
