//! References: the names of images, as Docker's users write them.
//!
//! ```text
//!   nginx                          docker.io/library/nginx:latest
//!   me/app:1.2                     docker.io/me/app:1.2
//!   ghcr.io/me/app@sha256:9b2c…    the image of that digest, wherever a tag points by now
//!   ───┬─── ──┬───
//!   registry  repository
//! ```
//!
//! The first component is a registry's host if it has a dot or a colon, or is `localhost`; otherwise the registry is
//! Docker Hub, where a repository without a `/` is one of `library/`.

use std::fmt::{self, Display};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::store::Digest;

const HUB: &str = "docker.io";
/// What Docker Hub was called once; both names are the same registry.
const OLD_HUB: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const LATEST: &str = "latest";
/// The longest a registry and a repository may be together.
const LONGEST: usize = 255;
const LONGEST_TAG: usize = 128;

/// The name of an image: a repository of a registry, and a tag or a digest or both. With neither, the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference.
    pub fn parse(text: &str) -> Result<Reference> {
        let wrong = |what: &str| Error::invalid(what).doing(format!("invalid image name `{}`", text.escape_debug()));
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                let digest = Digest::parse(digest).ok_or_else(|| wrong("the digest is not `sha256:` and 64 hexadecimal digits"))?;
                (rest, Some(digest))
            }
        };
        // A colon before a slash is a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
            ));
        }
        let (registry, repository) = split(name);
        if !is_host(registry) {
            return Err(wrong("the registry's host is not valid"));
        }
        if !repository.split('/').all(is_component) || registry.len() + repository.len() > LONGEST {
            return Err(wrong(
                "a repository has lower-case letters and digits, with `.`, `_`, `__` or `-` between them, and `/` between its parts",
            ));
        }
        if digest.is_none() && tag.is_none() && is_id(name) {
            return Err(wrong("this is an image's id, not a name"));
        }
        let tag = tag.map(str::to_string);
        let official = registry == HUB && !repository.contains('/');
        Ok(Reference {
            registry: registry.to_string(),
            repository: if official {
                format!("{OFFICIAL}{repository}")
            } else {
                repository.to_string()
            },
            tag: if digest.is_none() {
                tag.or_else(|| Some(LATEST.into()))
            } else {
                tag
            },
            digest,
        })
    }

    /// Whether a reference names a repository alone, with neither a tag nor a digest.
    pub fn is_repository(text: &str) -> bool {
        // A colon before a slash is a port.
        !text.contains('@') && !text.rsplit('/').next().is_some_and(|last| last.contains(':'))
    }

    /// The registry's host, and its port if one is named: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in full: `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. It is only missing where there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What a registry is asked for: the digest, or else the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| LATEST.into()),
        }
    }

    /// The same repository at a digest, without a tag.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Reference {
        Reference {
            tag: None,
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    /// The same without what means nothing: where there is a digest, that is the tag.
    #[must_use]
    pub fn essential(&self) -> Reference {
        self.digest().map_or_else(|| self.clone(), |digest| self.at(digest))
    }

    /// The same repository at a tag, if that can be one.
    pub fn tagged(&self, tag: &str) -> Option<Reference> {
        is_tag(tag).then(|| Reference {
            tag: Some(tag.to_string()),
            digest: None,
            ..self.clone()
        })
    }

    /// Whether another reference leads to the same repository.
    pub fn is_of_repository_of(&self, other: &Reference) -> bool {
        (self.registry(), self.repository()) == (other.registry(), other.repository())
    }

    /// The registry and the repository as users write them, without what can be left out: `nginx`, `ghcr.io/me/app`.
    pub fn familiar_repository(&self) -> String {
        match (self.registry.as_str(), self.repository.strip_prefix(OFFICIAL)) {
            (HUB, Some(name)) if !name.contains('/') => name.to_string(),
            (HUB, _) => self.repository.clone(),
            (registry, _) => format!("{registry}/{}", self.repository),
        }
    }

    /// All of that: `docker.io/library/nginx`.
    pub fn full_repository(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The whole as users write it: `nginx:latest`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_repository())
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text += &format!(":{tag}");
        }
        if let Some(digest) = &self.digest {
            text += &format!("@{digest}");
        }
        text
    }
}

