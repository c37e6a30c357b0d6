//! Tables: columns that are as wide as what is in them.

const PADDING: usize = 3;

/// Lays out rows below a heading. The last column is not padded.
pub fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = [heading.map(str::to_string)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0) + PADDING;
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

/// An amount of bytes as lists show it: three digits and a unit of 1000.
pub fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while amount >= 999.5 {
        amount /= 1000.0;
        unit = units.next().unwrap_or_default();
    }
    let digits = if unit == "B" || amount >= 99.95 {
        0
    } else if amount >= 9.995 {
        1
    } else {
        2
    };
    format!("{amount:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(["ID", "NAME"], [["1234".into(), "a".into()], ["5".into(), String::new()]]);
        assert_eq!(text, "ID     NAME\n1234   a\n5\n");
    }

    #[test]
    fn amounts_have_three_digits() {
        for (amount, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (12_345, "12.3kB"),
            (999_499, "999kB"),
            (999_500, "1.00MB"),
            (2_000_000_000, "2.00GB"),
        ] {
            assert_eq!(bytes(amount), shown, "{amount}");
        }
    }
}
