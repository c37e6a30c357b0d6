//! A container's cgroups on this host.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::device_filter::{set_separate, set_unified, set_usual};
use super::devices::default_devices;
use super::plan::{Devices, Write, clean};
use super::write::{enable, write_all, write_file};
use super::{DeviceRule, Hierarchies, Plan, Tree};
use crate::error::{Doing, Error, Result};
use crate::kernel::table;

/// The directories of one container.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) unified: Option<PathBuf>,
    pub(super) separate: Vec<PathBuf>,
    /// What creating it could not keep of what was asked for.
    pub warnings: Vec<String>,
}

/// How long processes that were killed may take to be gone.
pub(super) const GONE: Duration = Duration::from_secs(10);
/// How often directories are made again that others remove at the same time.
const ATTEMPTS: u32 = 10;

impl Group {
    /// Does what the plan says. If it cannot, nothing is left of it.
    pub fn create(plan: &Plan) -> Result<Group> {
        let mut group = Group {
            unified: plan.unified.clone(),
            separate: plan.separate.clone(),
            warnings: Vec::new(),
        };
        let mut made = Vec::new();
        let result = group.make(plan, &mut made);
        if result.is_err() {
            // One that has got something in it meanwhile is somebody else's.
            made.iter().rev().for_each(|directory| drop(fs::remove_dir(directory)));
        }
        result.map(|()| group)
    }

    fn make(&mut self, plan: &Plan, made: &mut Vec<PathBuf>) -> Result<()> {
        for directory in &plan.directories {
            let levels = plan.levels(directory);
            let is_new = make_levels(&levels, made)?;
            if !is_new && !plan.populated {
                check_unused(directory)?;
            }
            if Some(directory) == plan.processors.as_ref() {
                inherit_cpusets(&levels, made)?;
            }
        }
        let (above, own): (Vec<&Write>, Vec<&Write>) = plan.writes.iter().partition(|write| self.is_above(write));
        self.enable(&above, &own)?;
        self.filter_devices(plan)?;
        self.warnings = write_all(own.into_iter())?;
        Ok(())
    }

    /// Has the kernel look up the files through which init enters, which takes longer than to open them then.
    pub fn look_up_entrances(&self) {
        for directory in &self.separate {
            let _ = fs::metadata(directory.join("tasks"));
        }
    }

    /// Whether a file belongs to the directories above a container's.
    pub(super) fn is_above(&self, write: &Write) -> bool {
        write.file.ends_with("cgroup.subtree_control") && write.file.parent() != self.unified.as_deref()
    }

    /// Enables controllers from the top. It matters only for those that something is written for.
    pub(super) fn enable(&self, above: &[&Write], own: &[&Write]) -> Result<()> {
        for write in above {
            for (name, error) in enable(&write.file, &write.value)? {
                let prefix = format!("{}.", &name[1..]);
                let is_of = |file: &Path| {
                    file.file_name()
                        .is_some_and(|file| file.to_string_lossy().starts_with(&prefix))
                };
                let is_needed = |write: &&&Write| self.unified.as_deref() == write.file.parent() && is_of(&write.file);
                if own.iter().any(|write| is_needed(&write)) {
                    return Err(Error::from(error).doing(format!("write `{name}` to `{}`", write.file.display())));
                }
            }
        }
        Ok(())
    }

    pub(super) fn filter_devices(&self, plan: &Plan) -> Result<()> {
        match (&plan.devices, &self.unified) {
            (Devices::Inherited, _) => Ok(()),
            (Devices::Usual, Some(directory)) => set_usual(directory.parent().expect("a container's directory is below another")),
            (Devices::Listed(rules), Some(directory)) => set_unified(directory, rules).and_then(|()| list_devices(plan, rules)),
            (Devices::Listed(rules), None) => list_devices(plan, rules),
            (Devices::Usual, None) => list_devices(plan, &default_devices()),
        }
    }

