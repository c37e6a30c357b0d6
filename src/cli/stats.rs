//! `tinydock stats`: what containers use, each second anew.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::thread::sleep;
use std::time::Duration;

use super::listing::{FORMAT, Format, Listing, NO_TRUNC};
use super::table::{binary_bytes, decimal_bytes};
use super::template::Value;
use super::{Command, MANY, print, report, tidy};
use crate::engine::{Container, Engine, Usage};
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 4] = [
    switch("all", Some(b'a'), "Also those that do not run"),
    switch("no-stream", None, "Print it once"),
    NO_TRUNC,
    FORMAT,
];

pub const COMMAND: Command = Command {
    name: "stats",
    usage: "[FLAGS] [CONTAINER...]",
    summary: "Show what containers use",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, MANY),
    failure: 1,
    run,
};

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "{{.ID}}",
    headings: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
};

/// How often it is shown anew, and what processor time is measured over if it is shown once.
const INTERVAL: Duration = Duration::from_secs(1);
const ONCE: Duration = Duration::from_millis(250);

/// Puts the cursor in the first place of the screen, and forgets what is behind it at the end of each line and after the last.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K\n";
const REST_OF_SCREEN: &str = "\x1b[J";

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let shown = Shown {
        names: parsed.arguments.iter().map(|name| name.display().to_string()).collect(),
        all: parsed.is_set("all"),
        full: parsed.is_set("no-trunc"),
        format: LISTING.format(&parsed)?,
    };
    let once = parsed.is_set("no-stream");
    let mut before = measure(engine, &shown.containers(engine)?)?;
    let clears = !once && stdout().is_terminal();
    loop {
        sleep(if once { ONCE } else { INTERVAL });
        let containers = shown.containers(engine)?;
        if containers.is_empty() && !shown.names.is_empty() {
            return Ok(0);
        }
        let now = measure(engine, &containers)?;
        let text = shown.text(&containers, &before, &now)?;
        if clears {
            print(format!("{HOME}{}{REST_OF_SCREEN}", text.replace('\n', REST_OF_LINE)))?;
        } else {
            print(text)?;
        }
        if once {
            return Ok(0);
        }
        before = now;
    }
}

/// What containers use now, by their ids.
fn measure(engine: &Engine, containers: &[(String, Container)]) -> Result<BTreeMap<String, Usage>> {
    let mut usages = BTreeMap::new();
    for (_, container) in containers {
        if let Some(usage) = engine.usage(container)? {
            usages.insert(container.id().to_string(), usage);
        }
    }
    Ok(usages)
}

/// What the user wants to see.
struct Shown {
    /// None means all that run.
    names: Vec<String>,
    all: bool,
    full: bool,
    format: Format,
}

impl Shown {
    /// The containers, with what the user calls them. Those that are named must be there at first; later they may be gone.
    fn containers(&self, engine: &Engine) -> Result<Vec<(String, Container)>> {
        if self.names.is_empty() {
            let listed = engine.list(self.all, |error| report(&error))?;
            let ids = listed.iter().map(|one| one.brief.id.to_string());
            // One that is gone meanwhile has nothing to show.
            return Ok(ids
                .filter_map(|id| engine.find(&id).ok().map(|container| (id, container)))
                .collect());
        }
        self.names.iter().map(|name| Ok((name.clone(), engine.find(name)?))).collect()
    }

    fn text(
        &self,
        containers: &[(String, Container)],
        before: &BTreeMap<String, Usage>,
        now: &BTreeMap<String, Usage>,
    ) -> Result<String> {
        let lines = containers.iter().map(|(asked, container)| {
            let id = container.id().as_str();
            self.line(asked, container, before.get(id), now.get(id))
        });
        self.format.show(lines)
    }

    fn line(&self, asked: &str, container: &Container, before: Option<&Usage>, now: Option<&Usage>) -> Value {
        let id = container.id();
        let percent = |percent: f64| format!("{percent:.2}%");
        let cpu = before.zip(now).map_or(0.0, |(before, now)| now.cpu_percent(before));
        let pair = |pair: Option<[u64; 2]>, spell: fn(u64) -> String| {
            let [one, other] = pair.unwrap_or_default();
            format!("{} / {}", spell(one), spell(other))
        };
        let id = if self.full { id.to_string() } else { id.short().to_string() };
        Value::Object(vec![
            ("BlockIO", pair(now.map(|now| now.block), decimal_bytes).into()),
            ("CPUPerc", percent(cpu).into()),
            ("Container", asked.into()),
            ("ID", id.into()),
            ("MemPerc", percent(now.map_or(0.0, Usage::memory_percent)).into()),
            ("MemUsage", pair(now.map(|now| [now.memory, now.limit]), binary_bytes).into()),
            ("Name", container.name().into()),
            ("NetIO", pair(now.map(|now| now.network), decimal_bytes).into()),
            ("PIDs", now.map_or(0, |now| now.pids).to_string().into()),
        ])
    }
}
