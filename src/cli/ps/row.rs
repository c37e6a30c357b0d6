//! What `ps` says about a container: the fields of its formats, as Docker spells them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::cli::listing::Format;
use crate::cli::table::decimal_bytes;
use crate::cli::template::Value;
use crate::cli::units;
use crate::engine::watch::Health;
use crate::engine::{Engine, Listed, Started, State};
use crate::error::Result;
use crate::flags::Parsed;
use crate::layer::{Mount, Source};
use crate::network::{Mode, Port};
use crate::store::clock;

/// How much of a command, and of a mount's name, is shown.
const COMMAND: usize = 20;
const MOUNT: usize = 15;

/// What makes rows for a format.
pub struct Rows<'a> {
    engine: &'a Engine,
    format: &'a Format,
    full: bool,
    now: Duration,
    /// The sizes of images that were looked up.
    images: RefCell<HashMap<String, u64>>,
}

impl Rows<'_> {
    pub fn new<'a>(engine: &'a Engine, format: &'a Format, parsed: &Parsed) -> Rows<'a> {
        Rows {
            engine,
            format,
            full: parsed.is_set("no-trunc"),
            now: clock::since_1970(),
            images: RefCell::default(),
        }
    }

    /// A container's fields, in the order of Docker's JSON. Those that take a look elsewhere are empty unless they are mentioned.
    pub fn row(&self, listed: &Listed) -> Result<Value> {
        let brief = &listed.brief;
        let mentions = |field: &str| self.format.mentions(field);
        let health = if mentions("Status") || mentions("HealthStatus") {
            listed.health()?
        } else {
            None
        };
        let ports = if mentions("Ports") {
            listed.endpoint()?.map(|endpoint| ports(&endpoint.ports, &brief.exposed))
        } else {
            None
        };
        let size = if mentions("Size") { self.size(listed)? } else { String::new() };
        let mounts = brief.mounts.iter().filter_map(|mount| self.mount(mount));
        let volumes = brief.mounts.iter().filter(|mount| mount.volume().is_some());
        let labels = brief.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let network = match &brief.network {
            Mode::None => "none",
            Mode::Host => "host",
            Mode::Bridge(name) => name,
        };
        let image = brief
            .image
            .strip_suffix(":latest")
            .filter(|_| !self.full)
            .unwrap_or(&brief.image);
        let created = format!("{} +0000 UTC", clock::show(brief.created));
        Ok(Value::Object(vec![
            ("Command", self.command(listed).into()),
            ("CreatedAt", created.into()),
            ("HealthStatus", health_name(&listed.state, health.as_ref()).into()),
            ("ID", self.id(listed).into()),
            ("Image", image.into()),
            ("Label", Value::Lookup(brief.labels.clone())),
            ("Labels", labels.collect::<Vec<_>>().join(",").into()),
            ("LocalVolumes", volumes.count().to_string().into()),
            ("Mounts", mounts.collect::<Vec<_>>().join(",").into()),
            ("Names", brief.name.clone().into()),
            ("Networks", network.into()),
            ("Ports", ports.unwrap_or_default().into()),
            (
                "RunningFor",
                format!("{} ago", self.passed(Duration::from_secs(brief.created))).into(),
            ),
            ("Size", size.into()),
            ("State", listed.state.name().into()),
            ("Status", self.status(&listed.state, health.as_ref()).into()),
        ]))
    }

    fn id(&self, listed: &Listed) -> String {
        let id = &listed.brief.id;
        if self.full { id.to_string() } else { id.short().to_string() }
    }

    /// The command in quotation marks. Words with spaces have some of their own.
    fn command(&self, listed: &Listed) -> String {
        let words = listed.brief.arguments().enumerate().map(|(n, word)| match word.to_string() {
            word if n > 0 && word.contains(' ') => format!("'{word}'"),
            word => word,
        });
        let words = words.collect::<Vec<_>>().join(" ");
        quoted(&if self.full { words } else { shortened(&words, COMMAND) })
    }

    /// What a mount is called in lists: its volume or its source. File systems in memory have no name.
    fn mount(&self, mount: &Mount) -> Option<String> {
        let name = match &mount.source {
            Source::Bind(host) => host.path.to_string(),
            Source::Volume(volume) => volume.name.clone(),
            Source::Image(image) => image.name.clone(),
            Source::Tmpfs(_) => return None,
        };
        Some(if self.full { name } else { shortened(&name, MOUNT) })
    }

    /// How much it has written, and with the image.
    fn size(&self, listed: &Listed) -> Result<String> {
        let own = listed.size()?;
        let image = *self
            .images
            .borrow_mut()
            .entry(listed.brief.image.clone())
            .or_insert_with(|| self.engine.layers_size(&listed.brief.layers));
        let shown = decimal_bytes(own);
        Ok(match image {
            0 => shown,
            image => format!("{shown} (virtual {})", decimal_bytes(own + image)),
        })
    }

    fn passed(&self, then: Duration) -> String {
        units::duration(self.now.saturating_sub(then).as_secs())
    }

    fn status(&self, state: &State, health: Option<&Health>) -> String {
        let passed = |at: &str| clock::parse(at).map_or_else(String::new, |at| self.passed(at));
        let up = |started: &Started| format!("Up {}", passed(&started.at));
        match state {
            State::Created => "Created".into(),
            State::Running(started) => match health.map(|health| health.status.name()) {
                None => up(started),
                Some("starting") => format!("{} (health: starting)", up(started)),
                Some(health) => format!("{} ({health})", up(started)),
            },
            State::Paused(started) => format!("{} (Paused)", up(started)),
            State::Restarting(exit) => format!("Restarting ({}) {} ago", exit.code, passed(&exit.finished)),
            State::Exited(exit) => format!("Exited ({}) {} ago", exit.code, passed(&exit.finished)),
        }
    }
}

