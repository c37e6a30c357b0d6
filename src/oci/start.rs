//! `start`: the command of a container that was created.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use super::become_process::explain;
use super::container::{Container, Status};
use super::descriptors::connect_to;
use super::{end, hooks};
use crate::error::{Error, Result};
use crate::program::Report;

/// Lets the command of a created container run.
pub fn start(container: &Container, warn: &dyn Fn(&str)) -> Result<()> {
    let _lock = container.lock()?;
    let status = container.status()?;
    if status != Status::Created {
        let hint = "only a created container can be started, and only once";
        return Err(Error::conflict(format!("cannot start a container that is {}", super::word(status))).hint(hint));
    }
    let config = &container.config;
    let hooks = hooks::run_inside(container, "startContainer", &config.hooks.start_container, Status::Created);
    // A container whose hooks fail is not started, nor can it ever be.
    hooks.or_else(|error| end::stop(container).and(Err(error)))?;
    let init = connect_to(&container.file("start"))?;
    await_command(container, init)?;
    let _ = fs::remove_file(container.file("start"));
    after_start(container, warn);
    Ok(())
}

/// Runs the hooks that are told of a command which runs. They cannot hold it up any more: one that fails is a warning.
pub fn after_start(container: &Container, warn: &dyn Fn(&str)) {
    for (n, hook) in container.config.hooks.poststart.iter().enumerate() {
        if let Err(error) = hooks::run(container, "poststart", std::slice::from_ref(hook), Status::Running) {
            warn(&format!("poststart hook {n}: {error}"));
        }
    }
}

/// Waits until the command is executed, or learns why it cannot be.
fn await_command(container: &Container, init: OwnedFd) -> Result<()> {
    match container.origin.tail.read_report(&mut File::from(init))? {
        Report::Closed => Ok(()),
        Report::Failed(step, errno) => Err(explain(container.origin.tail.failure(step, errno))),
        report => Err(Error::system(format!("init reports {report:?} instead of its end"))),
    }
}