    /// The cgroups at a path below each tree's mount, whether they exist or not.
    pub fn find(hierarchies: &Hierarchies, path: &Path) -> Group {
        // No path leads out of the trees, and at their roots is no container.
        let path = clean(path).ok();
        let directory = |tree: &Tree| Some(tree.mount.join(path.as_ref()?));
        Group {
            unified: hierarchies.unified.as_ref().and_then(directory),
            separate: hierarchies.separate.iter().filter_map(directory).collect(),
            warnings: Vec::new(),
        }
    }

    /// The cgroups that another process of a container can be put into, whose own are at `path`: where its first process is, if that is
    /// at or below them. A cgroup of version 2 whose controllers are enabled for those below it, as systemd does in a container,
    /// takes none (cgroups(7), "no internal processes"). `table` is that process's (`/proc/PID/cgroup`).
    pub fn beside(hierarchies: &Hierarchies, table: &str, path: &Path) -> Group {
        let own = Group::find(hierarchies, path);
        let place = |tree: &Tree, names: &str, own: PathBuf| {
            let mut lines = table.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
            let place = lines.find(|(of, _)| *of == names);
            let place = place.map(|(_, path)| tree.mount.join(path.trim_start_matches('/')));
            place
                .filter(|place| place.starts_with(&own))
                .or_else(|| own.exists().then_some(own))
        };
        let unified = hierarchies.unified.iter().zip(own.unified);
        let separate = hierarchies.separate.iter().zip(own.separate);
        Group {
            unified: unified.filter_map(|(tree, own)| place(tree, "", own)).next(),
            separate: separate
                .filter_map(|(tree, own)| place(tree, &tree.controllers.join(","), own))
                .collect(),
            warnings: Vec::new(),
        }
    }

    /// Only those of the directories that exist.
    pub fn existing(mut self) -> Group {
        self.unified = self.unified.filter(|directory| directory.exists());
        self.separate.retain(|directory| directory.exists());
        self
    }

    /// The directory that init is born into, if the host has a version 2 tree.
    pub fn open_unified(&self) -> Result<Option<File>> {
        let open = |path: &PathBuf| File::open(path).doing(|| format!("open cgroup `{}`", path.display()));
        self.unified.as_ref().map(open).transpose()
    }

