//! Where a registry's images may be fetched from: `registries.conf` of the containers tools, in its second version
//! (containers-registries.conf(5)).
//!
//! ```toml
//! [[registry]]
//! prefix = "docker.io/library"          # what names begin with; the location, if it is left out
//! location = "registry.test/hub"        # what takes the prefix's place
//! insecure = false                      # neither certificates nor https are insisted on
//! blocked = false
//!
//! [[registry.mirror]]
//! location = "mirror.test/hub"
//! pull-from-mirror = "all"              # or "digest-only", "tag-only"
//! ```

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Doing, Error, Result};

const FILE: &str = "/etc/containers/registries.conf";
/// Replaces the file, for all tools that read it.
const VARIABLE: &str = "CONTAINERS_REGISTRIES_CONF";

/// What is set about registries. All that is not about fetching images is for other tools.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Settings {
    #[serde(default, rename = "registry")]
    registries: Vec<Registry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    #[serde(rename = "mirror")]
    mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// A place where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host, and its port if one is named.
    pub authority: String,
    pub repository: String,
    /// Whether neither certificates nor https are insisted on.
    pub insecure: bool,
}

impl Settings {
    /// Reads the file and those in the folder beside it, of which the last word about a prefix counts.
    pub fn read() -> Result<Settings> {
        let file = env::var_os(VARIABLE).map_or_else(|| FILE.into(), PathBuf::from);
        let mut settings = Settings::read_file(&file)?;
        let mut folder = file.into_os_string();
        folder.push(".d");
        let mut more: Vec<PathBuf> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
            .collect();
        more.sort();
        for path in more {
            settings.registries.extend(Settings::read_file(&path)?.registries);
        }
        Ok(settings)
    }

    fn read_file(path: &Path) -> Result<Settings> {
        let doing = || format!("registries in `{}`", path.display());
        match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Settings::default()),
            text => Settings::parse(&text.doing(doing)?).doing(doing),
        }
    }

    fn parse(text: &str) -> Result<Settings> {
        toml::from_str(text).map_err(|wrong| Error::invalid(wrong.message()))
    }

    /// Where to look for a repository, in order: its mirrors, and where it is at home.
    pub fn places(&self, registry: &str, repository: &str, by_digest: bool) -> Result<Vec<Place>> {
        let name = format!("{registry}/{repository}");
        let Some(found) = self.find(&name) else {
            return Ok(vec![Place::new(&name, false)]);
        };
        if found.blocked {
            return Err(Error::invalid(format!("registry `{registry}` is blocked"))
                .hint(format!("`{FILE}` or a file in `{FILE}.d` says `blocked = true`")));
        }
        let mut places = Vec::new();
        for mirror in &found.mirrors {
            let wanted = match mirror.pull_from_mirror.as_deref() {
                Some("digest-only") => by_digest,
                Some("tag-only") => !by_digest,
                _ => by_digest || !found.mirror_by_digest_only,
            };
            if wanted {
                places.push(Place::new(&found.rewrite(&name, &mirror.location), mirror.insecure));
            }
        }
        let home = if found.location.is_empty() {
            name.clone()
        } else {
            found.rewrite(&name, &found.location)
        };
        places.push(Place::new(&home, found.insecure));
        Ok(places)
    }

    /// Where a repository is at home: images are pushed nowhere else.
    pub fn home(&self, registry: &str, repository: &str) -> Result<Place> {
        let mut places = self.places(registry, repository, true)?;
        places
            .pop()
            .ok_or_else(|| Error::invalid(format!("registry `{registry}` has no location")))
    }

    /// The entry with the longest prefix that a name has.
    fn find(&self, name: &str) -> Option<&Registry> {
        self.registries
            .iter()
            .filter(|registry| registry.matched(name).is_some())
            .max_by_key(|registry| registry.prefix().len())
    }
}

impl Registry {
    fn prefix(&self) -> &str {
        if self.prefix.is_empty() {
            &self.location
        } else {
            &self.prefix
        }
    }

    /// How much of a name the prefix takes, if it is the name's: whole components, or a host below a domain.
    fn matched(&self, name: &str) -> Option<usize> {
        let prefix = self.prefix();
        if let Some(domain) = prefix.strip_prefix('*').filter(|domain| domain.starts_with('.')) {
            let host = name.split('/').next().unwrap_or_default();
            return host.ends_with(domain).then_some(host.len());
        }
        let rest = name.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
    }

    fn rewrite(&self, name: &str, location: &str) -> String {
        let matched = self.matched(name).unwrap_or(0);
        format!("{}{}", location.trim_end_matches('/'), &name[matched..])
    }
}

impl Place {
    fn new(name: &str, insecure: bool) -> Place {
        let (authority, repository) = name.split_once('/').unwrap_or((name, ""));
        // Docker Hub's registry has another name than its images.
        let authority = if authority == "docker.io" {
            "registry-1.docker.io"
        } else {
            authority
        };
        Place {
            authority: authority.into(),
            repository: repository.into(),
            insecure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.test:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "digests.test"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "docker.io/me"
        location = "home.test/us"
        [[registry]]
        prefix = "*.wild.test"
        blocked = true
        [[registry]]
        location = "loose.test"
        insecure = true
    "#;

    fn places(name: &str, by_digest: bool) -> Vec<String> {
        let (registry, repository) = name.split_once('/').unwrap();
        let places = Settings::parse(TEXT)
            .unwrap()
            .places(registry, repository, by_digest)
            .unwrap();
        let shown = places.iter().map(|place| {
            let mark = if place.insecure { "!" } else { "" };
            format!("{mark}{}/{}", place.authority, place.repository)
        });
        shown.collect()
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        for (name, by_digest, expected) in [
            (
                "docker.io/library/x",
                false,
                vec!["!mirror.test:5000/hub/library/x", "registry-1.docker.io/library/x"],
            ),
            (
                "docker.io/library/x",
                true,
                vec![
                    "!mirror.test:5000/hub/library/x",
                    "digests.test/library/x",
                    "registry-1.docker.io/library/x",
                ],
            ),
            ("docker.io/me/x", false, vec!["home.test/us/x"]),
            (
                "docker.io/men/x",
                true,
                places("docker.io/men/x", true).iter().map(String::as_str).collect(),
            ),
            ("loose.test/x", false, vec!["!loose.test/x"]),
            ("other.test/x", false, vec!["other.test/x"]),
        ] {
            assert_eq!(places(name, by_digest), expected, "{name}");
        }
    }

    #[test]
    fn blocked_registries_are_not_asked() {
        let settings = Settings::parse(TEXT).unwrap();
        assert!(settings.places("a.wild.test", "x", false).is_err());
        assert!(settings.places("wild.test", "x", false).is_ok());
    }

    #[test]
    fn images_are_pushed_home() {
        let settings = Settings::parse(TEXT).unwrap();
        assert_eq!(
            settings.home("docker.io", "library/x").unwrap().authority,
            "registry-1.docker.io"
        );
    }

    #[test]
    fn a_wrong_file_is_an_error() {
        assert!(Settings::parse("[[registry]\n").is_err());
        assert!(Settings::parse("[[registry]]\nlocation = 7\n").is_err());
    }
}
