//! Requests to one registry: authorized, redirected, and made again where that can help.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use ureq::SendBody;
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, LOCATION};
use ureq::http::{self, Method, StatusCode, Uri};

use super::authorization::Authorization;
use super::refusal::{Answer, Failure, is_passing, refusal, retry_after};
use super::settings::Place;
use super::url::join;
use super::web::{Origin, Web, has_certificates};
use crate::error::{Error, Result};

const MOST_REDIRECTS: usize = 10;
const MOST_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest that a registry is waited for because it asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A registry, as the place of one repository.
pub struct Endpoint<'a> {
    pub web: &'a Web,
    pub place: Place,
    pub authorization: Authorization,
    /// Where it answers, once that is known.
    origin: OnceLock<Origin>,
}

/// What a request carries.
pub enum Payload<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// A part of a file; how much of it was sent is told to `sent`.
    Part {
        file: &'a File,
        from: u64,
        length: u64,
        sent: &'a dyn Fn(u64),
    },
}

pub struct Request<'a> {
    pub method: Method,
    /// A path at the registry, or a URL that it has named.
    pub target: &'a str,
    /// What a token must be good for.
    pub scope: &'a str,
    pub headers: Vec<(HeaderName, String)>,
    pub payload: Payload<'a>,
}

impl<'a> Request<'a> {
    pub fn new(method: Method, target: &'a str, scope: &'a str) -> Request<'a> {
        Request {
            method,
            target,
            scope,
            headers: Vec::new(),
            payload: Payload::Nothing,
        }
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Request<'a> {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn payload(mut self, payload: Payload<'a>) -> Request<'a> {
        self.payload = payload;
        self
    }
}

impl<'a> Endpoint<'a> {
    pub fn new(web: &'a Web, place: Place, authorization: Authorization) -> Endpoint<'a> {
        Endpoint {
            web,
            place,
            authorization,
            origin: OnceLock::new(),
        }
    }

    /// A server that is no registry, to which nobody has logged in.
    pub fn at(web: &'a Web, origin: Origin) -> Endpoint<'a> {
        let place = Place {
            authority: origin.authority.clone(),
            repository: String::new(),
            insecure: false,
        };
        Endpoint {
            origin: origin.into(),
            ..Endpoint::new(web, place, Authorization::new(None))
        }
    }

    /// Makes a request until there is an answer that would not be another one a moment later. Its status may be any.
    pub fn send(&self, request: &Request) -> Result<Answer> {
        let mut attempt = 1;
        loop {
            match self.attempt(request) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing(error, when)) => {
                    self.pause(attempt, error, when)?;
                    attempt += 1;
                }
            }
        }
    }

    /// Makes a request once. Whoever has a request that cannot be made again as it is uses this.
    pub fn attempt(&self, request: &Request) -> std::result::Result<Answer, Failure> {
        let home = self.origin()?;
        let mut answer = self.follow(home, request)?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.authorization.learn(&answer, request.scope) {
            drop(answer);
            answer = self.follow(home, request)?;
        }
        if is_passing(answer.status()) {
            let when = retry_after(&answer);
            return Err(Failure::Passing(refusal(answer), when));
        }
        Ok(answer)
    }

    /// Waits before the next attempt, unless this was the last one: then the error is what there is.
    pub fn pause(&self, attempt: u32, error: Error, when: Option<Duration>) -> Result<()> {
        if attempt >= MOST_ATTEMPTS || self.web.is_stopped() {
            return Err(error);
        }
        let pause = when.unwrap_or_else(|| jittered(FIRST_PAUSE * 2_u32.pow(attempt - 1)));
        if pause > LONGEST_PAUSE {
            return Err(error.hint(format!("the registry asks to wait for {} seconds", pause.as_secs())));
        }
        self.web.pause(pause)
    }

