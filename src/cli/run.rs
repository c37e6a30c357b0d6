//! `tinydock run`

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::{Command, MANY, attach, container, print, pull, warn};
use crate::engine::{Engine, Options};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed};
use crate::network::Mode;
use crate::program::explain;
use crate::store::Id;

pub const COMMAND: Command = Command {
    name: "run",
    usage: "[FLAGS] IMAGE [COMMAND [ARGUMENT...]]",
    summary: "Create a container and run a command in it",
    flags: &container::FLAGS,
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 125,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let options = options(&parsed)?;
    let (detach, trace) = (parsed.is_set("detach"), parsed.is_set("trace"));
    let streams = attach::streams(&parsed, options.terminal, options.interactive)?;
    let streams = attach::only_named(&parsed, streams)?;
    if detach && parsed.last("attach").is_some() {
        return Err(Error::invalid(
            "conflicting options: cannot specify both --attach and --detach",
        ));
    }
    if !detach {
        streams.check()?;
    }
    let file = IdFile::make(&parsed)?;
    let called = container::called(&parsed)?;
    let run = || engine.run(options.clone(), called, trace, |id| file.write(id), warn);
    let run = pull::with_image(engine, &parsed, run)?;
    if trace {
        // That nobody reads it must not end a run.
        let _ = io::stderr().write_all(explain::text(&run.explained).as_bytes());
    }
    if detach {
        print(format!("{}\n", run.id))?;
        // What others have left; where somebody waits for the end, that is when it is cleaned up.
        engine.recover_some().unwrap_or_else(|error| warn(&error.to_string()));
        return Ok(0);
    }
    if !streams.output && !streams.errors {
        print(format!("{}\n", run.id))?;
    }
    attach::accompany(engine, &run, &streams)
}

/// What the flags ask for, as far as this host can do it. What it cannot do is told.
pub fn options(parsed: &Parsed) -> Result<Options> {
    let mut options = container::options(parsed)?;
    if options.network == Mode::Host && !options.ports.is_empty() {
        warn("a container on the host's network has no ports of its own to publish");
    }
    for limit in &mut options.ulimits {
        let (possible, warning) = limit.clone().possible();
        *limit = possible;
        warning.iter().for_each(|warning| warn(warning));
    }
    let unavailable = options.security.unavailable();
    if !unavailable.is_empty() && !options.namespaces.has_users() {
        warn(&format!(
            "this process has not got {} itself, so the container goes without",
            unavailable.join(", ")
        ));
    }
    Ok(options)
}

/// The file that is to have the container's id.
pub struct IdFile {
    path: Cell<Option<PathBuf>>,
}

impl IdFile {
    /// Makes the file, which must not be there.
    pub fn make(parsed: &Parsed) -> Result<IdFile> {
        let path = parsed.last("cidfile").map(PathBuf::from);
        if let Some(path) = &path {
            let doing = || format!("container id file `{}`", path.display());
            File::create_new(path).doing(doing)?;
        }
        Ok(IdFile { path: path.into() })
    }

    /// Writes the id. Without that, the file is gone again.
    pub fn write(&self, id: &Id) -> Result<()> {
        match self.path.take() {
            Some(path) => fs::write(&path, id.as_str()).doing(|| format!("write `{}`", path.display())),
            None => Ok(()),
        }
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        self.path.take().iter().for_each(|path| drop(fs::remove_file(path)));
    }
}
