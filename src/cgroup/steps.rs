//! The steps of init that are about cgroups: to enter its own, and to see nothing but them.

use std::path::PathBuf;

use super::{Group, Hierarchies, Plan, Tree};
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

const HARMLESS: u64 = mount_attr::NOSUID | mount_attr::NODEV | mount_attr::NOEXEC;

/// Writes the steps that show the container its own cgroups at `/sys/fs/cgroup`. Returns what [`mount_at`] does.
pub fn mount(program: &mut Program, hierarchies: &Hierarchies, sys: Register, read_only: bool) -> Option<Register> {
    if hierarchies.separate.is_empty() && hierarchies.unified.is_none() {
        return None;
    }
    program.concept(Concept::ResourceLimits);
    let how = open::PATH | open::DIRECTORY;
    let target = program.open(Fd::Kept(sys), b"fs/cgroup", how, "where programs look for cgroups");
    mount_at(program, hierarchies, None, target, read_only)
}

/// Writes the steps that show the container its own cgroups at a place. Where it has no cgroup namespace, `shown` is their path below
/// each tree's mount. Returns the directory that has all trees of version 1, which is still to be made read-only.
pub fn mount_at(
    program: &mut Program,
    hierarchies: &Hierarchies,
    shown: Option<&str>,
    target: Register,
    read_only: bool,
) -> Option<Register> {
    program.concept(Concept::ResourceLimits);
    if hierarchies.separate.is_empty() {
        if let Some(tree) = &hierarchies.unified {
            let cgroup = tree_mount(program, tree, "cgroup2", &[], shown, read_only);
            program.move_mount_onto(cgroup, target, "mounted where programs look for it");
        }
        return None;
    }
    let options = [("mode", "755"), ("size", "64k")];
    let all = program.new_mount("tmpfs", &options, HARMLESS, "a directory for each cgroup tree");
    program.move_mount_onto(all, target, "mounted where programs look for it");
    for tree in &hierarchies.separate {
        mount_separate(program, tree, all, shown, read_only);
    }
    read_only.then_some(all)
}

/// Writes the step that makes a directory with cgroup trees read-only, when all are in it and it is attached in this namespace.
pub fn protect(program: &mut Program, all: Register) {
    program.concept(Concept::ResourceLimits);
    program.mount_setattr(all, mount_attr::RDONLY, "nothing in it may be changed");
}

/// Writes the steps that mount a version 1 tree in the directory that has all of them.
fn mount_separate(program: &mut Program, tree: &Tree, all: Register, shown: Option<&str>, read_only: bool) {
    let option = |name: &'_ String| {
        name.split_once('=')
            .map_or((name.clone(), String::new()), |(a, b)| (a.into(), b.into()))
    };
    let options: Vec<(String, String)> = tree.controllers.iter().map(option).collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let bare = |name: &'_ String| name.strip_prefix("name=").unwrap_or(name).to_string();
    let names: Vec<String> = tree.controllers.iter().map(bare).collect();
    let name = names.join(",");
    let cgroup = tree_mount(program, tree, "cgroup", &options, shown, read_only);
    program.mkdir(Fd::Kept(all), name.as_bytes(), 0o755, "where it is mounted");
    program.move_mount(cgroup, Fd::Kept(all), name.as_bytes(), format!("mounted on {name}"));
    if names.len() > 1 {
        for controller in &names {
            program.symlink(&name, all, controller, "each controller by its own name");
        }
    }
}

/// Writes the steps that mount a tree, or clone the part of it that the container is to see.
fn tree_mount(
    program: &mut Program,
    tree: &Tree,
    kind: &str,
    options: &[(&str, &str)],
    shown: Option<&str>,
    read_only: bool,
) -> Register {
    let attributes = HARMLESS | if read_only { mount_attr::RDONLY } else { 0 };
    let why = "programs size themselves by their limits";
    let Some(path) = shown else {
        return program.new_mount(kind, options, attributes, why);
    };
    let own = tree.mount.join(path);
    let clone = program.open_tree(Fd::Cwd, own.as_os_str().as_encoded_bytes(), false, why);
    program.mount_setattr(clone, attributes, "it may not do more");
    clone
}
