//! A container as the runtime knows it: a directory of records, and what is true of it now.
//!
//! ```text
//! <root>/<id>/
//!   bundle     where it came from, and when; written first
//!   config     its configuration, as it was when it was created
//!   process    its init: process id and time of start; written before init may go on
//!   lock       held while something is done to it; all of it while it is created, a part while anything else is done
//!   waiting    locked by init until it executes the user's command
//!   start      the socket that init waits at
//!   kills      there if somebody watches it: for want of memory, counted when its cgroups are removed
//! ```
//!
//! Nothing here says "running": that follows from the process and from the lock that it holds.

use std::cell::OnceCell;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::cgroup::{Group, Hierarchies, Scope};
use crate::error::{Doing, Error, Result};
use crate::kernel::table;
use crate::program::Tail;
use crate::store::{Lock, read_if_present, write};

/// Where the records of all containers are, and how they are made.
#[derive(Clone, Debug)]
pub struct Root {
    pub path: PathBuf,
    pub systemd_cgroup: bool,
}

/// Where a container came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// An absolute path.
    pub bundle: PathBuf,
    /// In RFC 3339.
    pub created: String,
    /// Where its cgroups are, below each tree's mount.
    pub cgroup: String,
    pub systemd_cgroup: bool,
    /// The user who created it.
    pub owner: u32,
    /// What can still fail when it is started.
    pub tail: Tail,
}

/// A process, known for certain: process ids are used again, but not with the same time of start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// In clock ticks since the host was started (proc_pid_stat(5), field 22).
    pub started: u64,
}

/// What is true of a container (runtime-spec, `runtime.md`, "State").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    directory: PathBuf,
    pub origin: Origin,
    pub config: Config,
    /// The trees of cgroups that the host has, once they are known.
    pub hierarchies: OnceCell<Hierarchies>,
}

/// The state as the specification has it, which hooks and callers are given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
}

impl Root {
    /// The directory of a container, by its id.
    pub fn directory(&self, id: &str) -> Result<PathBuf> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        if id.is_empty() || id == "." || id == ".." || !id.chars().all(allowed) || id.len() > 1024 {
            return Err(Error::invalid(format!("invalid container id `{id}`")).hint("letters, digits and `_+-.` are allowed"));
        }
        Ok(self.path.join(id))
    }

    /// Makes the directory of a new container, which nobody else can look into: whoever connects to its socket starts it. Its lock is
    /// held from then on.
    pub fn claim(&self, id: &str) -> Result<Lock> {
        let directory = self.directory(id)?;
        let exists = || Error::conflict(format!("container with given ID already exists: `{id}`"));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .doing(|| format!("make `{}`", self.path.display()))?;
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.doing(|| format!("make `{}`", directory.display()))?,
        }
        let lock = Lock::try_acquire(&directory.join("lock"))?.ok_or_else(exists)?;
        // Somebody else's `create` may have been killed before it had an init: then there is nothing yet to keep.
        if directory.join("process").exists() {
            return Err(exists());
        }
        Ok(lock)
    }

    /// The ids of all containers, sorted.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(|| format!("read `{}`", self.path.display()))?,
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join("bundle").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|id| self.directory(id).is_ok())
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Removes what there is of a container that cannot be found: whoever made its directory was killed before it wrote down what it
    /// would do, and so before it did anything; or whoever removed it was killed when everything else was gone. Returns whether there
    /// was something.
    pub fn sweep(&self, id: &str) -> Result<bool> {
        let directory = self.directory(id)?;
        let gone = gone(&directory);
        let mut found = gone.exists();
        remove(&gone)?;
        if directory.exists() && Lock::try_acquire(&directory.join("lock"))?.is_some() {
            found = true;
            remove(&directory)?;
        }
        Ok(found)
    }

    /// The container with this id.
    pub fn find(&self, id: &str) -> Result<Container> {
        let directory = self.directory(id)?;
        let missing = || Error::not_found(format!("container `{id}` does not exist"));
        let origin = read_if_present(&directory.join("bundle"))?.ok_or_else(missing)?;
        let config = read_if_present(&directory.join("config"))?.ok_or_else(missing)?;
        Ok(Container {
            id: id.into(),
            directory,
            origin,
            config,
            hierarchies: OnceCell::new(),
        })
    }
}

impl Container {
    /// Writes down a new container, whose lock is held.
    pub fn record(root: &Root, id: &str, origin: Origin, config: Config) -> Result<Container> {
        let directory = root.directory(id)?;
        write(&directory.join("config"), &config)?;
        write(&directory.join("bundle"), &origin)?;
        Ok(Container {
            id: id.into(),
            directory,
            origin,
            config,
            hierarchies: OnceCell::new(),
        })
    }

    /// Writes down another configuration, as it is from now on.
    pub fn record_config(&self, config: &Config) -> Result<()> {
        write(&self.file("config"), config)
    }

