//! `tinydock system enable`, `disable`, `start` and `stop`

use super::{Command, print, report, tidy_all, warn};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Flag, Order, Parsed, switch};

const ENABLE_FLAGS: [Flag; 1] = [switch("print", None, "Only print the unit")];

pub const ENABLE: Command = command(
    "system enable",
    "[--print]",
    "Have systemd start containers with the host, as their restart policies say",
    &ENABLE_FLAGS,
    enable,
);
pub const DISABLE: Command = command("system disable", "", "Have systemd start none", &[], disable);
pub const START: Command = command(
    "system start",
    "",
    "Start the containers that are to run when the host does",
    &[],
    start,
);
pub const STOP: Command = command(
    "system stop",
    "",
    "Stop all containers, as before the host goes down",
    &[],
    stop,
);

const fn command(
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    flags: &'static [Flag],
    run: fn(&Engine, Parsed) -> Result<u8>,
) -> Command {
    Command {
        name,
        usage,
        summary,
        flags,
        order: Order::Mixed,
        arguments: (0, 0),
        failure: 1,
        run,
    }
}

fn enable(engine: &Engine, parsed: Parsed) -> Result<u8> {
    if parsed.is_set("print") {
        return print(engine.unit()?).map(|()| 0);
    }
    print(format!("{}\n", engine.enable()?.display())).map(|()| 0)
}

fn disable(engine: &Engine, _: Parsed) -> Result<u8> {
    print(format!("{}\n", engine.disable()?.display())).map(|()| 0)
}

fn start(engine: &Engine, _: Parsed) -> Result<u8> {
    tidy_all(engine);
    let mut told = Told::default();
    engine.start_all(|container, done| told.tell(container.name(), done), warn)?;
    told.status()
}

fn stop(engine: &Engine, _: Parsed) -> Result<u8> {
    let mut told = Told::default();
    engine.stop_all(|container, done| told.tell(container.name(), done))?;
    told.status()
}

/// What was told about several containers.
#[derive(Default)]
struct Told {
    failed: bool,
    unwritten: Option<crate::error::Error>,
}

impl Told {
    fn tell(&mut self, name: &str, done: Result<()>) {
        match done {
            Ok(()) => self.unwritten = print(format!("{name}\n")).err().or(self.unwritten.take()),
            Err(error) => {
                report(&error);
                self.failed = true;
            }
        }
    }

    fn status(self) -> Result<u8> {
        self.unwritten.map_or(Ok(u8::from(self.failed)), Err)
    }
}
