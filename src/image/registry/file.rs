//! A file at a URL: what `import` reads in place of one of this host. Nothing is known of it beforehand, neither its digest nor its
//! length, so it is read once, from its beginning to its end.

use std::io::Read;

use ureq::http::{Method, StatusCode, Uri};

use super::endpoint::{Endpoint, Request};
use super::refusal::refusal;
use super::web::{Origin, Web};
use crate::error::{Doing, Error, Result};

/// Whether a text is a URL that can be read, rather than a path.
pub fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Opens what a URL leads to. Encrypted stays encrypted, wherever it is redirected.
pub fn open_url(text: &str) -> Result<Box<dyn Read + Send>> {
    let open = || -> Result<Box<dyn Read + Send>> {
        let url: Option<Uri> = text.parse().ok();
        let origin = url.as_ref().and_then(|url| Origin::of(url, true));
        let origin = origin.ok_or_else(|| Error::invalid("it is not a URL of a file, or one with a user in it"))?;
        let web = Web::default();
        let answer = Endpoint::at(&web, origin).send(&Request::new(Method::GET, text, ""))?;
        match answer.status() {
            StatusCode::OK => Ok(Box::new(answer.into_body().into_reader())),
            _ => Err(refusal(answer)),
        }
    };
    open().doing(|| format!("fetch `{}`", without_user(text).escape_debug()))
}

/// A URL without the name and the password that may be in it.
fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_no_path() {
        for (text, url) in [
            ("http://a.test/x.tar", true),
            ("HTTPS://a.test", true),
            ("x.tar", false),
            ("ftp://a.test/x", false),
            ("./http://x", false),
            ("http:/x", false),
            ("", false),
        ] {
            assert_eq!(is_url(text), url, "{text}");
        }
        let refused = open_url("http://user:secret@a.test/x").err().expect("an error").to_string();
        assert!(
            refused.contains("http://a.test/x") && !refused.contains("secret"),
            "{refused}"
        );
        assert!(open_url("http://").is_err());
    }
}