    /// Makes a request, and those that the answers redirect to. Nobody but the registry itself sees the authorization.
    fn follow(&self, home: &Origin, request: &Request) -> std::result::Result<Answer, Failure> {
        let mut url = self.url(home, request.target)?;
        let mut was_secure = false;
        for _ in 0..=MOST_REDIRECTS {
            let origin = Origin::of(&url, true).ok_or_else(|| Error::system(format!("is referred to `{url}`")))?;
            let is_home = (origin.secure, &origin.authority) == (home.secure, &home.authority);
            was_secure |= origin.secure;
            if was_secure && !origin.secure {
                return Err(Error::system(format!("is referred to `{}`, which does not use https", origin.authority)).into());
            }
            let authorization = match is_home {
                true => self.authorization.header(self.web, home.secure, request.scope)?,
                false => None,
            };
            let answer = self.once(if is_home { home } else { &origin }, &url, request, authorization)?;
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match location.filter(|_| is_redirect(answer.status(), &request.method)) {
                Some(location) => {
                    url = join(&url, location)
                        .ok_or_else(|| Error::system(format!("is referred to `{}`", location.escape_debug())))?;
                }
                None => return Ok(answer),
            }
        }
        Err(Error::system(format!("more than {MOST_REDIRECTS} redirects")).into())
    }

    fn once(
        &self,
        origin: &Origin,
        url: &Uri,
        request: &Request,
        authorization: Option<String>,
    ) -> std::result::Result<Answer, Failure> {
        let agent = self.web.agent(origin)?;
        let mut head = http::Request::builder().method(request.method.clone()).uri(url.clone());
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        if let Some(authorization) = authorization {
            head = head.header(AUTHORIZATION, authorization);
        }
        let wrong = |error: http::Error| Failure::Lasting(Error::system(error));
        Ok(match &request.payload {
            Payload::Nothing => agent.run(head.body(()).map_err(wrong)?)?,
            Payload::Bytes(bytes) => agent.run(head.body(*bytes).map_err(wrong)?)?,
            Payload::Part {
                file,
                from,
                length,
                sent,
            } => {
                let mut part = Part {
                    file,
                    at: *from,
                    end: from + length,
                    sent,
                };
                let head = head.header(CONTENT_LENGTH, *length);
                agent.run(head.body(SendBody::from_reader(&mut part)).map_err(wrong)?)?
            }
        })
    }

    /// The URL of a path, or of a URL that was named by the registry.
    fn url(&self, home: &Origin, target: &str) -> std::result::Result<Uri, Failure> {
        let text = if target.starts_with('/') {
            home.url(target)
        } else {
            target.to_string()
        };
        text.parse()
            .map_err(|_| Error::system(format!("`{}` is not a URL", target.escape_debug())).into())
    }

    /// Where the registry answers. One that need not be spoken to in secret is tried both ways.
    pub fn origin(&self) -> std::result::Result<&Origin, Failure> {
        if let Some(origin) = self.origin.get() {
            return Ok(origin);
        }
        let mut candidates = self.candidates();
        let last = candidates.pop().ok_or_else(|| Error::system("no way to reach it"))?;
        let answering = candidates.into_iter().find(|origin| self.answers(origin));
        Ok(self.origin.get_or_init(|| answering.unwrap_or(last)))
    }

    fn candidates(&self) -> Vec<Origin> {
        let authority = &self.place.authority;
        let origin = |secure, verified| Origin {
            secure,
            authority: authority.to_ascii_lowercase(),
            verified,
        };
        let certified = has_certificates(authority);
        match (Origin::is_local(authority), self.place.insecure) {
            (_, true) => vec![origin(true, false), origin(false, true)],
            (true, false) if !certified => vec![origin(false, true), origin(true, false)],
            _ => vec![origin(true, true)],
        }
    }

    /// Whether a registry answers there. A web server answers a request of the other kind with 400, or not at all.
    fn answers(&self, origin: &Origin) -> bool {
        let Ok(agent) = self.web.agent(origin) else { return false };
        agent
            .get(origin.url("/v2/"))
            .call()
            .is_ok_and(|answer| answer.status() != StatusCode::BAD_REQUEST)
    }
}

/// Whether an answer refers to another place. What carries something is not carried elsewhere.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && [Method::GET, Method::HEAD].contains(method)
}

/// A time that is a little longer, by chance: those who were refused together do not come back together.
fn jittered(time: Duration) -> Duration {
    let mut random = [0];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    time + time / 4 * u32::from(random[0]) / 256
}

/// Reads a part of a file without moving in it.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    sent: &'a dyn Fn(u64),
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += length as u64;
        (self.sent)(self.at);
        Ok(length)
    }
}
