//! The processes in a container's cgroups: which they are, stopping them, killing them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Group;
use super::group::GONE;
use super::write::write_file;
use crate::error::{Doing, Error, Result};
use crate::kernel::table;

impl Group {
    /// The processes of the container, as the host numbers them, with those in cgroups that it has made below its own.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let mut found = Vec::new();
        for directory in self.directories() {
            collect(directory, &mut found).doing(|| format!("read the processes of `{}`", directory.display()))?;
        }
        found.sort_by_key(|pid| pid.as_raw_nonzero());
        found.dedup();
        Ok(found)
    }

    /// Takes in a process and all that descend from it, also those that are born meanwhile.
    pub fn admit_tree(&self, pid: i32) -> Result<()> {
        let mut admitted = Vec::new();
        loop {
            let new: Vec<i32> = descendants(pid).into_iter().filter(|pid| !admitted.contains(pid)).collect();
            if new.is_empty() {
                return Ok(());
            }
            for directory in self.directories() {
                let file = directory.join("cgroup.procs");
                for one in &new {
                    match fs::write(&file, one.to_string()) {
                        // It has ended since.
                        Err(error) if error.raw_os_error() == Some(libc::ESRCH) && *one != pid => {}
                        written => written.doing(|| format!("write `{one}` to `{}`", file.display()))?,
                    }
                }
            }
            admitted.extend(new);
        }
    }

    /// Kills all processes, frozen ones as well.
    pub fn kill(&self) -> Result<()> {
        let file = self.unified.as_ref().map(|directory| directory.join("cgroup.kill"));
        if let Some(file) = file.filter(|file| file.exists()) {
            return write_file(&file, "1").doing(|| format!("write `1` to `{}`", file.display()));
        }
        self.signal(Signal::KILL)
    }

    /// Sends a signal to all processes. While they get it they stand still, where that is possible, so that none can have a
    /// child that does not. A process that is frozen in version 1 does not die before it is thawed.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let was_frozen = self.is_frozen();
        let frozen = was_frozen || self.freeze().is_ok();
        let sent = self.processes().map(|processes| {
            for pid in processes {
                // It may have ended since.
                let _ = kill_process(pid, signal);
            }
        });
        if frozen && (!was_frozen || signal == Signal::KILL) {
            self.thaw()?;
        }
        sent
    }

    /// Stops all processes where they are until [`thaw`](Group::thaw). Returns once they have stopped.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets frozen processes go on. Where there is no cgroup any more, there are none.
    pub fn thaw(&self) -> Result<()> {
        match self.set_frozen(false) {
            Err(_) if self.freezer().is_none() => Ok(()),
            result => result,
        }
    }

    /// Whether the container is frozen.
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_some_and(|file| is_frozen(&file))
    }

    /// The file that freezes processes.
    pub fn freezer(&self) -> Option<PathBuf> {
        let v2 = self.unified.iter().map(|directory| directory.join("cgroup.freeze"));
        let v1 = self.separate.iter().map(|directory| directory.join("freezer.state"));
        v2.chain(v1).find(|file| file.exists())
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let Some(file) = self.freezer() else {
            return Err(Error::invalid("this host has no cgroup controller to freeze processes with"));
        };
        let value = match (file.ends_with("cgroup.freeze"), frozen) {
            (true, true) => "1",
            (true, false) => "0",
            (false, true) => "FROZEN",
            (false, false) => "THAWED",
        };
        let doing = || format!("write `{value}` to `{}`", file.display());
        write_file(&file, value).doing(doing)?;
        let deadline = Instant::now() + GONE;
        while frozen && !read_frozen(&file).doing(doing)? {
            if Instant::now() > deadline {
                // Nothing waits for what is half frozen.
                let thawed = if file.ends_with("cgroup.freeze") { "0" } else { "THAWED" };
                let _ = write_file(&file, thawed);
                return Err(Error::system("its processes do not stop").doing(doing()));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Whether all processes have stopped that a [freezer](Group::freezer) is for. Of those that are gone none has.
pub fn is_frozen(freezer: &Path) -> bool {
    read_frozen(freezer).unwrap_or(false)
}

/// What the file that was written tells, or the one beside it.
fn read_frozen(file: &Path) -> io::Result<bool> {
    if file.ends_with("cgroup.freeze") {
        return Ok(table::text(file.with_file_name("cgroup.events"), table::PAGE)?.contains("frozen 1"));
    }
    Ok(table::text(file, table::PAGE)?.trim() == "FROZEN")
}

/// Adds the processes in a directory and those below it.
fn collect(directory: &Path, found: &mut Vec<Pid>) -> io::Result<()> {
    found.extend(listed(directory)?);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// A process and all that descend from it.
fn descendants(pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<i32> = children
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<i32>>()
            })
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// The processes in a directory itself.
pub fn listed(directory: &Path) -> io::Result<Vec<Pid>> {
    match fs::read_to_string(directory.join("cgroup.procs")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        // It disappears while it is read.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(Vec::new()),
        // The processes whose threads are in it are in a directory above.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
        text => Ok(text?.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()),
    }
}
