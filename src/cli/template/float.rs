//! Numbers with a point, as Go spells them.

/// The shortest spelling that gives the same number: with an exponent only if the number is very small or very large.
pub fn shortest(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return special(value);
    }
    let exponent = exponent_of(value);
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    go_exponent(&format!("{value:e}"))
}

/// Spells a number for `%e`, with so many digits after the point.
pub fn scientific(value: f64, digits: usize) -> String {
    if value.is_finite() {
        go_exponent(&format!("{value:.digits$e}"))
    } else {
        special(value)
    }
}

/// Spells a number for `%f`.
pub fn fixed(value: f64, digits: usize) -> String {
    if value.is_finite() {
        format!("{value:.digits$}")
    } else {
        special(value)
    }
}

fn special(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ if value.is_sign_negative() => "-0",
        _ => "0",
    }
    .into()
}

fn exponent_of(value: f64) -> i32 {
    let text = format!("{value:e}");
    text.split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0)
}

/// Go's exponents have a sign and at least two digits.
fn go_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_go_spells_them() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(shortest(number), text);
        }
        assert_eq!(scientific(123_456.0, 2), "1.23e+05");
        assert_eq!(fixed(1.005, 1), "1.0");
    }
}
