//! Lists of numbers as the kernel writes them: `0-3,7`.

/// Numbers are below this.
const LIMIT: usize = 4096;
/// A longer text says nothing that a shorter one could not.
const LONGEST: usize = 1 << 16;

/// The numbers of a list, each once however often it is said, or none if it is no list.
pub fn parse(text: &str) -> Option<Vec<u32>> {
    let mut said = vec![false; LIMIT];
    if text.len() > LONGEST {
        return None;
    }
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= LIMIT {
            return None;
        }
        said[first..=last].fill(true);
    }
    Some((0..LIMIT as u32).filter(|n| said[*n as usize]).collect())
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
