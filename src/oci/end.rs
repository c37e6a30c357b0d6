//! `kill` and `delete`: how containers end.

use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use rustix::process::Signal;

use super::container::{Container, Root, Status};
use super::hooks;
use super::namespaces::Namespaces;
use crate::error::{Doing, Error, Kind, Result};
use crate::kernel::signal;
use crate::program::flags::clone;

/// How long a container that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// How long a command that still runs is given before it is said so.
const MOMENT: Duration = Duration::from_millis(100);

/// Where whoever removes a container leaves how often processes of it were killed for want of memory.
pub const KILLS: &str = "kills";

/// Sends a signal to a container's init, or to all its processes.
pub fn kill(container: &Container, number: i32, all: bool) -> Result<()> {
    let shares_processes = !Namespaces::of(&container.config.linux).makes(clone::NEWPID);
    if all {
        // Processes that share others' namespace outlive their init.
        if container.living()?.is_none() && !shares_processes {
            return Ok(());
        }
        let number = Signal::from_named_raw(number).ok_or_else(|| Error::invalid(format!("there is no signal {number}")))?;
        return container.group()?.signal(number);
    }
    let (init, _) = container.open_init()?;
    signal::send(&init, number).doing(|| format!("send signal {number} to container `{}`", container.id))?;
    if number == libc::SIGKILL {
        // A frozen process of version 1 does not even die.
        let _ = container.group()?.thaw();
    }
    Ok(())
}

/// Removes a container that has stopped; with `force`, one that has not is killed first.
pub fn delete(root: &Root, id: &str, force: bool, warn: &dyn Fn(&str)) -> Result<()> {
    match root.find(id) {
        Ok(container) => match remove(&container, force, warn) {
            // Somebody else was faster.
            Err(error) if force && error.kind == Kind::NotFound => Ok(()),
            removed => removed,
        },
        Err(error) => {
            if root.sweep(id)? || force {
                Ok(())
            } else {
                Err(error)
            }
        }
    }
}

/// Removes a container that is known already.
pub fn remove(container: &Container, force: bool, warn: &dyn Fn(&str)) -> Result<()> {
    let id = &container.id;
    let status = status_soon(container, force)?;
    match status {
        Status::Stopped => {}
        _ if force => {}
        _ => {
            let hint = "`kill` it first, or give `--force`";
            return Err(Error::conflict(format!("cannot delete container `{id}`: it is {}", super::word(status))).hint(hint));
        }
    }
    take_away(container, warn)
}

/// Removes a container whose init has ended, or is to be killed.
pub fn take_away(container: &Container, warn: &dyn Fn(&str)) -> Result<()> {
    let _lock = container.lock()?;
    stop(container)?;
    leave_kills(container);
    if let Some(scope) = container.scope()? {
        scope.stop()?;
    }
    container.group()?.remove()?;
    container.detach_root();
    for (n, hook) in container.config.hooks.poststop.iter().enumerate() {
        // The container is gone whatever they say.
        if let Err(error) = hooks::run(container, "poststop", std::slice::from_ref(hook), Status::Stopped) {
            warn(&format!("poststop hook {n}: {error}"));
        }
    }
    container.forget()
}

/// Leaves those who watch the container what its cgroups have counted. They have the file open, so that it may be removed.
fn leave_kills(container: &Container) {
    let Ok(mut file) = File::options().write(true).open(container.file(KILLS)) else {
        return;
    };
    let kills = container.group().ok().and_then(|group| group.oom_kills());
    let _ = kills.map(|kills| write!(file, "{kills}"));
}

/// What is true of the container, once a command that has only just been started had a moment to end.
fn status_soon(container: &Container, force: bool) -> Result<Status> {
    if container.status()? == Status::Running
        && !force
        && let Ok((init, _)) = container.open_init()
    {
        let limit = Timespec::try_from(MOMENT).unwrap_or_default();
        let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&limit));
    }
    container.status()
}

/// Kills what still lives of a container, and waits until its init is gone.
pub fn stop(container: &Container) -> Result<()> {
    // Without init there is mostly nobody left, and whoever removes the cgroups kills those who keep them from being removed.
    let Ok((init, process)) = container.open_init() else {
        return Ok(());
    };
    let _ = signal::send(&init, libc::SIGKILL);
    let group = container.group()?;
    let _ = group.kill();
    let _ = group.thaw();
    let limit = Timespec::try_from(GONE).unwrap_or_default();
    let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&limit));
    let deadline = Instant::now() + GONE;
    while process.lives() {
        if Instant::now() > deadline {
            return Err(Error::system(format!("process {} does not end", process.pid)));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