    /// Kills what is left in the cgroups and those below them, and removes them. Nothing to remove is no error. The
    /// directories above may be others', and stay.
    pub fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + GONE;
        for directory in self.directories() {
            let doing = || format!("remove cgroup `{}`", directory.display());
            loop {
                match remove_below(directory) {
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

    /// Whether there is any of its directories.
    pub fn exists(&self) -> bool {
        self.directories().any(|directory| directory.exists())
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.unified.iter().chain(&self.separate)
    }
}

/// The table of the cgroups that a process is in: a number, controllers, and a path in each line (cgroups(7)).
pub fn table_of(pid: i32) -> Result<String> {
    let file = format!("/proc/{pid}/cgroup");
    let table = table::read(&file, table::PAGE).and_then(|table| String::from_utf8(table).map_err(io::Error::other));
    table.doing(|| format!("read `{file}`"))
}

/// Writes the rules to the version 1 list, where there is one: whoever asks finds them there.
fn list_devices(plan: &Plan, rules: &[DeviceRule]) -> Result<()> {
    let list = plan.device_list.as_ref();
    list.map_or(Ok(()), |directory| set_separate(directory, rules))
}

/// Makes a directory and those above it, which are mostly there. Returns whether the last one is new.
pub(super) fn make_levels(levels: &[&Path], made: &mut Vec<PathBuf>) -> Result<bool> {
    let mut attempts = 0;
    let mut first = levels.len().saturating_sub(1);
    'again: loop {
        let mut is_new = false;
        for level in &levels[first..] {
            is_new = match fs::create_dir(level) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                Err(error) if error.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => {
                    attempts += 1;
                    first = 0;
                    continue 'again;
                }
                Err(error) => return Err(Error::from(error).doing(format!("make cgroup `{}`", level.display()))),
            };
            if is_new {
                made.push(level.to_path_buf());
            }
        }
        return Ok(is_new);
    }
}

/// Refuses a directory that somebody else uses: limits would be theirs, too, and killing as well.
fn check_unused(directory: &Path) -> Result<()> {
    let doing = || format!("make cgroup `{}`", directory.display());
    let processes = super::processes::listed(directory).doing(doing)?;
    if !processes.is_empty() {
        return Err(Error::conflict(format!("it exists, with {} processes in it", processes.len())).doing(doing()));
    }
    let is_frozen = |file: &str, value: &str| fs::read_to_string(directory.join(file)).is_ok_and(|text| text.trim() == value);
    if is_frozen("cgroup.freeze", "1") || is_frozen("freezer.state", "FROZEN") {
        return Err(Error::conflict("it exists, and is frozen").doing(doing()));
    }
    Ok(())
}

/// Gives cgroups, from the top, the processors that they lack. Of those that were just `made` it is known that they do.
pub(super) fn inherit_cpusets(levels: &[&Path], made: &[PathBuf]) -> Result<()> {
    let mut levels = levels.iter();
    levels.try_for_each(|level| inherit_cpuset(level, made.iter().any(|made| made == level)))
}

/// In version 1 a new cgroup has no processors and no memory nodes, and nobody can enter it before it has: it gets those of
/// the one above. One that was there may have been given some.
fn inherit_cpuset(directory: &Path, is_new: bool) -> Result<()> {
    let above = directory.parent().expect("a container's directory is below another");
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let read = |directory: &Path| {
            let file = directory.join(name);
            table::text(&file, table::PAGE).doing(|| format!("read `{}`", file.display()))
        };
        if is_new || read(directory)?.trim().is_empty() {
            let file = directory.join(name);
            let value = read(above)?;
            let value = value.trim();
            write_file(&file, value).doing(|| format!("write `{value}` to `{}`", file.display()))?;
        }
    }
    Ok(())
}

/// Removes a directory of a cgroup tree and those in it.
fn remove_below(directory: &Path) -> std::io::Result<()> {
    match fs::remove_dir(directory) {
        // That is what a cgroup with others below it says, as well as one with processes.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        result => return result,
    }
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            match remove_below(&entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_goes_where_the_first_is_unless_that_has_left() {
        let tree = |mount: &str, controllers: &[&str]| Tree {
            mount: mount.into(),
            controllers: controllers.iter().map(|name| name.to_string()).collect(),
        };
        let hierarchies = Hierarchies {
            unified: Some(tree("/c/unified", &[])),
            separate: vec![
                tree("/c/cpu", &["cpu", "cpuacct"]),
                tree("/c/systemd", &["name=systemd"]),
                tree("/c/memory", &["memory"]),
            ],
        };
        let table = "9:name=systemd:/\n2:cpu,cpuacct:/a/b\n1:memory:/a/bc\n0::/a/b/c:d\n";
        let group = Group::beside(&hierarchies, table, Path::new("/a/b"));
        assert_eq!(group.unified, Some("/c/unified/a/b/c:d".into()));
        assert_eq!(group.separate, [PathBuf::from("/c/cpu/a/b")], "the others do not exist");
    }

    #[test]
    fn no_path_leads_out_of_the_tree() {
        let hierarchies = Hierarchies {
            unified: None,
            separate: vec![Tree {
                mount: "/c".into(),
                controllers: Vec::new(),
            }],
        };
        for (path, directories) in [
            ("/a/b", &["/c/a/b"][..]),
            ("a//b/.", &["/c/a/b"]),
            ("../../a/../b", &["/c/b"]),
            ("..", &[]),
        ] {
            let found = Group::find(&hierarchies, Path::new(path)).separate;
            assert_eq!(found, directories.iter().map(PathBuf::from).collect::<Vec<_>>(), "{path}");
        }
    }
}