    /// A file of the container.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Waits until nobody else does anything to the container.
    pub fn lock(&self) -> Result<Lock> {
        match Lock::acquire_part(&self.file("lock")) {
            // Somebody has removed it, or did while we waited.
            Err(_) if !self.directory.exists() => Err(Error::not_found(format!("container `{}` does not exist", self.id))),
            lock => lock,
        }
    }

    /// Its init, if it has come so far, whether it lives or not.
    pub fn process(&self) -> Result<Option<Process>> {
        read_if_present(&self.file("process"))
    }

    /// Its init, if it lives.
    pub fn living(&self) -> Result<Option<Process>> {
        Ok(self.process()?.filter(Process::lives))
    }

    pub fn status(&self) -> Result<Status> {
        let Some(process) = self.process()? else {
            let creating = Lock::is_held(&self.file("lock"));
            return Ok(if creating { Status::Creating } else { Status::Stopped });
        };
        let waits = Lock::is_held(&self.file("waiting"));
        if !process.lives() {
            return Ok(Status::Stopped);
        }
        // Until then init may be in namespaces of the host's.
        if waits && Lock::is_wholly_held(&self.file("lock")) {
            return Ok(Status::Creating);
        }
        Ok(match self.group().is_ok_and(|group| group.is_frozen()) {
            true => Status::Paused,
            false if waits => Status::Created,
            false => Status::Running,
        })
    }

    /// The state with a given status.
    pub fn state(&self, status: Status) -> Result<State<'_>> {
        let pid = match status {
            Status::Stopped => None,
            _ => self.process()?.map(|process| process.pid),
        };
        Ok(State {
            oci_version: super::VERSION,
            id: &self.id,
            status,
            pid,
            bundle: &self.origin.bundle,
            annotations: &self.config.annotations,
        })
    }

    /// The container's cgroups.
    pub fn group(&self) -> Result<Group> {
        Ok(Group::find(self.hierarchies()?, Path::new(&self.origin.cgroup)))
    }

    /// The trees of cgroups that the host has, looked for once.
    pub fn hierarchies(&self) -> Result<&Hierarchies> {
        if let Some(known) = self.hierarchies.get() {
            return Ok(known);
        }
        let found = Hierarchies::all()?;
        Ok(self.hierarchies.get_or_init(|| found))
    }

    /// The unit of systemd's that has its cgroups, if systemd made them.
    pub fn scope(&self) -> Result<Option<Scope>> {
        let scope = || Scope::parse(&self.config.linux.cgroups_path, &self.id);
        self.origin.systemd_cgroup.then(scope).transpose()
    }

    /// Opens its init, which must live.
    pub fn open_init(&self) -> Result<(OwnedFd, Process)> {
        let stopped = || Error::conflict("container not running");
        let process = self.living()?.ok_or_else(stopped)?;
        let pid = Pid::from_raw(process.pid).ok_or_else(stopped)?;
        let opened = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Err(stopped()),
            opened => opened.doing(|| format!("open process {}", process.pid))?,
        };
        // It may have ended before it was opened, and another process have its number.
        if process.lives() {
            Ok((opened, process))
        } else {
            Err(stopped())
        }
    }

    /// Takes the root, and what is mounted in it, out of the host's mounts, where a container that has no mount namespace has it.
    pub fn detach_root(&self) {
        if !self.config.linux.has("mount") {
            // What is not mounted need not be unmounted.
            let _ = rustix::mount::unmount(self.config.root(&self.origin.bundle), rustix::mount::UnmountFlags::DETACH);
        }
    }

    /// Takes away all that is written down of it.
    pub fn forget(&self) -> Result<()> {
        let gone = gone(&self.directory);
        remove(&gone)?;
        fs::rename(&self.directory, &gone).doing(|| format!("remove `{}`", self.directory.display()))?;
        remove(&gone)
    }
}

/// What the directory of a container is called while it is removed: no container has such an id.
fn gone(directory: &Path) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_os_string();
    name.push("~");
    directory.with_file_name(name)
}

/// Removes a directory, if it is there.
fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.doing(|| format!("remove `{}`", directory.display())),
    }
}

impl Process {
    /// The process that now has this number.
    pub fn find(pid: i32) -> Result<Process> {
        let (started, _) = stat(pid).ok_or_else(|| Error::system(format!("process {pid} is gone")))?;
        Ok(Process { pid, started })
    }

    /// Whether it is there and has not ended: one that nobody has waited for yet has.
    pub fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|(started, state)| started == self.started && state != b'Z' && state != b'X')
    }
}

/// When a process was started, and its state (proc_pid_stat(5)).
fn stat(pid: i32) -> Option<(u64, u8)> {
    let text = table::text(format!("/proc/{pid}/stat"), table::PAGE).ok()?;
    // The second field is a name in parentheses, which can hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some((fields.get(19)?.parse().ok()?, *fields.first()?.as_bytes().first()?))
}
