//! Lists of numbers as the kernel writes them: `0-3,7`.

/// The numbers of a list, or none if it is no list. No list is longer than 4096 numbers.
pub fn parse(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= 4096 {
            return None;
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_have_numbers_and_ranges() {
        for (text, numbers) in [
            ("", Some(vec![])),
            ("0", Some(vec![0])),
            ("0-2,7", Some(vec![0, 1, 2, 7])),
            ("3,1-3", Some(vec![1, 2, 3])),
            ("2-1", None),
            ("a", None),
            ("0-99999999", None),
        ] {
            assert_eq!(parse(text), numbers, "{text}");
        }
    }
}
