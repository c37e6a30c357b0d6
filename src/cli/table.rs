//! Tables: columns that are as wide as what is in them.

use std::iter;

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

/// The least width of a column of Docker's tables, with its padding.
const NARROWEST: usize = 10;

/// Lays out lines whose cells end with tabs. A column is as wide as the lines below each other that have it; what follows the last
/// tab is no part of a column.
pub fn tabbed(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    let most = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..most {
        let mut from = 0;
        while from < lines.len() {
            let block = widths[from..].iter().take_while(|widths| widths.len() > column).count();
            let rows = from..from + block;
            let longest = lines[rows.clone()].iter().map(|cells| cells[column].chars().count()).max();
            let width = NARROWEST.max(longest.unwrap_or(0) + PADDING);
            widths[rows].iter_mut().for_each(|widths| widths[column] = width);
            from += block.max(1);
        }
    }
    let mut shown = String::with_capacity(2 * text.len());
    for (n, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        shown.push_str(if n > 0 { "\n" } else { "" });
        let (last, padded) = cells.split_last().unwrap_or((&"", &[]));
        for (cell, width) in padded.iter().zip(widths) {
            shown.push_str(cell);
            shown.extend(iter::repeat_n(' ', width - cell.chars().count()));
        }
        shown.push_str(last);
    }
    shown
}

/// Lays out rows whose number of columns is only known when they are there.
pub fn ragged(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &'_ Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let width = |column| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0) + PADDING;
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

/// An amount of bytes with at most three digits and a unit of 1000, as Docker shows what went through a device.
pub fn decimal_bytes(bytes: u64) -> String {
    decimal(bytes, 3)
}

/// An amount of bytes with at most so many digits and a unit of 1000.
pub fn decimal(bytes: u64, digits: usize) -> String {
    spell(bytes, 1000.0, digits, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// An amount of bytes with at most four digits and a unit of 1024, as Docker shows memory.
pub fn binary_bytes(bytes: u64) -> String {
    spell(bytes, 1024.0, 4, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Spells a number with so many digits that count, and without zeros behind the point (printf(3), `%g`).
fn spell(bytes: u64, base: f64, digits: usize, units: [&str; 7]) -> String {
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= base && unit + 1 < units.len() {
        amount /= base;
        unit += 1;
    }
    let before = format!("{}", amount.trunc()).len();
    let text = format!("{amount:.*}", digits.saturating_sub(before));
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", units[unit])
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
    fn cells_end_with_tabs_in_tables_of_docker() {
        for (text, expected) in [
            ("A\tB\n1\t2\n", "A         B\n1         2\n"),
            ("LONG HEADING\tB\n1\t\n", "LONG HEADING   B\n1              \n"),
            (
                "a\tb\tc\nlonger than that\nd\te\n",
                "a         b         c\nlonger than that\nd         e\n",
            ),
            ("", ""),
        ] {
            assert_eq!(tabbed(text), expected);
        }
    }

    #[test]
    fn rows_may_have_any_number_of_columns() {
        let row = |cells: &[&str]| cells.iter().map(|cell| cell.to_string()).collect();
        assert_eq!(ragged(&[row(&["PID", "CMD"]), row(&["1", "a b"])]), "PID   CMD\n1     a b\n");
    }

    #[test]
    fn amounts_are_spelled_as_docker_spells_them() {
        for (amount, decimal, binary) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1000B"),
            (1024, "1.02kB", "1KiB"),
            (1_536_000, "1.54MB", "1.465MiB"),
            (19_400_000, "19.4MB", "18.5MiB"),
            (8_221_081_600, "8.22GB", "7.656GiB"),
        ] {
            assert_eq!(
                (decimal_bytes(amount), binary_bytes(amount)),
                (decimal.into(), binary.into()),
                "{amount}"
            );
        }
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
