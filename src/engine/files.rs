//! A container's files, for those who are outside: the root that it has, with its volumes.
//!
//! They are reached through a process that has the container's root as its root (proc_pid_root(5)): the container's init while it
//! runs, and otherwise one that is started for this, mounts what the container would see in a mount namespace of its own, and waits.
//! It ends with us, whoever is killed when, and its mounts with it; none is ever in the host's mount table. Its root is opened once,
//! and every path is resolved below that (see [`Place`]).
//!
//! We never enter the container: nothing of it is executed, loaded or read as configuration here (CVE-2019-14271), and its processes
//! see nothing of us.

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::bring_up::wait_for_root;
use super::plan::{Facts, Places, show};
use super::{Container, Engine, State, recover};
use crate::error::{Doing, Error, Result};
use crate::isolation::{Host, IdRange};
use crate::kernel::process::Child;
use crate::layer::{self, Owners, Place, Span, Stack, View};
use crate::program::flags::clone;
use crate::program::{Report, Wires};
use crate::store::{Id, Lock, Store};

/// The files of a container, for as long as this is there.
pub struct Files {
    pub place: Place,
    /// Who its users are here.
    pub owners: Owners,
    // The mounts cannot go before they are no longer open.
    _keeper: Option<Keeper>,
}

/// A process that keeps the mounts of a container that does not run, whose lock is held.
struct Keeper {
    store: Store,
    id: Id,
    wires: Option<Wires>,
    process: Child,
    _lock: Lock,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.wires.take());
        let _ = self.process.wait();
        // What cannot be cleaned up now is by the next command.
        let _ = recover::bury(&self.store, &self.id);
    }
}

impl Engine {
    /// Opens the files of a container, which may run.
    pub fn files(&self, container: &Container) -> Result<Files> {
        match container.state()? {
            State::Running(_) | State::Paused(_) => self.running_files(container),
            State::Restarting(_) => {
                let waits = Error::conflict(format!("container `{}` is about to be started again", container.name()));
                Err(waits.hint("try again, or stop it first"))
            }
            State::Created | State::Exited(_) => match self.lock_to_start(container)? {
                Some((container, lock)) => self.kept_files(&container, lock),
                None => self.running_files(container),
            },
        }
    }

    fn running_files(&self, container: &Container) -> Result<Files> {
        let (_, started) = container.open_init()?;
        wait_for_root(container, started.pid)?;
        let place = open_root(started.pid)?;
        // Now that its root is open, it is certain whose root that is.
        container.open_init()?;
        let span = |range: IdRange| Span {
            first: range.first,
            size: range.size,
        };
        let owners = container.users()?.map_or(Owners::Same, |ids| Owners::Mapped {
            users: span(ids.users),
            groups: span(ids.groups),
        });
        Ok(Files {
            place,
            owners,
            _keeper: None,
        })
    }

    fn kept_files(&self, container: &Container, lock: Lock) -> Result<Files> {
        let options = &container.spec.options;
        if container.file("exit").exists() {
            layer::reuse(&container.file("work"))?;
        }
        for mount in &options.mounts {
            let doing = || format!("{} `{}`", mount.kind(), mount.target);
            mount.prepare(&self.store).doing(doing)?;
        }
        let lower = Stack::open(&self.store, &container.spec.layers)?;
        let facts = Facts::without_limits(Host::bare(), self.view_of(container)?);
        let mut places = Places::of(&self.store, container, lower, None)?;
        places.overlay.volatile = false;
        let program = show(&facts, &places, options).doing(|| format!("show the files of container `{}`", container.name()))?;
        let mut wires = Wires::new()?;
        wires.add_release()?;
        for (input, mount) in places.given.mounts() {
            wires.give(input, mount.try_clone().doing(|| "copy a descriptor")?)?;
        }
        let process = wires.start(&program, clone::NEWNS, None)?;
        let mut keeper = Keeper {
            store: self.store.clone(),
            id: container.id().clone(),
            wires: None,
            process,
            _lock: lock,
        };
        let reached = wires.read_report(&program);
        keeper.wires = Some(wires);
        match reached.doing(|| format!("show the files of container `{}`", container.name()))? {
            Report::Reached => {}
            _ => return Err(Error::system("whoever shows the container's files was killed")),
        }
        Ok(Files {
            place: open_root(keeper.process.pid.as_raw_nonzero().get())?,
            owners: Owners::Same,
            _keeper: Some(keeper),
        })
    }

    /// What a container sees of its layers, whether it runs or not.
    pub fn view_of(&self, container: &Container) -> Result<View> {
        Stack::open(&self.store, &container.spec.layers)?.view_below(&container.file("upper"))
    }
}

/// Opens the root directory of a process.
fn open_root(pid: i32) -> Result<Place> {
    let path = format!("/proc/{pid}/root");
    let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, &path, how, Mode::empty()).doing(|| format!("open `{path}`"))?;
    Ok(Place::confined(root))
}
