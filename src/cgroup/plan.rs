//! What a container needs of the host's cgroups, as data: directories to make, files to write, and the steps that init
//! takes.

use std::path::PathBuf;

use super::limits::USUAL_PIDS;
use super::{Hierarchies, Limits, Tree};
use crate::error::{Error, Result};
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, Program, Register};

/// A file of a cgroup to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub file: PathBuf,
    pub value: String,
    /// Whether a kernel may be built without the file.
    pub optional: bool,
    pub why: &'static str,
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
    /// The files to write before init is started, in this order.
    pub writes: Vec<Write>,
    /// What the user should know: which resources cannot be limited or counted here.
    pub warnings: Vec<String>,
}

/// The controllers that a container's limits and statistics come from.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// The length of the period of which a quota is a part, in microseconds.
const PERIOD: u64 = 100_000;
/// The files that a kernel has only if it accounts for swap.
const SWAP: [&str; 2] = ["memory.swap.max", "memory.memsw.limit_in_bytes"];

impl Plan {
    /// Plans the cgroups of the container `id` below directories named `parent`.
    pub fn new(hierarchies: &Hierarchies, parent: &str, id: &str, limits: &Limits) -> Result<Plan> {
        let directory = |tree: &Tree| tree.mount.join(parent).join(id);
        let unified = hierarchies.unified.as_ref().map(directory);
        let separate: Vec<PathBuf> = hierarchies.separate.iter().map(directory).collect();
        let directories = unified.iter().chain(&separate).cloned().collect();
        let mut plan = Plan {
            directories,
            unified,
            separate,
            writes: Vec::new(),
            warnings: Vec::new(),
        };
        plan.enable_controllers(hierarchies, parent);
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
        if let Some(cpus) = limits.cpus {
            let quota = (cpus * PERIOD as f64).round() as u64;
            plan.limit(
                hierarchies,
                "cpu",
                &[("cpu.max", format!("{quota} {PERIOD}"))],
                &[
                    ("cpu.cfs_period_us", PERIOD.to_string()),
                    ("cpu.cfs_quota_us", quota.to_string()),
                ],
            )?;
        }
        if let Some(memory) = limits.memory {
            plan.limit(
                hierarchies,
                "memory",
                &[("memory.max", memory.to_string()), ("memory.swap.max", memory.to_string())],
                &[
                    ("memory.limit_in_bytes", memory.to_string()),
                    ("memory.memsw.limit_in_bytes", (memory * 2).to_string()),
                ],
            )?;
        }
        let pids = match limits.pids {
            Some(0) => None,
            None => hierarchies.tree("pids").map(|_| USUAL_PIDS),
            asked => asked,
        };
        if let Some(pids) = pids {
            plan.limit(
                hierarchies,
                "pids",
                &[("pids.max", pids.to_string())],
                &[("pids.max", pids.to_string())],
            )?;
        }
        Ok(plan)
    }

    /// In version 2 a controller works in a directory once the directory above has it enabled for those below.
    fn enable_controllers(&mut self, hierarchies: &Hierarchies, parent: &str) {
        let Some(tree) = &hierarchies.unified else { return };
        let wanted = CONTROLLERS
            .iter()
            .filter(|name| tree.controllers.iter().any(|controller| controller == *name));
        let value = wanted.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
        if !value.is_empty() {
            for directory in [tree.mount.clone(), tree.mount.join(parent)] {
                let file = directory.join("cgroup.subtree_control");
                let why = "the controllers work in the directories below";
                self.writes.push(Write {
                    file,
                    value: value.clone(),
                    optional: false,
                    why,
                });
            }
        }
    }

    /// Adds the files to write for one controller, as version 2 or version 1 has them.
    fn limit(&mut self, hierarchies: &Hierarchies, controller: &str, v2: &[(&str, String)], v1: &[(&str, String)]) -> Result<()> {
        let Some((tree, unified)) = hierarchies.tree(controller) else {
            return Err(Error::invalid(format!(
                "a {controller} limit cannot be kept: this host has no cgroup controller for it"
            )));
        };
        let directory = self
            .directories
            .iter()
            .find(|directory| directory.starts_with(&tree.mount))
            .expect("one for each tree");
        for (file, value) in if unified { v2 } else { v1 } {
            let (why, optional) = ("in force before the command can run", SWAP.contains(file));
            self.writes.push(Write {
                file: directory.join(file),
                value: value.clone(),
                optional,
                why,
            });
        }
        Ok(())
    }
}

/// Writes the steps with which init enters its version 1 cgroups.
pub fn enter(program: &mut Program, plan: &Plan) {
    program.concept(Concept::ResourceLimits);
    for directory in &plan.separate {
        let path = directory.join("tasks");
        let tasks = program.open(
            Fd::Cwd,
            path.as_os_str().as_encoded_bytes(),
            open::WRONLY,
            "the container's cgroup",
        );
        program.write(tasks, "0", "enter it, alone: whatever the command starts is born there");
    }
}

