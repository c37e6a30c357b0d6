//! Times as logs and records spell them: RFC 3339 in UTC with nanoseconds.

/// The length of a spelled time: `2026-11-24T04:04:30.123456789Z`.
pub const LENGTH: usize = 30;

/// Spells a time that is given as seconds and nanoseconds since 1970.
pub fn spell(seconds: u64, nanoseconds: u32) -> [u8; LENGTH] {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
        (20, 9, u64::from(nanoseconds)),
    ];
    for (start, length, value) in fields {
        digits(&mut text, start, length, value);
    }
    text
}

fn digits(text: &mut [u8], start: usize, length: usize, mut value: u64) {
    for place in text.iter_mut().skip(start).take(length).rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (era * 400 + year, month, day)
}
