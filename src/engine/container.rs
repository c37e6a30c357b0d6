//! Containers as they are found on disk.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::restart::{Policy, Restarts};
use super::state::{Exit, Lost, Started, State, Stopped};
use super::stop::Asking;
use super::{Spec, bare_name};
use crate::error::{Doing, Error, Result};
use crate::kernel::directory::names;
use crate::network::Endpoint;
use crate::store::{Id, Store, clock, is_prefix, read_if_present, remove_if_present, write, write_among_others};

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    pub spec: Spec,
    /// What stays while it is not running: `container/<id>` below the root.
    directory: PathBuf,
    /// What is there while something is done for or by it: `container/<id>` below the run directory.
    run: PathBuf,
}

impl Container {
    pub fn new(store: &Store, spec: Spec) -> Container {
        Container {
            directory: store.container(&spec.id),
            run: store.container_run(&spec.id),
            spec,
        }
    }

    /// The container with this id, if there is one.
    pub fn load(store: &Store, id: &Id) -> Result<Option<Container>> {
        let spec: Option<Spec> = read_if_present(&store.container(id).join("spec"))?;
        Ok(spec.map(|spec| Container::new(store, spec)))
    }

    /// The container that `text` means: its id, its name, or the beginning of its id that no other one has.
    pub fn find(store: &Store, text: &str) -> Result<Container> {
        let text = bare_name(text);
        let named = Id::parse(text).or_else(|| super::check_name(text).ok().and_then(|()| store.names().owner(text)));
        if let Some(container) = named.map(|id| Container::load(store, &id)).transpose()?.flatten()
            && (container.name() == text || container.id().as_str() == text)
        {
            return Ok(container);
        }
        let no_such = || Error::not_found(format!("no such container: `{text}`"));
        if !is_prefix(text) {
            return Err(no_such());
        }
        let ids: Vec<Id> = Container::ids(store)?
            .into_iter()
            .filter(|id| id.as_str().starts_with(text))
            .collect();
        match &ids[..] {
            [id] => Container::load(store, id)?.ok_or_else(no_such),
            [] => Err(no_such()),
            _ => Err(
                Error::conflict(format!("`{text}` is the beginning of the ids of {} containers", ids.len()))
                    .hint("use more digits"),
            ),
        }
    }

    /// The ids of all containers, in no order.
    pub fn ids(store: &Store) -> Result<Vec<Id>> {
        let directory = store.root().join("container");
        match names(&directory) {
            Ok(names) => Ok(names.iter().filter_map(|name| Id::parse(name.to_str()?)).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::from(error).doing(format!("read `{}`", directory.display()))),
        }
    }

