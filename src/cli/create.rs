//! `tinydock create`

use super::{Command, MANY, container, print, pull, run, tidy};
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
    let called = container::called(&parsed)?;
    let create = || engine.create(options.clone(), called, false);
    let (container, _) = pull::with_image(engine, &parsed, create)?;
    file.write(container.id())?;
    engine.tell(&container, "create");
    print(format!("{}\n", container.id())).map(|()| 0)
}