/// Docker's word for a state of health: `none` if nobody checks it.
pub fn health_name(state: &State, health: Option<&Health>) -> &'static str {
    match (state, health) {
        (State::Running(_) | State::Paused(_), Some(health)) => health.status.name(),
        _ => "none",
    }
}

/// The first letters of a text that is too long.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A text in quotation marks, as Go quotes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Ports as lists show them: those that are published and follow each other, and are the same on both sides, as a range; those that
/// are only exposed; and the other ones that are published.
fn ports(ports: &[Port], exposed: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| (port.container, port.address, port.host, port.protocol.number()));
    let mut ranges: Vec<(&Port, u16)> = Vec::new();
    let (mut shown, mut others) = (Vec::new(), Vec::new());
    for port in sorted {
        if port.host != port.container {
            others.push(port.to_string());
            continue;
        }
        let same = |(first, _): &&mut (&Port, u16)| (first.address, first.protocol) == (port.address, port.protocol);
        match ranges.iter_mut().find(same) {
            None => ranges.push((port, port.container)),
            Some((_, last)) if *last + 1 == port.container => *last = port.container,
            Some(range) => {
                shown.push(spell(range));
                *range = (port, port.container);
            }
        }
    }
    shown.extend(ranges.iter().map(spell));
    shown.extend(only_exposed(ports, exposed));
    shown.extend(others);
    shown.join(", ")
}

/// The ports that are exposed and not published. Those that follow each other are a range.
fn only_exposed(published: &[Port], exposed: &[Port]) -> Vec<String> {
    let is_published = |port: &&Port| published.iter().any(|other| other.within() == port.within());
    let mut left: Vec<&Port> = exposed.iter().filter(|port| !is_published(port)).collect();
    left.sort_by_key(|port| (port.container, port.protocol.number()));
    left.dedup_by_key(|port| port.within());
    let ranges = left.chunk_by(|one, next| one.protocol == next.protocol && one.container + 1 == next.container);
    let spell = |range: &[&Port]| match range {
        [only] => format!("{}/{}", only.container, only.protocol),
        range => format!(
            "{}-{}/{}",
            range[0].container,
            range[range.len() - 1].container,
            range[0].protocol
        ),
    };
    ranges.map(spell).collect()
}

fn spell((first, last): &(&Port, u16)) -> String {
    if first.container == *last {
        return first.to_string();
    }
    let address = first.address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
    let range = format!("{}-{last}", first.container);
    format!("{address}:{range}->{range}/{}", first.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_follow_each_other_are_a_range() {
        for (published, shown) in [
            (vec!["8080:80"], "0.0.0.0:8080->80/tcp"),
            (vec!["8001:8001", "8000:8000"], "0.0.0.0:8000-8001->8000-8001/tcp"),
            (
                vec!["8000:8000", "8002:8002"],
                "0.0.0.0:8000->8000/tcp, 0.0.0.0:8002->8002/tcp",
            ),
            (vec!["9000-9001:80-81"], "0.0.0.0:9000->80/tcp, 0.0.0.0:9001->81/tcp"),
            (
                vec!["53:53/udp", "127.0.0.1:53:53"],
                "0.0.0.0:53->53/udp, 127.0.0.1:53->53/tcp",
            ),
            (vec![], ""),
        ] {
            let published: Vec<Port> = published.iter().flat_map(|port| Port::parse(port).unwrap()).collect();
            assert_eq!(ports(&published, &[]), shown);
        }
        let parse = |text: &str| Port::parse(text).unwrap();
        let exposed = [parse("53/udp"), parse("444"), parse("443"), parse("443"), parse("80")].concat();
        assert_eq!(
            ports(&parse("8080:80"), &exposed),
            "53/udp, 443-444/tcp, 0.0.0.0:8080->80/tcp"
        );
    }

    #[test]
    fn commands_are_quoted_and_shortened() {
        for (text, shown) in [
            ("sleep 1", "\"sleep 1\""),
            ("a\n\"b\"\\", "\"a\\n\\\"b\\\"\\\\\""),
            ("\u{1b}é", "\"\\x1bé\""),
        ] {
            assert_eq!(quoted(text), shown);
        }
        assert_eq!(shortened("01234567890123456789", 20), "01234567890123456789");
        assert_eq!(shortened("012345678901234567890", 20), "0123456789012345678…");
    }
}
