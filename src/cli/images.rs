//! `tinydock images`

use super::table::{bytes, table};
use super::{Command, print, tidy};
use crate::engine::{self, Engine};
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "images",
    usage: "",
    summary: "List images",
    flags: &[],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

fn run(engine: &Engine, _: Parsed) -> Result<u8> {
    tidy(engine);
    let created = |seconds| {
        if seconds == 0 {
            "built in".to_string()
        } else {
            engine::show_time(seconds)
        }
    };
    let rows = engine
        .images()?
        .into_iter()
        .map(|image| [image.name, created(image.created), bytes(image.size)]);
    print(table(["IMAGE", "CREATED", "SIZE"], rows)).map(|()| 0)
}
