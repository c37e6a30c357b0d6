//! What went wrong, in the words of the registry or of the network, and whether it may go better the next time.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::Body;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{Response, StatusCode};

use crate::error::{Error, Kind};

/// An answer whose headers were read.
pub type Answer = Response<Body>;

/// Why there is no answer.
pub enum Failure {
    /// Asking again would change nothing.
    Lasting(Error),
    /// Asking again may help, and when, if the server says so.
    Passing(Error, Option<Duration>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Lasting(error)
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Failure {
        let lasting = matches!(
            error,
            ureq::Error::HostNotFound | ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::BadUri(_)
        ) || matches!(&error, ureq::Error::Io(error) if is_lasting(error));
        let told = explain(error);
        if lasting {
            Failure::Lasting(told)
        } else {
            Failure::Passing(told, None)
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Lasting(error) | Failure::Passing(error, _) => error,
        }
    }
}

/// Whether it is of no use to try again at once: nobody listens, or who does is not whom we want.
fn is_lasting(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    [ConnectionRefused, HostUnreachable, NetworkUnreachable].contains(&error.kind()) || is_about_tls(error)
}

/// Whether an error of the connection is one of the encryption.
fn is_about_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn explain(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Io(error) => error.into(),
        ureq::Error::HostNotFound => Error::not_found("no such host"),
        ureq::Error::Timeout(_) => Error::system("no answer in time"),
        error => Error::system(error),
    }
}

/// Whether an answer says that it may be another one later.
pub fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// When an answer says to ask again.
pub fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// More than any real message has.
const LONGEST: usize = 300;

/// The error of an answer that is not the one that was wanted.
pub fn refusal(answer: Answer) -> Error {
    let status = answer.status();
    let mut body = Vec::new();
    // What cannot be read is not shown; the status says enough.
    let _ = answer.into_body().into_reader().take(64 << 10).read_to_end(&mut body);
    let said = message(&body).map_or(String::new(), |said| format!(": {said}"));
    let reason = status.canonical_reason().map_or(String::new(), |reason| format!(" {reason}"));
    let kind = match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        _ => Kind::System,
    };
    Error::new(kind, format!("{}{reason}{said}", status.as_u16()))
}

/// What a body says in one of the forms that registries and their token servers use.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: String,
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        errors: Vec<Item>,
        details: Option<String>,
        message: Option<String>,
        error_description: Option<String>,
        error: Option<String>,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    let items = said.errors.into_iter().map(|item| match item.code {
        serde_json::Value::String(code) if item.message.is_empty() => code.to_lowercase().replace('_', " "),
        _ => item.message,
    });
    let listed = items.collect::<Vec<_>>().join(", ");
    let others = said.details.or(said.message).or(said.error_description).or(said.error);
    let text = if listed.is_empty() { others? } else { listed };
    // It goes to a terminal, and comes from whoever answered.
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_say_what_is_wrong_in_several_ways() {
        for (body, said) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                Some("manifest unknown"),
            ),
            (r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, Some("name unknown")),
            (
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("expired")),
            ("{\"message\":\"\\u001b[31mred\\n\"}", Some("[31mred")),
            ("<html>", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), said, "{body}");
        }
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(1000));
        assert_eq!(message(long.as_bytes()).unwrap().len(), LONGEST);
    }
}
