//! `tinydock pull`, and pulling what `run` and `create` need.

use super::progress::{Display, Doing, Place};
use super::{Command, print, tidy, warn};
use crate::engine::{Engine, NotPulled, Pulled};
use crate::error::{Error, Kind, Result};
use crate::flags::{self, Flag, Order, Parsed};
use crate::image::{Platform, Reference};

const FLAGS: [Flag; 3] = [
    ALL_TAGS,
    flags::option(
        "platform",
        None,
        "PLATFORM",
        "Take the image for this platform, as in linux/arm64",
    ),
    flags::switch("quiet", Some(b'q'), "Print only the image's name"),
];

/// Of `pull` and `push`.
pub const ALL_TAGS: Flag = flags::switch("all-tags", Some(b'a'), "Do this with all tags of the repository");

pub const COMMAND: Command = Command {
    name: "pull",
    usage: "[FLAGS] IMAGE",
    summary: "Fetch an image from a registry",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: pull,
};

/// When an image is fetched that is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    Missing,
    Never,
}

fn pull(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let text = parsed.arguments[0].display().to_string();
    let place = if parsed.is_set("quiet") {
        Place::Nowhere
    } else {
        Place::Stdout
    };
    let platform = platform(&parsed)?;
    if !parsed.is_set("all-tags") {
        let name = fetch(engine, &text, platform.as_ref(), place)?;
        return print(format!("{name}\n")).map(|()| 0);
    }
    pull_all(engine, &repository(&text)?, platform.as_ref(), place).map(|()| 0)
}

/// Fetches all images of a repository. A tag may be of something else, such as a signature, or of an image for other platforms.
fn pull_all(engine: &Engine, repository: &Reference, platform: Option<&Platform>, place: Place) -> Result<()> {
    let mut pulled = Vec::new();
    for name in engine.tags_to_pull(repository)? {
        match bring(engine, &name, platform, &Display::new(place, Doing::Pulling)) {
            Ok(one) => pulled.push(one.is_new),
            Err(NotPulled::NoImage(error)) => warn(&error.doing("passed over").to_string()),
            Err(NotPulled::Failed(error)) => return Err(error),
        }
    }
    let familiar = repository.familiar_repository();
    if pulled.is_empty() {
        let wrong = Error::not_found("no tag is of an image for this platform");
        return Err(wrong.doing(format!("pull all tags of `{familiar}`")));
    }
    say_status(&Display::new(place, Doing::Pulling), pulled.contains(&true), &familiar);
    print(format!("{}\n", repository.full_repository()))
}

/// The repository whose tags are all meant.
pub fn repository(text: &str) -> Result<Reference> {
    match Reference::is_repository(text) {
        true => Reference::parse(text),
        false => Err(
            Error::invalid(format!("`{}` is not all tags but one image", text.escape_debug()))
                .hint("name the repository alone, or leave out `--all-tags`"),
        ),
    }
}

fn platform(parsed: &Parsed) -> Result<Option<Platform>> {
    parsed.text("platform")?.map(Platform::parse).transpose()
}

/// Fetches an image, and shows how that gets on.
fn fetch(engine: &Engine, text: &str, platform: Option<&Platform>, place: Place) -> Result<Reference> {
    let name = Reference::parse(text)?;
    let display = Display::new(place, Doing::Pulling);
    if Reference::is_repository(text) {
        display.say("Using default tag: latest");
    }
    let pulled = bring(engine, &name, platform, &display)?;
    say_status(&display, pulled.is_new, &name.familiar());
    Ok(name)
}

/// Fetches an image, and shows how that gets on, up to its digest.
fn bring(
    engine: &Engine,
    name: &Reference,
    platform: Option<&Platform>,
    display: &Display,
) -> std::result::Result<Pulled, NotPulled> {
    display.say(&format!("{}: Pulling from {}", name.wanted(), name.repository()));
    let host = Platform::host();
    let wanted = platform.unwrap_or(&host);
    let pulled = engine.pull(name, wanted, &|layer, step| display.show(layer, step))?;
    if pulled.platform.suits(wanted).is_none() {
        warn(&format!(
            "image `{}` is for platform `{}`, not `{wanted}`",
            name.familiar(),
            pulled.platform
        ));
    }
    display.say(&format!("Digest: {}", pulled.digest));
    Ok(pulled)
}

fn say_status(display: &Display, is_new: bool, familiar: &str) {
    let status = if is_new {
        "Downloaded newer image for"
    } else {
        "Image is up to date for"
    };
    display.say(&format!("Status: {status} {familiar}"));
}

/// Does something with an image that is there, or that is fetched first, as the flags say. What is there costs no look at
/// registries and their settings.
pub fn with_image<T>(engine: &Engine, parsed: &Parsed, act: impl Fn() -> Result<T>) -> Result<T> {
    let text = parsed
        .arguments
        .first()
        .map(|image| image.display().to_string())
        .unwrap_or_default();
    let when = match parsed.text("pull")? {
        None | Some("missing") => When::Missing,
        Some("always") => When::Always,
        Some("never") => When::Never,
        Some(other) => {
            let wrong = Error::invalid(format!("`--pull {}`", other.escape_debug()));
            return Err(wrong.hint("it is `always`, `missing` or `never`"));
        }
    };
    let place = if parsed.is_set("quiet") {
        Place::Nowhere
    } else {
        Place::Stderr
    };
    let platform = platform(parsed)?;
    let fetch = || fetch(engine, &text, platform.as_ref(), place);
    let lacks = || engine.lacks(&text, platform.as_ref());
    if when == When::Always || (when == When::Missing && platform.is_some() && lacks()?) {
        fetch()?;
        return act();
    }
    match act() {
        // Other things may be missing as well, and this may be no name of an image.
        Err(error) if error.kind == Kind::NotFound && when == When::Missing && Reference::parse(&text).is_ok() && lacks()? => {
            if place == Place::Stderr {
                let name = Reference::parse(&text)?;
                Display::new(place, Doing::Pulling).say(&format!("Unable to find image '{}' locally", name.familiar()));
            }
            fetch()?;
            act()
        }
        result => result,
    }
}
