//! `run`: create, prepare and start in one go.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::ahead::Ahead;
use super::attach::{self, Left, Streams};
use super::create::Called;
use super::explain::explain;
use super::monitor::{Attached, Launch, detach_from_terminal};
use super::{Container, Engine, Options};
use crate::error::{Doing, Result};
use crate::kernel::descriptor;
use crate::kernel::process::{exit_now, leave_to_child};
use crate::kernel::signal;
use crate::program::explain::Explained;
use crate::store::Id;

/// A container that was started.
pub struct Run {
    pub id: Id,
    /// What was done and how long it took, if that was asked for.
    pub explained: Vec<Explained>,
    attached: Attached,
    /// Whether this process cleans up when it has been told the end.
    cleans: bool,
}

impl Engine {
    /// Creates a container and starts it. Its id is told to `created` before it is started, and what the user should know to `warn`.
    pub fn run(
        &self,
        options: Options,
        called: Called,
        trace: bool,
        created: impl Fn(&Id) -> Result<()>,
        warn: impl Fn(&str),
    ) -> Result<Run> {
        let ahead = Ahead::begin(&self.store, &options, trace)?;
        let (container, lock) = self.create(options, called, true)?;
        let container = Arc::new(container);
        created(container.id())?;
        ahead.is_for(&container);
        let doing = || format!("start `{}`", container.name());
        let prepared = match self.prepare(&container, &ahead, true) {
            Ok(prepared) => prepared,
            Err(error) => {
                // As long as it makes something for the container, that is to be locked.
                drop(ahead);
                // Undone like the work of one that was killed; a container that is to be removed goes at once.
                drop(lock);
                super::recover::sweep(&self.store)?;
                return Err(error.doing(doing()));
            }
        };
        prepared.plan.cgroup.warnings.iter().for_each(|warning| warn(warning));
        let plan = trace.then(|| {
            (
                prepared.plan.clone(),
                prepared.place.as_ref().map(|place| place.endpoint.clone()),
            )
        });
        let launch = Launch {
            trace,
            ..Launch::new(&container, lock, prepared, &["create", "start"])
        };
        let attached = self.launch(ahead, launch).doing(doing)?;
        attached.warnings.iter().for_each(|warning| warn(warning));
        let explained = plan.map(|(plan, endpoint)| explain(&container, &plan, endpoint.as_ref(), &attached.trace));
        Ok(Run {
            explained: explained.unwrap_or_default(),
            ..Run::of(&container, attached)
        })
    }
}

impl Run {
    /// A container that was started.
    pub fn of(container: &Container, attached: Attached) -> Run {
        Run {
            id: container.id().clone(),
            explained: Vec::new(),
            attached,
            cleans: container.spec.options.auto_remove,
        }
    }

    /// Carries everything between the user and the container until it has ended or the user leaves.
    pub fn attach(&self, streams: &Streams) -> Result<Left> {
        attach::attach(&self.attached, streams)
    }

    /// Ends this process with the code of the container's command, and cleans up in a child, for which nobody waits. Where that is not
    /// possible, the container's monitor cleans up. Returns if the container is not to be removed.
    pub fn end(&self, engine: &Engine, code: u8) {
        if !self.cleans {
            return;
        }
        // Before this process ends: whoever waits for that is to have back at once what they gave it, such as a lock.
        detach_from_terminal();
        descriptor::close_all_but(&[self.attached.socket.as_raw_fd()]);
        if leave_to_child(code).is_err() {
            exit_now(code.into());
        }
        let _ = rustix::process::setsid();
        // What ends a process but not this one: whoever ends the command does not mean what it leaves.
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM]
            .into_iter()
            .for_each(signal::ignore);
        // There is nobody to be told what fails. Whatever is left is found by the next command.
        let _ = engine.finish_as_client(&self.id, &self.attached);
        exit_now(0)
    }
}
