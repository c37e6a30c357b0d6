//! `tinydock push`

use super::progress::{Display, Doing, Place};
use super::pull::{ALL_TAGS, repository};
use super::{Command, print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{self, Flag, Order, Parsed};
use crate::image::Reference;

const FLAGS: [Flag; 2] = [ALL_TAGS, flags::switch("quiet", Some(b'q'), "Print only the image's name")];

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
    let (all, quiet) = (parsed.is_set("all-tags"), parsed.is_set("quiet"));
    let place = if quiet { Place::Nowhere } else { Place::Stdout };
    let display = Display::new(place, Doing::Pushing);
    let named = if all { repository(&text)? } else { Reference::parse(&text)? };
    if !all && Reference::is_repository(&text) {
        display.say("Using default tag: latest");
    }
    display.say(&format!("The push refers to repository [{}]", named.full_repository()));
    let names = if all {
        engine.tags_to_push(&named)?
    } else {
        vec![named.clone()]
    };
    for name in names {
        let display = Display::new(place, Doing::Pushing);
        let pushed = engine.push(&name, &|layer, step| display.show(layer, step))?;
        let tag = name.tag().unwrap_or_default();
        display.say(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
    }
    match (quiet, all) {
        (true, true) => print(format!("{}\n", named.full_repository())).map(|()| 0),
        (true, false) => print(format!("{named}\n")).map(|()| 0),
        (false, _) => Ok(0),
    }
}
