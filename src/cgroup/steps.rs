//! The steps of init that are about cgroups: to enter its own, and to see nothing but them.

use std::path::PathBuf;

use super::{Group, Hierarchies, Plan};
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, Program, Register};

/// Writes the steps with which init enters the version 1 cgroups that are planned for it.
pub fn enter(program: &mut Program, plan: &Plan) {
    enter_all(program, &plan.separate);
}

impl Group {
    /// Writes the steps with which another process enters its version 1 cgroups.
    pub fn enter(&self, program: &mut Program) {
        enter_all(program, &self.separate);
    }
}

fn enter_all(program: &mut Program, directories: &[PathBuf]) {
    program.concept(Concept::ResourceLimits);
    for directory in directories {
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
        let options: Vec<(&str, &str)> = tree
            .controllers
            .iter()
            .map(|name| name.split_once('=').unwrap_or((name.as_str(), "")))
            .collect();
        let names: Vec<&str> = tree
            .controllers
            .iter()
            .map(|name| name.strip_prefix("name=").unwrap_or(name))
            .collect();
        let name = names.join(",");
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
        if names.len() > 1 {
            for controller in names {
                program.symlink(&name, all, controller, "each controller by its own name");
            }
        }
    }
    program.mount_setattr(all, mount_attr::RDONLY, "nothing in it may be changed");
}
