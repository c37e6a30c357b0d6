//! What can be asked of a repository: manifests and blobs (OCI distribution specification, "Endpoints").

use std::io::Read;

use sha2::{Digest as _, Sha256};
use ureq::http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};
use ureq::http::{Method, StatusCode};

use super::authorization::Authorization;
use super::endpoint::{Endpoint, Payload, Request};
use super::refusal::{Answer, Failure, refusal};
use super::settings::{Place, Settings};
use super::web::Web;
use crate::error::{Error, Result};
use crate::image::credentials::{Credentials, HUB, Login};
use crate::image::{Descriptor, LARGEST_DOCUMENT, Reference, media};
use crate::store::Digest;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// All registries, as one command sees them.
pub struct Registries {
    settings: Settings,
    credentials: Credentials,
    web: Web,
}

impl Registries {
    /// Reads what is set about registries. No connection is made yet.
    pub fn open() -> Result<Registries> {
        Ok(Registries {
            settings: Settings::read()?,
            credentials: Credentials::read()?,
            web: Web::default(),
        })
    }

    /// Where an image may be fetched from, in the order in which to try: its mirrors, and its registry.
    pub fn sources(&self, name: &Reference) -> Result<Vec<Repository<'_>>> {
        let places = self
            .settings
            .places(name.registry(), name.repository(), name.digest().is_some())?;
        places.into_iter().map(|place| self.repository(place, "pull")).collect()
    }

    /// Where an image is brought to.
    pub fn home(&self, name: &Reference) -> Result<Repository<'_>> {
        self.repository(self.settings.home(name.registry(), name.repository())?, "pull,push")
    }

    fn repository(&self, place: Place, actions: &str) -> Result<Repository<'_>> {
        let registry = registry_of(&place.authority).to_string();
        let login = self.credentials.find(&registry)?;
        Ok(Repository {
            scope: format!("repository:{}:{actions}", place.repository),
            endpoint: Endpoint::new(&self.web, place, Authorization::new(login)),
            registry,
        })
    }

    /// Asks a registry whether it lets somebody in.
    pub fn check(&self, registry: &str, login: Login) -> Result<()> {
        let place = self.settings.home(registry, "")?;
        let endpoint = Endpoint::new(&self.web, place, Authorization::new(Some(login)));
        let doing = |error: Error| error.doing(format!("registry `{registry}`"));
        let answer = endpoint.send(&Request::new(Method::GET, "/v2/", "")).map_err(doing)?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(doing(refusal(answer))),
        }
    }

    /// Ends all that is going on, because some of it failed.
    pub fn stop(&self) {
        self.web.stop();
    }
}

/// The name of a registry in images' names, which is not the host's for Docker Hub.
fn registry_of(authority: &str) -> &str {
    if authority == "registry-1.docker.io" { HUB } else { authority }
}

/// A repository of a registry.
pub struct Repository<'a> {
    pub(super) endpoint: Endpoint<'a>,
    /// What a token must be good for.
    pub(super) scope: String,
    registry: String,
}

/// A document that was fetched. Its bytes have the digest.
#[derive(Debug)]
pub struct Fetched {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

/// A blob that is being received.
pub struct Received {
    pub body: Box<dyn Read + Send>,
    /// Where in the blob the body begins.
    pub from: u64,
    /// How long the blob is, if the registry says so.
    pub size: Option<u64>,
}

impl Repository<'_> {
    /// The registry's name, as users know it.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Its name within the registry.
    pub fn name(&self) -> &str {
        &self.endpoint.place.repository
    }

    /// Fetches a manifest or an index, by its tag or digest.
    pub fn manifest(&self, wanted: &str) -> Result<Fetched> {
        let path = format!("/v2/{}/manifests/{wanted}", self.name());
        let request = Request::new(Method::GET, &path, &self.scope).header(ACCEPT, media::ACCEPTED.join(", "));
        let fetch = || {
            let answer = self.expect(self.endpoint.send(&request)?, StatusCode::OK)?;
            let (media_type, said) = (text(&answer, &CONTENT_TYPE), text(&answer, &CONTENT_DIGEST));
            let bytes = read(answer, LARGEST_DOCUMENT)?;
            let digest = Digest::of(Sha256::new_with_prefix(&bytes));
            for expected in [Digest::parse(wanted), said.as_deref().and_then(Digest::parse)]
                .into_iter()
                .flatten()
            {
                if expected != digest {
                    return Err(Error::invalid(format!("has the digest `{digest}` instead of `{expected}`")));
                }
            }
            let media_type = media_type.unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            Ok(Fetched {
                descriptor: Descriptor::new(media_type, digest, bytes.len() as u64),
                bytes,
            })
        };
        fetch().map_err(|error| self.doing(error, &format!("manifest `{wanted}`")))
    }