    pub fn id(&self) -> &Id {
        &self.spec.id
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// A file of the container that stays.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file that is there while something is done for or by the container.
    pub fn run_file(&self, name: &str) -> PathBuf {
        self.run.join(name)
    }

    /// What is true of the container now.
    pub fn state(&self) -> Result<State> {
        State::find(&self.directory, &self.run, |exit| self.returns_after(exit))
    }

    /// Records that the container runs now. Until the record of its last end is gone, it counts as ended: its command waits.
    pub fn begin_again(&self, started: &Started) -> Result<()> {
        write(&self.file("started"), started)?;
        remove_if_present(&self.file("exit"))?;
        remove_if_present(&self.run_file("starting"))
    }

    /// When the container was started last, if it ever was.
    pub fn started(&self) -> Result<Option<Started>> {
        read_if_present(&self.file("started"))
    }

    /// Records why the container could not be started, `again` or for the first time: then it is as it was created. That this
    /// fails is no reason not to tell why.
    pub fn record_failure(&self, error: &Error, again: bool) {
        let _ = write(&self.file("failed"), error);
        let exit = Exit {
            code: error.exit_status().into(),
            signal: 0,
            oom_killed: false,
            finished: clock::now(),
            lost: None,
        };
        let _ = match (again, self.spec.options.auto_remove) {
            (true, _) => write(&self.file("exit"), &exit),
            (false, false) => remove_if_present(&self.file("started")),
            // It has had its time, so it is removed.
            (false, true) => Ok(()),
        };
    }

    /// Records that somebody wants the container to end.
    pub fn record_stop(&self, asking: &Asking, signal: i32) -> Result<()> {
        let stopped = Stopped {
            by: asking.by.into(),
            signal,
            at: clock::now(),
        };
        // What is in the run directory is forgotten when the host goes down.
        let record = if asking.for_host {
            self.run_file("stopped")
        } else {
            self.file("stopped")
        };
        match write_among_others(&record, &stopped) {
            // It is gone already.
            Err(_) if !self.file("spec").exists() => Ok(()),
            written => written,
        }
    }

    /// How long the container ran before it ended like this.
    pub fn ran(&self, exit: &Exit) -> Result<Duration> {
        let from = self.started()?.and_then(|started| clock::parse(&started.at));
        let to = clock::parse(&exit.finished);
        Ok(from.zip(to).and_then(|(from, to)| to.checked_sub(from)).unwrap_or_default())
    }

    /// Who wanted the container to end, if somebody did.
    pub fn stopped(&self) -> Result<Option<Stopped>> {
        read_if_present(&self.file("stopped"))
    }

    /// How often the container was started again by itself.
    pub fn restarts(&self) -> Result<Restarts> {
        Ok(read_if_present(&self.file("restarts"))?.unwrap_or_default())
    }

    /// Why the container could not be started the last time that was tried, if it could not.
    pub fn failure(&self) -> Result<Option<Error>> {
        read_if_present(&self.file("failed"))
    }

    /// Whether whoever cleans up after a container that has ended like this starts it again, or waits to.
    pub fn returns_after(&self, exit: &Exit) -> Result<bool> {
        let policy = self.spec.options.restart;
        if policy == Policy::No {
            return Ok(false);
        }
        if ["restarting", "starting"].iter().any(|marker| self.run_file(marker).exists()) {
            return Ok(true);
        }
        let is_to_stay = self.stopped()?.is_some() || self.run_file("stopped").exists();
        Ok(!is_to_stay && policy.wants(exit, &self.restarts()?))
    }

    /// With whom a container ended that runs no more. A run directory does not survive the host.
    pub fn lost_with(&self) -> Lost {
        Lost::at(&self.run)
    }

    /// The container's place in a network, if it has one now.
    pub fn endpoint(&self) -> Result<Option<Endpoint>> {
        read_if_present(&self.run_file("endpoint"))
    }

    /// Opens the container's init, which must be running.
    ///
    /// The monitor reaps init only after it has recorded the end. So if there is no such record once the process is open, then
    /// it is the right one, even if process ids are used again quickly.
    pub fn open_init(&self) -> Result<(OwnedFd, Started)> {
        self.open_init_of(&self.state()?)
    }

    /// The same, of a container that was in this state just now.
    pub fn open_init_of(&self, state: &State) -> Result<(OwnedFd, Started)> {
        let Some(started) = state.started().cloned() else {
            return Err(self.not_running());
        };
        let pid = Pid::from_raw(started.pid).ok_or_else(|| Error::system("invalid pid in the record of its start"))?;
        let init = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Err(self.not_running()),
            init => init.doing(|| format!("open process {}", started.pid))?,
        };
        if self.state()?.started() == Some(&started) {
            Ok((init, started))
        } else {
            Err(self.not_running())
        }
    }

    pub fn not_running(&self) -> Error {
        Error::conflict(format!("container `{}` is not running", self.name()))
    }

    /// Whether the container is gone, or only there until somebody has cleaned up after it.
    pub fn is_vanishing(&self, state: &State) -> bool {
        match state {
            State::Running(_) | State::Paused(_) | State::Restarting(_) => false,
            State::Exited(_) => self.spec.options.auto_remove,
            State::Created => !self.file("spec").exists(),
        }
    }
}