/// Writes the steps that show the container its own cgroups, read-only, at `/sys/fs/cgroup`.
pub fn mount(program: &mut Program, hierarchies: &Hierarchies, sys: Register) {
    program.concept(Concept::ResourceLimits);
    let harmless = mount_attr::NOSUID | mount_attr::NODEV | mount_attr::NOEXEC;
    if hierarchies.separate.is_empty() {
        if hierarchies.unified.is_some() {
            let cgroup = program.new_mount(
                "cgroup2",
                &[],
                harmless | mount_attr::RDONLY,
                "programs size themselves by their limits",
            );
            program.move_mount(cgroup, Fd::Kept(sys), b"fs/cgroup", "mounted on /sys/fs/cgroup");
        }
        return;
    }
    let all = program.new_mount(
        "tmpfs",
        &[("mode", "755"), ("size", "64k")],
        harmless,
        "a directory for each cgroup tree",
    );
    program.move_mount(all, Fd::Kept(sys), b"fs/cgroup", "mounted on /sys/fs/cgroup");
    for tree in &hierarchies.separate {
        let options: Vec<(&str, &str)> = tree.controllers.iter().map(|name| (name.as_str(), "")).collect();
        let name = tree.controllers.join(",");
        let cgroup = program.new_mount(
            "cgroup",
            &options,
            harmless | mount_attr::RDONLY,
            "programs size themselves by their limits",
        );
        program.mkdir(Fd::Kept(all), name.as_bytes(), 0o755, "where it is mounted");
        program.move_mount(
            cgroup,
            Fd::Kept(all),
            name.as_bytes(),
            format!("mounted on /sys/fs/cgroup/{name}"),
        );
        if tree.controllers.len() > 1 {
            for controller in &tree.controllers {
                program.symlink(&name, all, controller, "each controller by its own name");
            }
        }
    }
    program.mount_setattr(all, mount_attr::RDONLY, "nothing in it may be changed");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(mount: &str, controllers: &[&str]) -> Tree {
        Tree {
            mount: mount.into(),
            controllers: controllers.iter().map(|name| name.to_string()).collect(),
        }
    }

    fn hybrid() -> Hierarchies {
        let separate = ["cpu", "memory", "pids"]
            .map(|name| tree(&format!("/c/{name}"), &[name]))
            .to_vec();
        Hierarchies {
            unified: Some(tree("/c/unified", &["hugetlb"])),
            separate,
        }
    }

    fn pure() -> Hierarchies {
        Hierarchies {
            unified: Some(tree("/c", &["cpu", "io", "memory", "pids"])),
            separate: Vec::new(),
        }
    }

    fn writes(hierarchies: &Hierarchies, limits: &Limits) -> Vec<String> {
        let plan = Plan::new(hierarchies, "tinydock", "id", limits).unwrap();
        plan.writes
            .iter()
            .map(|write| format!("{} {}", write.file.display(), write.value))
            .collect()
    }

    #[test]
    fn each_limit_is_written_where_its_controller_is() {
        let limits = Limits {
            cpus: Some(0.5),
            memory: Some(1 << 20),
            pids: Some(10),
        };
        assert_eq!(
            writes(&hybrid(), &limits),
            [
                "/c/cpu/tinydock/id/cpu.cfs_period_us 100000",
                "/c/cpu/tinydock/id/cpu.cfs_quota_us 50000",
                "/c/memory/tinydock/id/memory.limit_in_bytes 1048576",
                "/c/memory/tinydock/id/memory.memsw.limit_in_bytes 2097152",
                "/c/pids/tinydock/id/pids.max 10",
            ]
        );
        assert_eq!(
            writes(&pure(), &limits),
            [
                "/c/cgroup.subtree_control +cpu +memory +pids",
                "/c/tinydock/cgroup.subtree_control +cpu +memory +pids",
                "/c/tinydock/id/cpu.max 50000 100000",
                "/c/tinydock/id/memory.max 1048576",
                "/c/tinydock/id/memory.swap.max 1048576",
                "/c/tinydock/id/pids.max 10",
            ]
        );
    }

    #[test]
    fn processes_are_limited_unless_the_user_says_otherwise() {
        let limit = |pids| {
            writes(
                &hybrid(),
                &Limits {
                    pids,
                    ..Limits::default()
                },
            )
        };
        assert_eq!(limit(None), ["/c/pids/tinydock/id/pids.max 4096"]);
        assert_eq!(limit(Some(7)), ["/c/pids/tinydock/id/pids.max 7"]);
        assert_eq!(limit(Some(0)), [""; 0]);
    }

    #[test]
    fn a_missing_controller_is_a_warning_until_a_limit_needs_it() {
        let mut hierarchies = hybrid();
        hierarchies.separate.remove(1);
        let plan = Plan::new(&hierarchies, "tinydock", "id", &Limits::default()).unwrap();
        assert_eq!(
            plan.warnings,
            ["this host has no cgroup controller for memory: it cannot be limited"]
        );
        let error = Plan::new(
            &hierarchies,
            "tinydock",
            "id",
            &Limits {
                memory: Some(1),
                ..Limits::default()
            },
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a memory limit cannot be kept: this host has no cgroup controller for it"
        );
    }
}
