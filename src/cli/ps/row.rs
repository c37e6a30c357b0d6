//! What `ps` says about a container: the fields of its formats, as Docker spells them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use super::ports;
use crate::cli::listing::Format;
use crate::cli::table::decimal_bytes;
use crate::cli::template::Value;
use crate::cli::units;
use crate::engine::watch::Health;
use crate::engine::{Brief, Engine, Listed, Started, State};
use crate::error::Result;
use crate::flags::Parsed;
use crate::layer::{Mount, Source};
use crate::network::Mode;
use crate::store::clock;

/// How much of a command, and of a mount's name, is shown.
const COMMAND: usize = 20;
const MOUNT: usize = 15;

/// What makes a field of a container whose health is known if any field is about that.
type Make = fn(&Rows, &Listed, Option<&Health>) -> Result<Value>;

/// The fields, in the order of Docker's JSON.
const FIELDS: [(&str, Make); 16] = [
    ("Command", |rows, listed, _| Ok(rows.command(listed).into())),
    ("CreatedAt", |_, listed, _| {
        Ok(format!("{} +0000 UTC", clock::show(listed.brief.created)).into())
    }),
    ("HealthStatus", |_, listed, health| {
        Ok(health_name(&listed.state, health).into())
    }),
    ("ID", |rows, listed, _| Ok(rows.id(listed).into())),
    ("Image", |rows, listed, _| Ok(rows.image(&listed.brief).into())),
    ("Label", |_, listed, _| Ok(Value::Lookup(listed.brief.labels.clone()))),
    ("Labels", |_, listed, _| Ok(labels(&listed.brief).into())),
    ("LocalVolumes", |_, listed, _| Ok(volumes(&listed.brief).to_string().into())),
    ("Mounts", |rows, listed, _| Ok(rows.mounts(&listed.brief).into())),
    ("Names", |_, listed, _| Ok(listed.brief.name.clone().into())),
    ("Networks", |_, listed, _| Ok(network(&listed.brief).into())),
    ("Ports", |_, listed, _| Ok(published(listed)?.into())),
    ("RunningFor", |rows, listed, _| Ok(rows.age(&listed.brief).into())),
    ("Size", |rows, listed, _| Ok(rows.size(listed)?.into())),
    ("State", |_, listed, _| Ok(listed.state.name().into())),
    ("Status", |rows, listed, health| Ok(rows.status(&listed.state, health).into())),
];

/// What makes rows for a format.
pub struct Rows<'a> {
    engine: &'a Engine,
    /// The fields that the format mentions.
    mentioned: Vec<(&'static str, Make)>,
    tells_health: bool,
    full: bool,
    now: Duration,
    /// The sizes of images that were looked up.
    images: RefCell<HashMap<String, u64>>,
}

impl Rows<'_> {
    pub fn new<'a>(engine: &'a Engine, format: &Format, parsed: &Parsed) -> Rows<'a> {
        Rows {
            engine,
            mentioned: FIELDS.into_iter().filter(|(name, _)| format.mentions(name)).collect(),
            tells_health: format.mentions("Status") || format.mentions("HealthStatus"),
            full: parsed.is_set("no-trunc"),
            now: clock::since_1970(),
            images: RefCell::default(),
        }
    }

    /// A container's fields that are mentioned. Some take a look elsewhere.
    pub fn row(&self, listed: &Listed) -> Result<Value> {
        let health = match self.tells_health {
            true => listed.health()?,
            false => None,
        };
        let field = |(name, make): &(&'static str, Make)| Ok((*name, make(self, listed, health.as_ref())?));
        Ok(Value::Object(self.mentioned.iter().map(field).collect::<Result<_>>()?))
    }

    fn image<'b>(&self, brief: &'b Brief) -> &'b str {
        let short = brief.image.strip_suffix(":latest").filter(|_| !self.full);
        short.unwrap_or(&brief.image)
    }

    fn mounts(&self, brief: &Brief) -> String {
        let names = brief.mounts.iter().filter_map(|mount| self.mount(mount));
        names.collect::<Vec<_>>().join(",")
    }

    fn age(&self, brief: &Brief) -> String {
        format!("{} ago", self.passed(Duration::from_secs(brief.created)))
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

fn labels(brief: &Brief) -> String {
    let labels = brief.labels.iter().map(|(name, value)| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(",")
}

fn volumes(brief: &Brief) -> usize {
    brief.mounts.iter().filter(|mount| mount.volume().is_some()).count()
}

fn network(brief: &Brief) -> &str {
    match &brief.network {
        Mode::None => "none",
        Mode::Host => "host",
        Mode::Bridge(name) => name,
    }
}

/// The ports of a container that runs.
fn published(listed: &Listed) -> Result<String> {
    let endpoint = listed.endpoint()?;
    Ok(endpoint.map_or_else(String::new, |endpoint| ports::spell(&endpoint.ports, &listed.brief.exposed)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