/// Shows all of a reference: `docker.io/library/nginx:latest`.
impl Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.with_suffix(self.full_repository()))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Reference, D::Error> {
        Reference::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The registry and the repository of a name.
fn split(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" || host.chars().any(|c| c.is_ascii_uppercase()) => {
            (if host == OLD_HUB { HUB } else { host }, rest)
        }
        _ => (HUB, name),
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = address.map_or_else(|| host.split('.').all(label), |v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    host && port.is_none_or(|port| port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// Whether a text is a path component of a repository: runs of letters and digits, and one separator between two of them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let (first, last) = (text.chars().next(), text.chars().next_back());
    let separators = text.split(is_word).filter(|separator| !separator.is_empty());
    let valid = |separator: &str| matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-');
    first.is_some_and(is_word) && last.is_some_and(is_word) && separators.into_iter().all(valid)
}

pub fn is_tag(text: &str) -> bool {
    (1..=LONGEST_TAG).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Whether a name could not be told from an image's id.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, full, familiar) in [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            (
                "index.docker.io/library/nginx",
                "docker.io/library/nginx:latest",
                "nginx:latest",
            ),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x/y:1", "localhost:5000/x/y:1", "localhost:5000/x/y:1"),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
            (
                "ghcr.io/a/b-c__d.e/f",
                "ghcr.io/a/b-c__d.e/f:latest",
                "ghcr.io/a/b-c__d.e/f:latest",
            ),
            ("UP/x", "UP/x:latest", "UP/x:latest"),
            ("a--b", "docker.io/library/a--b:latest", "a--b:latest"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(
                (reference.to_string().as_str(), reference.familiar().as_str()),
                (full, familiar)
            );
            assert_eq!(Reference::parse(full).unwrap(), reference);
            assert_eq!(Reference::parse(familiar).unwrap(), reference);
        }
    }

    #[test]
    fn a_repository_has_many_tags() {
        for (text, alone) in [
            ("nginx", true),
            ("localhost:5000/x", true),
            ("nginx:latest", false),
            ("localhost:5000/x:1", false),
            ("x@sha256:1", false),
        ] {
            assert_eq!(Reference::is_repository(text), alone, "{text}");
        }
        let nginx = Reference::parse("nginx").unwrap();
        let old = nginx.tagged("1.0").unwrap();
        assert_eq!(old.familiar(), "nginx:1.0");
        assert!(old.is_of_repository_of(&nginx) && !old.is_of_repository_of(&Reference::parse("me/nginx").unwrap()));
        assert_eq!(nginx.tagged("../x"), None);
    }

    #[test]
    fn digests_take_the_place_of_the_usual_tag() {
        let by_digest = Reference::parse(&format!("nginx@sha256:{HEX}")).unwrap();
        assert_eq!((by_digest.tag(), by_digest.wanted()), (None, format!("sha256:{HEX}")));
        let both = Reference::parse(&format!("nginx:1@sha256:{HEX}")).unwrap();
        assert_eq!((both.tag(), both.wanted()), (Some("1"), format!("sha256:{HEX}")));
        assert_eq!(both.at(both.digest().unwrap()), by_digest);
        assert_eq!(both.essential(), by_digest);
        let by_tag = Reference::parse("nginx:1").unwrap();
        assert_eq!(by_tag.essential(), by_tag);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        for text in [
            "",
            ":",
            "@",
            "/x",
            "x/",
            "a//b",
            "UPPER",
            "a/Upper",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:",
            "a:-t",
            "a:t:u",
            "a b",
            "../etc",
            "a/../b",
            "é",
            "a@sha256:12",
            "a@sha512:12",
            "host.:5000/x",
            "host.a:port/x",
            "a.b:99999/x",
            HEX,
            &long,
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
