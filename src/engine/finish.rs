//! The end of a container: cleaning up after it, or starting it again. That is its monitor's last act, as a program of its own, unless a
//! command that was told the end is there to do it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::attach::take_over;
use super::monitor::{Attached, Launch};
use super::remove::REMOVING;
use super::state::{Exit, Lost, State, Waiting};
use super::why::Memory;
use super::{Container, Engine, cgroups, create, events, recover};
use crate::error::{Error, Result};
use crate::kernel::{descriptor, signal};
use crate::store::{Id, Lock, Store, clock, remove_if_present, write};

/// As what the monitor executes tinydock in the end.
pub const FINISH: &str = "tinydock-finish";

/// Does what is left to do for a container whose init has ended. What this was started with is the container's id, the
/// descriptor of its lock, that of its mounts or -1, and those of its layers, which end with this process: each takes a while. Without
/// a lock, it is a container that nobody is responsible for any more.
pub fn finish(store: &Store, arguments: &[String]) -> Result<()> {
    let wrong = || Error::invalid("tinydock starts this by itself");
    let [id, descriptors @ ..] = arguments else {
        return Err(wrong());
    };
    let id = Id::parse(id).ok_or_else(wrong)?;
    if descriptors.is_empty() {
        return recover::sweep_one(store, &id);
    }
    let numbers = descriptors.iter().filter_map(|number| number.parse().ok());
    let numbers: Vec<i32> = numbers.filter(|number| *number >= 0).collect();
    // Ports stay reserved until their sockets close: that must not be later than the container is gone.
    descriptor::close_all_but(&numbers);
    let mut inherited = numbers.iter().filter_map(|number| descriptor::inherited(*number).ok());
    let lock = Lock::from(File::from(inherited.next().ok_or_else(wrong)?));
    let mounts = inherited.next();
    Engine::new(store.clone()).finish(&id, lock, mounts)
}

/// Tells that a container has ended, and how.
pub fn tell_end(store: &Store, container: &Container) {
    let Ok(State::Exited(exit) | State::Restarting(exit)) = container.state() else {
        return;
    };
    if exit.oom_killed {
        record_memory(store, container);
        events::tell_of(store, container, "oom", &[]);
    }
    let ran = container.ran(&exit).unwrap_or_default().as_secs().to_string();
    let more = [("exitCode", exit.code.to_string()), ("execDuration", ran)];
    events::tell_of(store, container, "die", &more);
}

/// Records how much memory a container had used at most, while its cgroup is still there. That this fails is no reason not to clean up.
fn record_memory(store: &Store, container: &Container) {
    if let Ok(stats) = cgroups::existing(store, container.id()).and_then(|group| group.stats()) {
        let memory = stats.memory.usage;
        let _ = write(
            &container.file("memory"),
            &Memory {
                peak: memory.max,
                limit: memory.limit,
            },
        );
    }
}

/// The container as it is recorded now and how it ended, if it is to be started again by itself.
fn wants_restart(store: &Store, container: &Container) -> Result<Option<(Container, Exit)>> {
    // Of one that is removed the policy cannot change.
    if container.spec.options.auto_remove {
        return Ok(None);
    }
    let Some(container) = Container::load(store, container.id())? else {
        return Ok(None);
    };
    let (State::Exited(exit) | State::Restarting(exit)) = container.state()? else {
        return Ok(None);
    };
    let wanted = container.spec.options.restart.wants(&exit, &container.restarts()?);
    let is_to_stay = container.stopped()?.is_some() || container.run_file("stopped").exists();
    Ok((wanted && !is_to_stay).then_some((container, exit)))
}

impl Engine {
    /// Cleans up after a container as who started it and was told the end, in place of its monitor.
    pub fn finish_as_client(&self, id: &Id, attached: &Attached) -> Result<()> {
        take_over(attached)?.map_or(Ok(()), |lock| self.finish(id, lock, None))
    }

    /// Cleans up after a container that has ended, or starts it again.
    fn finish(&self, id: &Id, lock: Lock, mounts: Option<OwnedFd>) -> Result<()> {
        let store = &self.store;
        let container = Container::load(store, id)?;
        if let Some(container) = &container {
            tell_end(store, container);
            // The disk may have been too full for the record of the end.
            recover::settle(store, container, Lost::Monitor)?;
        }
        recover::clean(store, id)?;
        // Nobody else has the mounts. Taking down a writable overlay writes out what the disk's file system has in memory, of whomever:
        // what others wait for, such as the address, has been given back before.
        drop(mounts);
        if let Some(container) = &container
            && let Some((container, exit)) = wants_restart(store, container)?
        {
            return self.start_again(&container, lock, &exit);
        }
        recover::put_away(store, id, container.as_ref())?;
        self.recover_some()?;
        // Nobody waits any more.
        create::make_spare(store, id)
    }

    /// Starts a container again, after a while. The process becomes its monitor, if nobody stops the container meanwhile.
    fn start_again(&self, container: &Container, lock: Lock, exit: &Exit) -> Result<()> {
        let id = container.id();
        let restarts = container.restarts()?.after(exit, container.ran(exit)?);
        if self.wait_to_restart(container, restarts.delay())?
            && let Some((container, _)) = wants_restart(&self.store, container)?
        {
            write(&container.file("restarts"), &restarts)?;
            write(&container.run_file("starting"), &clock::now())?;
            for left in ["attach", "paused", "restarting", REMOVING] {
                remove_if_present(&container.run_file(left))?;
            }
            let container = Arc::new(container);
            match self.prepare_again(&container) {
                Ok((ahead, prepared)) => return self.launch_for_nobody(ahead, Launch::new(&container, lock, prepared, &["start"])),
                Err(error) => container.record_failure(&error, true),
            }
        }
        recover::bury(&self.store, id)?;
        self.recover_some()
    }

    /// Waits before a restart. Returns false if somebody wants the container to stay as it is.
    fn wait_to_restart(&self, container: &Container, delay: Duration) -> Result<bool> {
        let waiting = signal::Waiting::begin(libc::SIGTERM);
        let pid = std::process::id() as i32;
        write(&container.run_file("restarting"), &Waiting { pid })?;
        Ok(!waiting.arrives_within(delay))
    }
}
