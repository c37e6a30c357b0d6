//! Events: what has happened to containers, as lines of JSON in a file of the run directory. Whoever changes something appends a line;
//! whoever wants to know reads them and waits for more.
//!
//! The lines are as Docker's API has them. Two files are kept, of which the older one goes when the newer one is full.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use rustix::fs::inotify;
use serde::{Deserialize, Serialize};

use super::{Container, Engine};
use crate::error::{Doing, Error, Result};
use crate::store::{Id, Store, clock};

/// Something that happened (moby, `events.Message`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: Actor,
    pub scope: String,
    /// In seconds since 1970.
    pub time: u64,
    #[serde(rename = "timeNano")]
    pub time_nano: u64,
}

/// To whom it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// How large the newer file becomes.
const FULL: u64 = 1 << 20;

const FILES: [&str; 2] = ["events.old", "events"];

/// Writes down that something happened. That this fails is no reason not to do it.
pub fn tell(store: &Store, kind: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) {
    let now = clock::since_1970();
    let event = Event {
        kind: kind.into(),
        action: action.into(),
        actor: Actor {
            id: id.into(),
            attributes,
        },
        scope: "local".into(),
        time: now.as_secs(),
        time_nano: now.as_nanos() as u64,
    };
    let _ = append(store, &event);
}

/// Writes down that something happened to a container, with what more is to be said.
pub fn tell_of(store: &Store, container: &Container, action: &str, more: &[(&str, String)]) {
    let options = &container.spec.options;
    let mut attributes = options.labels.clone();
    attributes.insert("image".into(), options.image.clone());
    attributes.insert("name".into(), container.name().into());
    attributes.extend(more.iter().map(|(name, value)| (name.to_string(), value.clone())));
    tell(store, "container", action, container.id().as_str(), attributes);
}

/// What is told of an end, and no property of a container.
const OF_AN_END: [&str; 4] = ["exitCode", "execDuration", "signal", "oldName"];

/// Writes down that a container is gone of which there are no records any more, if others were told of it, but not of that. What was
/// told is all that is known of it.
pub fn tell_left_destroy(store: &Store, id: &Id) {
    let read = |name| fs::read(store.run().join(name)).unwrap_or_default();
    // The newer one first: whatever is in it while it is read is in one of them then.
    let [older, newer] = FILES;
    let newer = read(newer);
    let text = [read(older), newer].concat();
    let parse = |line: &[u8]| serde_json::from_slice::<Event>(line).ok();
    let is_meant = |event: &Event| event.kind == "container" && event.actor.id == id.as_str();
    let lines = text.split(|byte| *byte == b'\n');
    let told: Vec<Event> = lines.filter_map(parse).filter(is_meant).collect();
    let (Some(first), Some(last)) = (told.first(), told.last()) else {
        return;
    };
    if told.iter().all(|event| event.action != "destroy") {
        // Later ones are about more than the container, but have the name that it had in the end.
        let mut attributes = first.actor.attributes.clone();
        let name = last.actor.attributes.get_key_value("name");
        attributes.extend(name.map(|(key, name)| (key.clone(), name.clone())));
        attributes.retain(|key, _| !OF_AN_END.contains(&key.as_str()));
        tell(store, "container", "destroy", id.as_str(), attributes);
    }
}

/// Appends a line in one write, so that lines of several processes do not mix.
fn append(store: &Store, event: &Event) -> Result<()> {
    let directory = store.run_directory("")?;
    let path = directory.join(FILES[1]);
    let mut line = serde_json::to_vec(event).map_err(Error::system)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    file.write_all(&line)?;
    if file.metadata()?.len() > FULL {
        // Who comes first renames it; whoever has it open still appends to the older one.
        let _lock = store.lock()?;
        if fs::metadata(&path).is_ok_and(|now| now.len() > FULL) {
            fs::rename(&path, directory.join(FILES[0]))?;
        }
    }
    Ok(())
}

/// Reads what has happened, and waits for what will.
pub struct Reader {
    store: Store,
    file: Option<File>,
    rest: Vec<u8>,
    watch: rustix::fd::OwnedFd,
}

impl Engine {
    /// Writes down that something happened to a container.
    pub fn tell(&self, container: &Container, action: &str) {
        tell_of(&self.store, container, action, &[]);
    }

    /// Reads events: all that are remembered, or only those to come.
    pub fn events(&self, remembered: bool) -> Result<Reader> {
        let directory = self.store.run_directory("")?;
        let doing = || format!("watch `{}`", directory.display());
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).doing(doing)?;
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_FROM | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watch, &directory, flags).doing(doing)?;
        let mut reader = Reader {
            store: self.store.clone(),
            file: None,
            rest: Vec::new(),
            watch,
        };
        if remembered {
            reader.rest = fs::read(directory.join(FILES[0])).unwrap_or_default();
        } else if reader.open() {
            let end = reader.file.as_mut().map_or(Ok(0), |file| file.seek(SeekFrom::End(0)));
            end.doing(doing)?;
        }
        Ok(reader)
    }
}

impl Reader {
    /// The next event, if there is one before `until`.
    pub fn next(&mut self, until: Option<Instant>) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            if self.read()? {
                continue;
            }
            let time = until.map(|until| until.saturating_duration_since(Instant::now()));
            if time == Some(Duration::ZERO) {
                return Ok(None);
            }
            if super::stop::wait(self.watch.as_fd(), time).doing(|| "wait for events")? {
                let _ = rustix::io::read(&self.watch, &mut [0u8; 4096]);
            }
        }
    }

    /// The first event of what was read. A line that is none is passed over.
    fn take(&mut self) -> Option<Event> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if let Ok(event) = serde_json::from_slice(&line) {
                return Some(event);
            }
        }
        None
    }

    /// Reads what is new. Returns whether there was something.
    fn read(&mut self) -> Result<bool> {
        if self.file.is_none() && !self.open() {
            return Ok(false);
        }
        let Some(file) = &mut self.file else { return Ok(false) };
        let length = file.read_to_end(&mut self.rest).doing(|| "read events")?;
        if length > 0 {
            return Ok(true);
        }
        // It may have become the older one; the newer one begins where it ended.
        let newer = self.store.run().join(FILES[1]);
        let is_other = fs::metadata(newer).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() != now.ino()));
        if is_other {
            self.file = None;
        }
        Ok(is_other)
    }

    fn open(&mut self) -> bool {
        self.file = File::open(self.store.run().join(FILES[1])).ok();
        self.file.is_some()
    }
}
