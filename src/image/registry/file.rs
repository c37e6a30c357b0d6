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
        let origin = origin.ok_or_else(|| Error::invalid("it is not a URL of a file"))?;
        let web = Web::default();
        let answer = Endpoint::at(&web, origin).send(&Request::new(Method::GET, text, ""))?;
        match answer.status() {
            StatusCode::OK => Ok(Box::new(answer.into_body().into_reader())),
            _ => Err(refusal(answer)),
        }
    };
    open().doing(|| format!("fetch `{}`", text.escape_debug()))
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
        assert!(open_url("http://user:secret@a.test/x").is_err());
        assert!(open_url("http://").is_err());
    }
}
