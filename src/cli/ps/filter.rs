//! Which containers `ps --filter` means.

use super::row;
use crate::cli::filter::Filters;
use crate::cli::pattern::Pattern;
use crate::engine::{Engine, Listed, State};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::image::Image;
use crate::network::{Mode, Port, Protocol};
use crate::store::Id;

const KEYS: [&str; 15] = [
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "label!", "name", "network", "publish", "since",
    "status", "volume",
];

const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// The filters of a command line, read and looked up.
pub struct Filter {
    filters: Filters,
    names: Vec<Pattern>,
    ids: Vec<Pattern>,
    exited: Vec<i32>,
    ancestors: Vec<(String, Option<Image>)>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
    /// When the containers were created that others are before or since.
    before: Vec<Created>,
    since: Vec<Created>,
    is_task: Option<bool>,
}

/// When a container was created, in seconds since 1970 and nanoseconds.
type Created = (u64, u32);

/// A port or a range of ports, and its protocol.
#[derive(Debug, PartialEq)]
struct Ports {
    first: u16,
    last: u16,
    protocol: Protocol,
}

impl Ports {
    fn parse(text: &str) -> Result<Ports> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let protocol = match protocol {
            "tcp" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        };
        match (first.parse(), last.parse(), protocol) {
            (Ok(first), Ok(last), Some(protocol)) if first <= last => Ok(Ports { first, last, protocol }),
            _ => Err(Error::invalid("it is no port, such as `80`, `53/udp` or `8000-8010`")),
        }
    }

    fn has(&self, port: u16, protocol: Protocol) -> bool {
        self.protocol == protocol && (self.first..=self.last).contains(&port)
    }
}

fn one_of(words: &'static [&'static str]) -> impl Fn(&str) -> Result<()> {
    move |value| match words.contains(&value) {
        true => Ok(()),
        false => Err(Error::invalid(format!("it is one of {}", words.join(", ")))),
    }
}

impl Filter {
    pub fn parse(engine: &Engine, parsed: &Parsed) -> Result<Filter> {
        let filters = Filters::parse(parsed, &KEYS)?;
        let created = |text: &str| {
            let spec = engine.find(text)?.spec;
            Ok((spec.created, spec.created_nanos))
        };
        let exited = |text: &str| text.parse::<i32>().map_err(|_| Error::invalid("it is no exit status"));
        filters.read("status", one_of(&STATES))?;
        filters.read("health", one_of(&HEALTH))?;
        let ancestors = filters.all("ancestor").map(|text| (text.to_string(), engine.ancestor(text)));
        Ok(Filter {
            names: filters.read("name", Pattern::parse)?,
            ids: filters.read("id", Pattern::parse)?,
            exited: filters.read("exited", exited)?,
            ancestors: ancestors.collect(),
            published: filters.read("publish", Ports::parse)?,
            exposed: filters.read("expose", Ports::parse)?,
            before: filters.read("before", created)?,
            since: filters.read("since", created)?,
            is_task: filters.truth("is-task")?,
            filters,
        })
    }

    /// Whether containers are meant that do not run, though nobody asked for all.
    pub fn wants_all(&self) -> bool {
        self.filters.has("status")
    }

    /// Keeps those that all filters mean.
    pub fn keep(&self, listed: &mut Vec<Listed>) -> Result<()> {
        let meant = listed.iter().map(|one| self.means(one)).collect::<Result<Vec<bool>>>()?;
        let mut meant = meant.into_iter();
        listed.retain(|_| meant.next().unwrap_or(false));
        Ok(())
    }

    fn means(&self, listed: &Listed) -> Result<bool> {
        let brief = &listed.brief;
        let created = (brief.created, brief.created_nanos);
        let named = |pattern: &Pattern| pattern.is_in(&brief.name) || pattern.is_in(&format!("/{}", brief.name));
        let code = match &listed.state {
            State::Exited(exit) => Some(exit.code),
            _ => None,
        };
        let filters = &self.filters;
        Ok((self.names.is_empty() || self.names.iter().any(named))
            && (self.ids.is_empty() || self.ids.iter().any(|pattern| pattern.is_in(brief.id.as_str())))
            && (self.exited.is_empty() || self.exited.iter().any(|exited| code == Some(*exited)))
            && self.before.iter().all(|before| created < *before)
            && self.since.iter().all(|since| created > *since)
            && self.is_task != Some(true)
            && filters.any("status", |status| status == listed.state.name())
            && filters.any("volume", |volume| uses_volume(listed, volume))
            && filters.any("network", |network| is_on(&brief.network, network))
            && filters.labels(|name| brief.labels.get(name))
            && (self.ancestors.is_empty()
                || self
                    .ancestors
                    .iter()
                    .any(|(text, image)| comes_from(listed, text, image.as_ref())))
            && self.has_health(listed)?
            && self.has_ports(listed)?)
    }

    fn has_health(&self, listed: &Listed) -> Result<bool> {
        if !self.filters.has("health") {
            return Ok(true);
        }
        let health = listed.health()?;
        let name = row::health_name(&listed.state, health.as_ref());
        Ok(self.filters.any("health", |wanted| wanted == name))
    }

    /// Whether it has one of the ports that are meant, published on the host or of its own.
    fn has_ports(&self, listed: &Listed) -> Result<bool> {
        if self.published.is_empty() && self.exposed.is_empty() {
            return Ok(true);
        }
        let endpoint = listed.endpoint()?;
        let ports = endpoint.as_ref().map_or(&listed.brief.ports, |endpoint| &endpoint.ports);
        let meant = |ports: &[Ports], port, protocol| ports.iter().any(|range| range.has(port, protocol));
        let is_exposed = |port: &Port| meant(&self.exposed, port.container, port.protocol);
        let mut published = ports.iter();
        Ok(
            published.any(|port| meant(&self.published, port.host, port.protocol) || is_exposed(port))
                || listed.brief.exposed.iter().any(is_exposed),
        )
    }
}

/// Whether a container has a volume of this name, or anything at this path.
fn uses_volume(listed: &Listed, volume: &str) -> bool {
    listed
        .brief
        .mounts
        .iter()
        .any(|mount| mount.target.as_bytes() == volume.as_bytes() || mount.volume().is_some_and(|used| used.name == volume))
}

fn is_on(mode: &Mode, network: &str) -> bool {
    match mode {
        Mode::None => network == "none",
        Mode::Host => network == "host",
        Mode::Bridge(name) => name == network,
    }
}

/// Whether a container was made of an image, or of one that was made of it.
fn comes_from(listed: &Listed, text: &str, image: Option<&Image>) -> bool {
    let brief = &listed.brief;
    let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_string();
    let is_id = |text: &str| Id::parse(text).is_some() || crate::store::is_prefix(text);
    let same = match image {
        Some(image) => brief.image_id.as_ref() == Some(&image.id) || brief.layers.starts_with(image.layers()),
        None => false,
    };
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    same || bare(&brief.image) == bare(text)
        || is_id(digits) && brief.image_id.as_ref().is_some_and(|id| id.hex().starts_with(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_ranges_and_protocols() {
        for (text, first, last, protocol) in [
            ("80", 80, 80, Protocol::Tcp),
            ("53/udp", 53, 53, Protocol::Udp),
            ("8000-8010/tcp", 8000, 8010, Protocol::Tcp),
        ] {
            assert_eq!(Ports::parse(text).unwrap(), Ports { first, last, protocol });
        }
        for text in ["x", "80/sctp", "10-9", "", "70000"] {
            assert!(Ports::parse(text).is_err(), "{text}");
        }
    }
}
