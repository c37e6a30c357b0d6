//! What a container needs of the host's cgroups, as data: directories to make and files to write.

use std::path::{Component, Path, PathBuf};

use super::devices::default_devices;
use super::resources::{BlockIo, DeviceRule};
use super::settings::Settings;
use super::words::{error_in_flags, in_flags};
use super::{Hierarchies, Resources, Tree};
use crate::error::{Error, Result};

/// A file of a cgroup to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub file: PathBuf,
    pub value: String,
    /// What it means if the kernel has no such file.
    pub missing: Missing,
    pub why: &'static str,
}

/// What is to be done if a kernel is built without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The container is refused.
    Refuse,
    /// The value is what holds anyway.
    Ignore,
    /// The user should know that this field of the resources is not kept.
    Warn(&'static str),
    /// Another file does the same, or nearly.
    Instead(Box<Write>),
}

/// Everything that is to be done for one container.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The container's directories, one in each tree.
    pub directories: Vec<PathBuf>,
    /// The directory that init is born into: the version 2 one.
    pub unified: Option<PathBuf>,
    /// The directories that init enters by itself: the version 1 ones.
    pub separate: Vec<PathBuf>,
    /// Which of them has the version 1 list of devices.
    pub device_list: Option<PathBuf>,
    /// Which of them nobody can enter before it has processors and memory nodes.
    pub processors: Option<PathBuf>,
    /// How many directories are below each tree's mount, down to the container's own.
    pub depth: usize,
    /// The files to write before init is started, in this order. Controllers are enabled first.
    pub writes: Vec<Write>,
    /// Which devices the container may use.
    pub devices: Devices,
    /// Whether the container's process is in its cgroup already, since systemd has put it there.
    pub populated: bool,
    /// What the user should know: which resources cannot be limited or counted here.
    pub warnings: Vec<String>,
}

/// Who decides about a container's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// The one rule that is the same for all the engine's containers.
    Usual,
    /// Nobody, or the cgroups above.
    Inherited,
    /// A list of its own.
    Listed(Vec<DeviceRule>),
}

/// The controllers that the engine's limits and statistics come from.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

impl Plan {
    /// Plans the cgroups at a path below each tree's mount, such as `kubepods/burstable/pod1/0123`.
    pub fn new(hierarchies: &Hierarchies, path: &Path, resources: &Resources) -> Result<Plan> {
        resources.check()?;
        let path = clean(path)?;
        let mut plan = Plan::directories(hierarchies, &path);
        let all = hierarchies.unified.iter().flat_map(|tree| &tree.controllers);
        plan.enable(hierarchies, &path, all.map(String::as_str).collect());
        if !resources.devices.is_empty() {
            plan.devices = Devices::Listed(resources.devices.clone());
        }
        plan.write(hierarchies, &path, resources)?;
        Ok(plan)
    }

    /// Plans the cgroups of the engine's container `id` below directories named `parent`. What cannot be kept is said in the words
    /// of flags.
    pub fn of(hierarchies: &Hierarchies, parent: &str, id: &str, limits: &Resources) -> Result<Plan> {
        limits.check().map_err(error_in_flags)?;
        let path = clean(&Path::new(parent).join(id))?;
        let mut plan = Plan::directories(hierarchies, &path);
        plan.devices = Devices::Usual;
        plan.enable(hierarchies, &path, controllers(limits));
        let missing: Vec<&str> = CONTROLLERS
            .into_iter()
            .filter(|name| hierarchies.tree(name).is_none())
            .collect();
        if !missing.is_empty() {
            plan.warnings.push(format!(
                "this host has no cgroup controller for {}: it cannot be limited",
                missing.join(" and ")
            ));
        }
        plan.write(hierarchies, &path, &limits.with_usual(hierarchies))
            .map_err(error_in_flags)?;
        for warning in &mut plan.warnings {
            *warning = in_flags(warning);
        }
        Ok(plan)
    }

    /// Has the container use devices by rules of its own, after those that all have.
    pub fn allow_devices(&mut self, rules: impl IntoIterator<Item = DeviceRule>) {
        let mut all = default_devices();
        all.extend(rules);
        self.devices = Devices::Listed(all);
    }

    /// Whether some of it may turn out not to be kept when it is done, since kernels lack files.
    pub fn may_warn(&self) -> bool {
        let may = |write: &Write| matches!(write.missing, Missing::Warn(_) | Missing::Instead(_));
        self.writes.iter().any(may)
    }

    fn directories(hierarchies: &Hierarchies, path: &Path) -> Plan {
        let directory = |tree: &Tree| tree.mount.join(path);
        let unified = hierarchies.unified.as_ref().map(directory);
        let separate: Vec<PathBuf> = hierarchies.separate.iter().map(directory).collect();
        let separate_of = |name: &str| hierarchies.tree(name).filter(|(_, is_unified)| !is_unified);
        Plan {
            directories: unified.iter().chain(&separate).cloned().collect(),
            unified,
            separate,
            device_list: separate_of("devices").map(|(tree, _)| directory(tree)),
            processors: separate_of("cpuset").map(|(tree, _)| directory(tree)),
            depth: path.components().count(),
            writes: Vec::new(),
            devices: Devices::Inherited,
            populated: false,
            warnings: Vec::new(),
        }
    }

    /// In version 2 a controller works in a directory once every directory above has it enabled for those below.
    fn enable(&mut self, hierarchies: &Hierarchies, path: &Path, wanted: Vec<&str>) {
        let Some(tree) = &hierarchies.unified else { return };
        let is_there = |name: &&str| tree.controllers.iter().any(|controller| controller == name);
        let enable = |name: &str| format!("+{name}");
        let value = wanted.into_iter().filter(is_there).map(enable).collect::<Vec<_>>().join(" ");
        if value.is_empty() {
            return;
        }
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for directory in above {
            // A join with nothing would add a slash.
            let directory = if directory.as_os_str().is_empty() {
                tree.mount.clone()
            } else {
                tree.mount.join(directory)
            };
            self.writes.push(Write {
                file: directory.join("cgroup.subtree_control"),
                value: value.clone(),
                missing: Missing::Refuse,
                why: "the controllers work in the directories below",
            });
        }
    }

    fn write(&mut self, hierarchies: &Hierarchies, path: &Path, resources: &Resources) -> Result<()> {
        let mut settings = Settings::new(hierarchies, path);
        settings.all(resources)?;
        self.writes.append(&mut settings.writes);
        self.warnings.append(&mut settings.warnings);
        Ok(())
    }

    /// The directories down to one of the container's own, from the top.
    pub fn levels<'a>(&self, directory: &'a Path) -> Vec<&'a Path> {
        let mut levels: Vec<&Path> = directory.ancestors().take(self.depth).collect();
        levels.reverse();
        levels
    }
}

/// The version 2 controllers that the engine's limits need.
fn controllers(limits: &Resources) -> Vec<&'static str> {
    let mut names = CONTROLLERS.to_vec();
    if !limits.cpu.cpus.is_empty() || !limits.cpu.mems.is_empty() {
        names.push("cpuset");
    }
    if limits.block_io != BlockIo::default() {
        names.push("io");
    }
    names
}

/// A path without a root, and without `..`, which would lead out of the tree.
pub fn clean(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    if clean.as_os_str().is_empty() {
        return Err(Error::invalid(format!("`{}` is no path of a cgroup", path.display())).doing("`linux.cgroupsPath`"));
    }
    Ok(clean)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
