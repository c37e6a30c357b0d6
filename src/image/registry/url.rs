//! URLs that others name: relative to where they were named, or whole (RFC 3986, section 5).

use ureq::http::Uri;

/// The URL that `location` means in an answer from `base`.
pub fn join(base: &Uri, location: &str) -> Option<Uri> {
    // Headers are bytes; a URL with anything else in it is none.
    if location.is_empty() || location.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        return None;
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let text = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        location.to_string()
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    text.split('#').next()?.parse().ok()
}

/// Adds a field to the query of a URL or a path.
pub fn with_query(target: &str, name: &str, value: &str) -> String {
    let mark = if target.contains('?') { '&' } else { '?' };
    format!("{target}{mark}{name}={}", encode(value))
}

/// Spells a value so that it can stand in a query.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_or_whole() {
        let base: Uri = "https://a.test:1/v2/x/blobs/y?z=1".parse().unwrap();
        for (location, url) in [
            ("https://b.test/c?d=e", Some("https://b.test/c?d=e")),
            ("//b.test/c", Some("https://b.test/c")),
            ("/c?d", Some("https://a.test:1/c?d")),
            ("c", Some("https://a.test:1/v2/x/blobs/c")),
            ("?d", Some("https://a.test:1/v2/x/blobs/y?d")),
            ("/c#part", Some("https://a.test:1/c")),
            ("", None),
            ("/with space", None),
            ("/é", None),
        ] {
            assert_eq!(join(&base, location).map(|url| url.to_string()).as_deref(), url, "{location}");
        }
    }

    #[test]
    fn a_query_may_be_there_already() {
        assert_eq!(with_query("/u", "digest", "sha256:0a"), "/u?digest=sha256:0a");
        assert_eq!(with_query("/u?state=x", "from", "a b&c"), "/u?state=x&from=a%20b%26c");
    }
}
