//! What a registry wants to see before it answers: the header `WWW-Authenticate` (RFC 9110, section 11.6.1).
//!
//! ```text
//!   Basic realm="registry"
//!   Bearer realm="https://auth.test/token",service="registry.test",scope="repository:app:pull"
//! ```

use std::collections::BTreeMap;

/// A way to authenticate that we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A user's name and password.
    Basic,
    /// A token, which the server at `realm` issues.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The best way among those that the values of the header offer.
    pub fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        let offered: Vec<Challenge> = headers.flat_map(schemes).filter_map(known).collect();
        let bearer = offered.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        bearer.or(offered.first()).cloned()
    }
}

type Parameters = BTreeMap<String, String>;

fn known((scheme, mut parameters): (String, Parameters)) -> Option<Challenge> {
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
        }),
        _ => None,
    }
}

/// The schemes in one header's value, with their parameters. Names are in lower case.
fn schemes(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let (word, after) = rest.split_at(end);
        let word = word.to_ascii_lowercase();
        match (after.trim_start().strip_prefix('='), found.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = read_value(value.trim_start());
                parameters.insert(word, value);
                rest = after;
            }
            // A parameter of no scheme.
            (Some(_), None) => return found,
            (None, _) => {
                found.push((word, Parameters::new()));
                rest = after;
            }
        }
    }
}

/// Reads a value, in quotes or not, and returns what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_string(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
        })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        for (header, challenge) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://a.test/token",service="r.test",scope="repository:a/b:pull,push""#,
                bearer("https://a.test/token", Some("r.test")),
            ),
            (
                r#"Negotiate, Basic realm="a, b=c", Bearer realm = "https://a.test/\"t\"" , error="x""#,
                bearer("https://a.test/\"t\"", None),
            ),
            ("Bearer realm=https://a.test/t", bearer("https://a.test/t", None)),
            ("Bearer service=\"no realm\"", None),
            ("Digest realm=x", None),
            ("=", None),
            ("", None),
            ("Bearer realm=\"unterminated", bearer("unterminated", None)),
        ] {
            assert_eq!(Challenge::choose([header].into_iter()), challenge, "{header}");
        }
    }

    #[test]
    fn a_token_is_better_than_a_password() {
        let headers = ["Basic realm=x", "Bearer realm=y"];
        assert_eq!(Challenge::choose(headers.into_iter()), bearer("y", None));
    }
}
