//! Detach keys: what is typed to leave a container without ending it.

use crate::error::{Error, Result};

/// The keys that detach, as bytes of a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    /// ctrl-p, ctrl-q
    fn default() -> DetachKeys {
        DetachKeys(vec![16, 17])
    }
}

impl DetachKeys {
    /// Reads keys with commas between them. A key is one character, or `ctrl-` and a letter or one of `@[\]^_`. Nothing is the
    /// default.
    pub fn parse(text: &str) -> Result<DetachKeys> {
        if text.is_empty() {
            return Ok(DetachKeys::default());
        }
        let key = |key: &str| {
            let control = key.to_ascii_lowercase();
            let byte = match control.strip_prefix("ctrl-").map(str::as_bytes) {
                Some(&[letter @ b'a'..=b'z']) => Some(letter - b'a' + 1),
                Some(&[sign @ (b'@' | b'['..=b'_')]) => Some(sign & 0x1f),
                Some(_) => None,
                None => Some(key.as_bytes()).filter(|key| key.len() == 1).map(|key| key[0]),
            };
            byte.ok_or_else(|| {
                Error::invalid(format!("invalid detach keys `{text}`: unknown key `{key}`"))
                    .hint("give characters, or `ctrl-` and a letter or one of `@[\\]^_`, such as `ctrl-p,ctrl-q`")
            })
        };
        text.split(',').map(key).collect::<Result<_>>().map(DetachKeys)
    }
}

/// Looks for the detach keys in what is typed. The first of them are held back until it is clear that others do not follow.
#[derive(Debug, Default)]
pub struct Escape {
    keys: Vec<u8>,
    matched: usize,
}

impl Escape {
    pub fn new(keys: &DetachKeys) -> Escape {
        Escape {
            keys: keys.0.clone(),
            matched: 0,
        }
    }

    /// Appends to `passed` what goes on to the container. Returns whether the user wants to leave.
    pub fn type_in(&mut self, typed: &[u8], passed: &mut Vec<u8>) -> bool {
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return true;
                }
                continue;
            }
            passed.extend(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                passed.push(*byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_docker_has_them() {
        for (text, keys) in [
            ("", vec![16, 17]),
            ("ctrl-p,ctrl-q", vec![16, 17]),
            ("ctrl-a", vec![1]),
            ("CTRL-Z,x", vec![26, b'x']),
            ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", vec![0, 27, 28, 29, 30, 31]),
            ("q,-", vec![b'q', b'-']),
        ] {
            assert_eq!(DetachKeys::parse(text).unwrap(), DetachKeys(keys), "{text}");
        }
        for text in ["ctrl-", "ctrl-aa", "ctrl-1", "ab", "a,,b", "é", ","] {
            let error = DetachKeys::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid detach keys `{text}`")), "{error}");
        }
    }

    #[test]
    fn keys_are_found_wherever_what_is_typed_is_cut() {
        for (typed, passed, left) in [
            (&[b"ab".as_slice()][..], "ab", false),
            (&[b"a\x10\x11b"], "a", true),
            (&[b"a\x10", b"\x11"], "a", true),
            (&[b"a\x10", b"b\x10", b"\x10", b"\x11"], "a\x10b\x10", true),
            (&[b"\x11\x10", b"c"], "\x11\x10c", false),
            (&[b"\x10"], "", false),
        ] {
            let mut escape = Escape::new(&DetachKeys::default());
            let mut found = Vec::new();
            let is_left = typed.iter().any(|typed| escape.type_in(typed, &mut found));
            assert_eq!(
                (String::from_utf8(found).unwrap().as_str(), is_left),
                (passed, left),
                "{typed:?}"
            );
        }
    }
}
