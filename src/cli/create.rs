//! `tinydock create`

use super::{Command, MANY, container, print, run, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "create",
    usage: "[FLAGS] IMAGE [COMMAND [ARGUMENT...]]",
    summary: "Create a container without starting it, and print its id",
    flags: &container::FLAGS,
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 1,
    run: create,
};

fn create(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let options = run::options(&parsed)?;
    let file = run::IdFile::make(&parsed)?;
    let (container, _) = engine.create(options, parsed.text("name")?, parsed.text("hostname")?, false)?;
    file.write(container.id())?;
    engine.tell(&container, "create");
    print(format!("{}\n", container.id())).map(|()| 0)
}
