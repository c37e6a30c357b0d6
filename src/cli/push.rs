//! `tinydock push`

use super::progress::{Display, Doing, Place};
use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{self, Flag, Order, Parsed};
use crate::image::Reference;

const FLAGS: [Flag; 1] = [flags::switch("quiet", Some(b'q'), "Print only the image's name")];

pub const COMMAND: Command = Command {
    name: "push",
    usage: "[FLAGS] IMAGE",
    summary: "Bring an image to its registry",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: push,
};

fn push(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let text = parsed.arguments[0].display().to_string();
    let name = Reference::parse(&text)?;
    let quiet = parsed.is_set("quiet");
    let display = Display::new(if quiet { Place::Nowhere } else { Place::Stdout }, Doing::Pushing);
    if name.digest().is_none() && name.tag() == Some("latest") && !text.ends_with(":latest") {
        display.say("Using default tag: latest");
    }
    let repository = format!("{}/{}", name.registry(), name.repository());
    display.say(&format!("The push refers to repository [{repository}]"));
    let pushed = engine.push(&name, &|layer, step| display.show(layer, step))?;
    let tag = name.tag().unwrap_or_default();
    display.say(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
    if quiet {
        print(format!("{name}\n")).map(|()| 0)
    } else {
        Ok(0)
    }
}
