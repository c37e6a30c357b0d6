//! Bringing a blob to a registry: in one piece, and, if that breaks, the rest from where the registry says it got to.
//!
//! ```text
//!   POST  …/blobs/uploads/?mount=…&from=…    201: another repository of the registry has it, and now this one, too
//!                                            202: a place to send it to
//!   PUT   place?digest=…, all of it          201
//!     or after a break
//!   GET   place                              204, Range: 0-n
//!   PATCH place, the rest                    202
//!   PUT   place?digest=…                     201
//! ```

use std::fs::File;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use ureq::http::{Method, StatusCode};

use super::endpoint::{Payload, Request};
use super::refusal::{Answer, Failure};
use super::repository::{Repository, text};
use super::url::{join, with_query};
use crate::error::{Error, Result};
use crate::image::Descriptor;

const BYTES: &str = "application/octet-stream";

/// How a blob got to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// It was sent.
    Sent,
    /// The registry had it in another repository.
    Mounted,
}

/// A place to send a blob to, and how much of it is there.
struct Session {
    location: String,
    offset: u64,
}

impl Repository<'_> {
    /// Brings a blob to the repository. `from` is another repository of the registry that may have it; how much was sent is told
    /// to `sent`.
    pub fn upload(&self, descriptor: &Descriptor, file: &File, from: Option<&str>, sent: &dyn Fn(u64)) -> Result<Upload> {
        let doing = |error| self.doing(error, &format!("blob `{}`", descriptor.digest));
        let Some(mut session) = self.begin(descriptor, from).map_err(doing)? else {
            return Ok(Upload::Mounted);
        };
        let mut attempt = 1;
        loop {
            match self.send(&session, descriptor, file, sent) {
                Ok(()) => return Ok(Upload::Sent),
                Err(Failure::Lasting(error)) => return Err(doing(error)),
                Err(Failure::Passing(error, when)) => {
                    self.endpoint.pause(attempt, error, when).map_err(doing)?;
                    attempt += 1;
                    session = self.go_on(session, descriptor).map_err(doing)?;
                }
            }
        }
    }

    /// Asks for a place to send a blob to. There is none if another repository has it.
    fn begin(&self, descriptor: &Descriptor, from: Option<&str>) -> Result<Option<Session>> {
        let mut target = format!("/v2/{}/blobs/uploads/", self.name());
        let mut scope = self.scope.clone();
        if let Some(from) = from {
            target = with_query(&target, "mount", &descriptor.digest.to_string());
            target = with_query(&target, "from", from);
            scope += &format!(" repository:{from}:pull");
        }
        let request = Request::new(Method::POST, &target, &scope).header(CONTENT_LENGTH, "0");
        let answer = self.endpoint.send(&request)?;
        if from.is_some() && answer.status() == StatusCode::CREATED {
            return Ok(None);
        }
        // Whoever must not read the other repository may write to this one.
        if from.is_some() && answer.status() != StatusCode::ACCEPTED {
            return self.begin(descriptor, None);
        }
        let answer = self.expect(answer, StatusCode::ACCEPTED)?;
        let location = self.location(&answer, &target)?;
        let location = location.ok_or_else(|| Error::system("names no place to send it to"))?;
        Ok(Some(Session { location, offset: 0 }))
    }

    /// Sends what is not there yet, and has the registry check the whole.
    fn send(
        &self,
        session: &Session,
        descriptor: &Descriptor,
        file: &File,
        sent: &dyn Fn(u64),
    ) -> std::result::Result<(), Failure> {
        let rest = Payload::Part {
            file,
            from: session.offset,
            length: descriptor.size - session.offset,
            sent,
        };
        let digest = descriptor.digest.to_string();
        if session.offset == 0 {
            let target = with_query(&session.location, "digest", &digest);
            let request = Request::new(Method::PUT, &target, &self.scope)
                .header(CONTENT_TYPE, BYTES)
                .payload(rest);
            let answer = self.endpoint.attempt(&request)?;
            return self.expect_or_again(answer, StatusCode::CREATED).map(|_| ());
        }
        let mut location = session.location.clone();
        if session.offset < descriptor.size {
            let request = Request::new(Method::PATCH, &location, &self.scope)
                .header(CONTENT_TYPE, BYTES)
                .header(CONTENT_RANGE, format!("{}-{}", session.offset, descriptor.size - 1))
                .payload(rest);
            let answer = self.expect_or_again(self.endpoint.attempt(&request)?, StatusCode::ACCEPTED)?;
            location = self.location(&answer, &location)?.unwrap_or(location);
        }
        let target = with_query(&location, "digest", &digest);
        let request = Request::new(Method::PUT, &target, &self.scope).header(CONTENT_LENGTH, "0");
        self.expect_or_again(self.endpoint.attempt(&request)?, StatusCode::CREATED)
            .map(|_| ())
    }

    /// Where an upload that broke goes on: where the registry says, or, if it has forgotten, at the beginning.
    fn go_on(&self, session: Session, descriptor: &Descriptor) -> Result<Session> {
        let answer = self
            .endpoint
            .send(&Request::new(Method::GET, &session.location, &self.scope))?;
        if answer.status() == StatusCode::NO_CONTENT {
            let offset = text(&answer, &RANGE).and_then(|range| received(&range)).unwrap_or(0);
            if (1..=descriptor.size).contains(&offset) {
                let location = self.location(&answer, &session.location)?.unwrap_or(session.location);
                return Ok(Session { location, offset });
            }
        }
        let session = self.begin(descriptor, None)?;
        session.ok_or_else(|| Error::system("names no place to send it to"))
    }

    /// The answer, if it has the right status. A place that the registry has forgotten is no reason to give up.
    fn expect_or_again(&self, answer: Answer, status: StatusCode) -> std::result::Result<Answer, Failure> {
        let forgotten = [StatusCode::NOT_FOUND, StatusCode::RANGE_NOT_SATISFIABLE].contains(&answer.status());
        self.expect(answer, status).map_err(|error| match forgotten {
            true => Failure::Passing(error, None),
            false => Failure::Lasting(error),
        })
    }

    /// The place that an answer to a request for `target` names.
    fn location(&self, answer: &Answer, target: &str) -> Result<Option<String>> {
        let Some(location) = text(answer, &LOCATION) else {
            return Ok(None);
        };
        let base = match target.starts_with('/') {
            true => self.endpoint.origin()?.url(target),
            false => target.to_string(),
        };
        let joined = base.parse().ok().and_then(|base| join(&base, &location));
        match joined {
            Some(url) => Ok(Some(url.to_string())),
            None => Err(Error::system(format!("is referred to `{}`", location.escape_debug()))),
        }
    }
}

/// How much is there: `0-9` is ten bytes. Nothing is spelled `0-0`, which could be one byte as well.
fn received(range: &str) -> Option<u64> {
    let last: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_a_range() {
        for (range, bytes) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("", None),
        ] {
            assert_eq!(received(range), bytes, "{range}");
        }
    }
}
