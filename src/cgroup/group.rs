//! A container's cgroups on this host.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Hierarchies, Plan, device_filter};
use crate::error::{Doing, Error, Result};

/// The directories of one container.
#[derive(Clone, Debug)]
pub struct Group {
    unified: Option<PathBuf>,
    separate: Vec<PathBuf>,
}

/// How long processes that were killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);

impl Group {
    /// Does what the plan says.
    pub fn create(plan: &Plan) -> Result<Group> {
        let group = Group {
            unified: plan.unified.clone(),
            separate: plan.separate.clone(),
        };
        for directory in &plan.directories {
            group.prepare_parent(plan, directory)?;
            fs::create_dir(directory).doing(|| format!("make cgroup `{}`", directory.display()))?;
        }
        for write in plan.writes.iter().filter(|write| !is_parent_write(&write.file)) {
            match write_file(&write.file, &write.value) {
                Err(error) if write.optional && error.kind() == ErrorKind::NotFound => {}
                result => result.doing(|| format!("write `{}` to `{}`", write.value, write.file.display()))?,
            }
        }
        Ok(group)
    }

    /// The cgroups of the container `id`, whether they exist or not.
    pub fn find(hierarchies: &Hierarchies, parent: &str, id: &str) -> Group {
        let directory = |mount: &PathBuf| mount.join(parent).join(id);
        Group {
            unified: hierarchies.unified.as_ref().map(|tree| directory(&tree.mount)),
            separate: hierarchies.separate.iter().map(|tree| directory(&tree.mount)).collect(),
        }
    }

    /// Makes the directory that all containers' directories in a tree are below, once.
    fn prepare_parent(&self, plan: &Plan, directory: &Path) -> Result<()> {
        let parent = directory.parent().expect("a container's directory is below another");
        match fs::create_dir(parent) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::from(error).doing(format!("make cgroup `{}`", parent.display())));
            }
            _ => {}
        }
        if Some(directory) == self.unified.as_deref() {
            for write in plan.writes.iter().filter(|write| is_parent_write(&write.file)) {
                enable(&write.file, &write.value)?;
            }
            device_filter::set_unified(parent)?;
        } else if self.unified.is_none() && parent.join("devices.list").exists() {
            device_filter::set_separate(parent)?;
        }
        Ok(())
    }

    /// The directory that init is born into, if the host has a version 2 tree.
    pub fn open_unified(&self) -> Result<Option<File>> {
        let open = |path: &PathBuf| File::open(path).doing(|| format!("open cgroup `{}`", path.display()));
        self.unified.as_ref().map(open).transpose()
    }

    /// The file that counts how often the kernel killed a process of the container for want of memory: in both versions
    /// a line of it is `oom_kill N`.
    pub fn oom_file(&self) -> Option<File> {
        let files = self
            .directories()
            .flat_map(|directory| ["memory.events", "memory.oom_control"].map(|name| directory.join(name)));
        files.filter_map(|file| File::open(file).ok()).next()
    }

    /// Stops all processes where they are until [`thaw`](Group::thaw). Returns once they have stopped.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets frozen processes go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let v2 = self.unified.iter().map(|directory| directory.join("cgroup.freeze"));
        let v1 = self.separate.iter().map(|directory| directory.join("freezer.state"));
        let Some(file) = v2.chain(v1).find(|file| file.exists()) else {
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
        while frozen && !is_frozen(&file).doing(doing)? {
            if Instant::now() > deadline {
                return Err(Error::system("its processes do not stop").doing(doing()));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Kills all processes.
    pub fn kill(&self) -> Result<()> {
        if let Some(file) = self
            .unified
            .as_ref()
            .map(|directory| directory.join("cgroup.kill"))
            .filter(|file| file.exists())
        {
            return write_file(&file, "1").doing(|| format!("write `1` to `{}`", file.display()));
        }
        for directory in self.directories() {
            for pid in processes(directory).doing(|| format!("read `{}`", directory.display()))? {
                // It may have ended since.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Kills what is left in the cgroups and removes them. Nothing to remove is no error.
    pub fn remove(&self) -> Result<()> {
        if !self.directories().any(|directory| directory.exists()) {
            return Ok(());
        }
        let deadline = Instant::now() + GONE;
        for directory in self.directories() {
            let doing = || format!("remove cgroup `{}`", directory.display());
            loop {
                match fs::remove_dir(directory) {
                    // A process in it has not quite ended, or was never killed.
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                        self.kill()?;
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => break,
                    result => break result.doing(doing)?,
                }
            }
        }
        Ok(())
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.unified.iter().chain(&self.separate)
    }
}

/// Whether a file of the plan belongs to the directories above a container's.
fn is_parent_write(file: &Path) -> bool {
    file.ends_with("cgroup.subtree_control")
}

/// Enables controllers that are not enabled yet.
fn enable(file: &Path, value: &str) -> Result<()> {
    let doing = || format!("write `{value}` to `{}`", file.display());
    let enabled = fs::read_to_string(file).doing(doing)?;
    let is_enabled = |name: &str| enabled.split_whitespace().any(|controller| controller == name);
    if value
        .split_whitespace()
        .all(|controller| is_enabled(controller.trim_start_matches('+')))
    {
        return Ok(());
    }
    write_file(file, value).doing(doing)
}

/// Writes to a file that exists.
fn write_file(file: &Path, value: &str) -> io::Result<()> {
    io::Write::write_all(&mut fs::OpenOptions::new().write(true).open(file)?, value.as_bytes())
}

/// Whether all processes have stopped, as the file that was written or the one beside it tells.
fn is_frozen(file: &Path) -> io::Result<bool> {
    if file.ends_with("cgroup.freeze") {
        return Ok(fs::read_to_string(file.with_file_name("cgroup.events"))?.contains("frozen 1"));
    }
    Ok(fs::read_to_string(file)?.trim() == "FROZEN")
}

fn processes(directory: &Path) -> io::Result<Vec<Pid>> {
    match fs::read_to_string(directory.join("cgroup.procs")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        text => Ok(text?.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()),
    }
}
