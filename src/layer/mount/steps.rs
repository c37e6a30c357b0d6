//! The steps that show something at its place in the container's root.

use super::{Access, Origin, Propagation};
use crate::layer::MountPoint;
use crate::layer::overlay;
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};

/// Something to be shown whose place in the container is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub origin: Origin,
    pub at: MountPoint,
    pub access: Access,
    pub propagation: Propagation,
    /// Whether its files belong to the container's users by the ids that they have on disk.
    pub id_mapped: bool,
    /// A clone of the source, where it had to be made before.
    pub clone: Option<Register>,
    pub why: &'static str,
}

impl Bind {
    /// Whether it is made in the container rather than taken from the host.
    pub fn is_new(&self) -> bool {
        matches!(self.origin, Origin::New { .. })
    }
}

/// Writes the steps that show something below `root`. Returns what was mounted.
pub fn bind(program: &mut Program, concept: Concept, root: Register, bind: &Bind) -> Register {
    program.concept(concept);
    let tree = bind.clone.unwrap_or_else(|| open_bind(program, concept, bind));
    let target = bind
        .at
        .open(program, root, "its place, wherever links in the image lead within the root");
    program.move_mount_onto(tree, target, "and there it is");
    tree
}

/// Writes the steps that make or clone what is shown, which is attached nowhere yet.
pub fn open_bind(program: &mut Program, concept: Concept, bind: &Bind) -> Register {
    program.concept(concept);
    let tree = open_origin(program, bind);
    if bind.is_new() {
        return tree;
    }
    if bind.id_mapped && !matches!(bind.origin, Origin::Layers(_)) {
        let change = MountChange {
            users: Some(Input::Users),
            ..MountChange::default()
        };
        let why = "files belong to the container's users, whatever they have on disk";
        program.change_mount(Fd::Kept(tree), change, why);
    }
    match bind.access {
        Access::Writable => {}
        Access::ReadOnly => program.mount_setattr(
            tree,
            mount_attr::RDONLY,
            "the container may only read it, and what is mounted below it",
        ),
        Access::ReadOnlyTop => program.change_mount(Fd::Kept(tree), read_only(), "the container may only read it"),
    }
    if let Some((propagation, recursive)) = bind.propagation.change() {
        let change = MountChange {
            propagation,
            recursive,
            ..MountChange::default()
        };
        program.change_mount(
            Fd::Kept(tree),
            change,
            "what is mounted there later is seen here as well, as asked for",
        );
    }
    tree
}

fn open_origin(program: &mut Program, bind: &Bind) -> Register {
    match &bind.origin {
        Origin::Path { path, recursive } => program.open_tree(Fd::Cwd, path, *recursive, bind.why),
        Origin::Below { directory, path } => {
            let how = open::PATH | open::DIRECTORY;
            let directory = program.open(Fd::Cwd, directory, how, bind.why);
            clone_below(program, directory, path)
        }
        Origin::New { kind, data, attributes } => {
            let data: Vec<(&str, &str)> = data.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            program.new_mount(kind, &data, *attributes, bind.why)
        }
        Origin::Layers(layers) => {
            // An overlay shows the owners that its layers show.
            if bind.id_mapped {
                overlay::show_images_as_owned(program, layers);
            }
            overlay::make_image(program, layers, bind.why)
        }
    }
}

/// Writes the steps that clone what a path leads to below a directory. Whoever can write there may exchange what is on the way, at
/// any time; the kernel sees to it that no link leads out (CVE-2017-1002101, CVE-2021-25741). What was opened is what is shown.
fn clone_below(program: &mut Program, directory: Register, path: &[u8]) -> Register {
    let part = program.open_beneath(
        directory,
        path,
        open::PATH,
        "the part that is shown, wherever links lead within the whole",
    );
    program.open_tree(part, b"", true, "what was opened, and nothing that has its name by now")
}

/// Writes the step that makes something read-only in which others could be mounted until now.
pub fn protect(program: &mut Program, mount: Register, why: &'static str) {
    program.concept(Concept::FileSystemLayering);
    program.change_mount(Fd::Kept(mount), read_only(), why);
}

fn read_only() -> MountChange {
    MountChange {
        set: mount_attr::RDONLY,
        ..MountChange::default()
    }
}