    /// The digest that a tag points to, if the registry says. Asking costs less than fetching, also of what a registry allows.
    pub fn manifest_digest(&self, wanted: &str) -> Result<Option<Digest>> {
        let path = format!("/v2/{}/manifests/{wanted}", self.name());
        let request = Request::new(Method::HEAD, &path, &self.scope).header(ACCEPT, media::ACCEPTED.join(", "));
        let answer = self
            .endpoint
            .send(&request)
            .and_then(|answer| self.expect(answer, StatusCode::OK));
        let answer = answer.map_err(|error| self.doing(error, &format!("manifest `{wanted}`")))?;
        Ok(text(&answer, &CONTENT_DIGEST).as_deref().and_then(Digest::parse))
    }

    /// Asks for a blob, from a place in it where there is a part of it already. What comes is checked by whoever reads it.
    pub(super) fn blob(&self, digest: &Digest, from: u64) -> std::result::Result<Received, Failure> {
        let path = format!("/v2/{}/blobs/{digest}", self.name());
        let mut request = Request::new(Method::GET, &path, &self.scope);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let answer = self.endpoint.attempt(&request)?;
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = text(&answer, &CONTENT_RANGE).and_then(|text| content_range(&text));
            let (from, size) = range.ok_or_else(|| Error::system("sends a part without saying which"))?;
            let body = Box::new(answer.into_body().into_reader());
            return Ok(Received { body, from, size });
        }
        let answer = self.expect(answer, StatusCode::OK)?;
        let body = answer.into_body();
        Ok(Received {
            size: body.content_length(),
            body: Box::new(body.into_reader()),
            from: 0,
        })
    }

    /// Whether the repository has a blob.
    pub fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        let path = format!("/v2/{}/blobs/{}", self.name(), descriptor.digest);
        let answer = self.endpoint.send(&Request::new(Method::HEAD, &path, &self.scope));
        let found = answer.and_then(|answer| match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.expect(answer, StatusCode::OK).map(|_| true),
        });
        found.map_err(|error| self.doing(error, &format!("blob `{}`", descriptor.digest)))
    }

    /// Gives the repository a manifest, whose blobs it has, under a tag or its digest.
    pub fn put_manifest(&self, wanted: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{}/manifests/{wanted}", self.name());
        let request = Request::new(Method::PUT, &path, &self.scope)
            .header(CONTENT_TYPE, media_type)
            .payload(Payload::Bytes(bytes));
        let answer = self
            .endpoint
            .send(&request)
            .and_then(|answer| self.expect(answer, StatusCode::CREATED));
        answer
            .map(|_| ())
            .map_err(|error| self.doing(error, &format!("manifest `{wanted}`")))
    }

    /// The answer, if it has the status that it should have.
    pub(super) fn expect(&self, answer: Answer, status: StatusCode) -> Result<Answer> {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status());
        if answer.status() == status {
            return Ok(answer);
        }
        let error = refusal(answer);
        Err(if refused { error.hint(self.login_hint()) } else { error })
    }

    fn login_hint(&self) -> String {
        let login = match self.registry.as_str() {
            HUB => "tinydock login".to_string(),
            registry => format!("tinydock login {registry}"),
        };
        match self.endpoint.authorization.has_login() {
            true => format!("there may be no such repository, or it is for others; `{login}` changes who you are"),
            false => format!("there may be no such repository, or it needs `{login}`"),
        }
    }

    /// An error with what was being done, and where.
    pub fn doing(&self, error: Error, what: &str) -> Error {
        error.doing(what).doing(format!("registry `{}`", self.registry))
    }
}

/// A header's text.
pub(super) fn text(answer: &Answer, name: &HeaderName) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(Into::into)
}

/// Reads a body that must not be longer than `limit`.
pub(super) fn read(answer: Answer, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut body = answer.into_body().into_reader().take(limit + 1);
    body.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::invalid(format!("is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Where a part begins, and how long the whole is: `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-')?.0.trim().parse().ok()?;
    match size.trim() {
        "*" => Some((from, None)),
        size => Some((from, Some(size.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_where_they_begin() {
        for (text, range) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes 5-9/x", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
