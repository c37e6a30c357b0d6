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

    /// A container's fields, in the order of Docker's JSON: those that are mentioned. Some take a look elsewhere.
    pub fn row(&self, listed: &Listed) -> Result<Value> {
        let brief = &listed.brief;
        let mentions = |field: &str| self.format.mentions(field);
        let health = match mentions("Status") || mentions("HealthStatus") {
            true => listed.health()?,
            false => None,
        };
        let fields: [(&'static str, &dyn Fn() -> Result<Value>); 16] = [
            ("Command", &|| Ok(self.command(listed).into())),
            (
                "CreatedAt",
                &|| Ok(format!("{} +0000 UTC", clock::show(brief.created)).into()),
            ),
            ("HealthStatus", &|| Ok(health_name(&listed.state, health.as_ref()).into())),
            ("ID", &|| Ok(self.id(listed).into())),
            ("Image", &|| Ok(self.image(brief).into())),
            ("Label", &|| Ok(Value::Lookup(brief.labels.clone()))),
            ("Labels", &|| Ok(labels(brief).into())),
            ("LocalVolumes", &|| Ok(volumes(brief).to_string().into())),
            ("Mounts", &|| Ok(self.mounts(brief).into())),
            ("Names", &|| Ok(brief.name.clone().into())),
            ("Networks", &|| Ok(network(brief).into())),
            ("Ports", &|| Ok(published(listed)?.into())),
            ("RunningFor", &|| Ok(self.age(brief).into())),
            ("Size", &|| Ok(self.size(listed)?.into())),
            ("State", &|| Ok(listed.state.name().into())),
            ("Status", &|| Ok(self.status(&listed.state, health.as_ref()).into())),
        ];
        let mentioned = fields.into_iter().filter(|(name, _)| mentions(name));
        let fields = mentioned.map(|(name, make)| Ok((name, make()?)));
        Ok(Value::Object(fields.collect::<Result<_>>()?))
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
