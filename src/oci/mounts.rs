//! `mounts`: file systems and parts of the host, each at its place in the container.

use super::sources::{Planned, Sources};
use crate::cgroup::{self, Hierarchies};
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, MountChange, Program, Register};

/// What mounts depend on beside themselves.
pub struct Surroundings<'a> {
    /// The label that file systems of the container's own have, where there is SELinux.
    pub label: &'a str,
    pub hierarchies: &'a Hierarchies,
    /// The container's cgroup below each tree's mount, where it has no cgroup namespace to hide what is above it.
    pub shown: Option<&'a str>,
}

/// Writes the steps that mount one of the mounts.
pub fn mount(program: &mut Program, sources: &Sources, around: &Surroundings, planned: &Planned) {
    let root = sources.root();
    program.concept(Concept::FileSystemLayering);
    if let Some(clone) = sources.bind(program, planned) {
        for change in planned.options.changes() {
            program.change_mount(clone, change, "as the mount's options say");
        }
        let target = open_place(program, root, planned);
        program.move_mount_onto(clone, target, "and there it is");
    } else if planned.kind == "cgroup" {
        let target = open_place(program, root, planned);
        let read_only = planned.options.is_read_only();
        if let Some(all) = cgroup::mount_at(program, around.hierarchies, around.shown, target, read_only) {
            cgroup::protect(program, all);
        }
    } else {
        new(program, root, planned, around.label);
    }
}

/// Writes the steps that open a place. One for `/proc` or `/sys` must not be a link: it would lead the mount elsewhere
/// (CVE-2019-19921, CVE-2023-27561).
fn open_place(program: &mut Program, root: Register, planned: &Planned) -> Register {
    let at = planned.at.clone();
    if ["proc", "sysfs"].contains(&planned.kind.as_str()) && !planned.is_bind() {
        return at
            .without_links()
            .open(program, root, "a real directory of the root, not a link to some other place");
    }
    at.open(program, root, "its place, wherever links lead within the root")
}

fn new(program: &mut Program, root: Register, planned: &Planned, label: &str) {
    let options = &planned.options;
    let mut data: Vec<(&str, &str)> = options
        .data
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if !label.is_empty() && ["tmpfs", "mqueue", "devpts"].contains(&planned.kind.as_str()) {
        data.push(("context", label));
    }
    if !planned.source.is_empty() {
        data.insert(0, ("source", &planned.source));
    }
    let path = String::from_utf8_lossy(&planned.target).into_owned();
    // What is still to be mounted in it needs directories.
    let later = if planned.kind == "tmpfs" { mount_attr::RDONLY } else { 0 };
    let mount = program.new_mount(
        &planned.kind,
        &data,
        options.attributes() & !later,
        format!("a file system for {path}"),
    );
    let target = open_place(program, root, planned);
    program.move_mount_onto(mount, target, format!("mounted on {path}"));
    if let Some(change) = options.propagation_change() {
        program.change_mount(Fd::Kept(mount), change, "as the mount's options say");
    }
}

/// Writes the steps that make file systems read-only, now that everything is mounted in them.
pub fn protect(program: &mut Program, root: Register, mounts: &[Planned]) {
    program.concept(Concept::FileSystemLayering);
    for planned in mounts
        .iter()
        .filter(|mount| mount.kind == "tmpfs" && !mount.is_bind() && mount.options.is_read_only())
    {
        let how = open::PATH | open::DIRECTORY;
        let target = program.open_in_root(root, &planned.at.path(), how, "everything in it is there now");
        program.change_mount(Fd::Kept(target), read_only(), "from now on it can only be read");
    }
}

/// The change that makes one mount read-only, and none below it.
pub fn read_only() -> MountChange {
    MountChange {
        set: mount_attr::RDONLY,
        ..MountChange::default()
    }
}
