//! The overlay mount, as steps of the program: it exists only inside the container's mount namespace, so it never shows in
//! the host's mount table and ends with the container.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{Given, Lower};
use crate::error::{Doing, Result};
use crate::program::flags::{mount_attr, open, prctl};
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};

/// The directories of one container's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The image's layers, topmost first.
    pub lower: Vec<Lower>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// Where the root is attached until it becomes the root: a directory in which nothing is looked for meanwhile.
    pub attach: PathBuf,
    /// Whether nobody will miss what is not yet on disk when the container ends.
    pub volatile: bool,
    /// Whether the kernel takes layers one at a time (Linux 6.5), rather than in one string of at most a page.
    pub layer_by_layer: bool,
    /// The user and the group that are the container's root on the host, where it has users of its own. What is on disk is
    /// owned by the ids that the image has.
    pub root: Option<(u32, u32)>,
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

/// Writes the steps that make the container's root file system, which is attached nowhere yet.
pub fn make_overlay(program: &mut Program, overlay: &Overlay) -> Register {
    match overlay.root {
        None => mount(program, overlay),
        Some(root) => {
            let shown = show_as_owned(program, overlay);
            become_owner(program, root);
            mount(program, &shown)
        }
    }
}

/// Writes the step that attaches the root where it becomes the root.
pub fn attach_overlay(program: &mut Program, overlay: &Overlay, root: Register) {
    program.concept(Concept::FileSystemLayering);
    // Users of the container's own may not reach the directory, but `/proc` is always in reach.
    let at = match overlay.root {
        None => bytes(&overlay.attach),
        Some(_) => b"/proc".to_vec(),
    };
    program.move_mount(root, Fd::Cwd, &at, "attached in this mount namespace only");
}

/// Writes the steps that show all layers with the container's ids, below the place where nothing is attached yet. The overlay of
/// those is returned.
fn show_as_owned(program: &mut Program, overlay: &Overlay) -> Overlay {
    program.concept(Concept::FileSystemLayering);
    let options = [("mode", "755"), ("size", "64k")];
    let places = program.new_mount("tmpfs", &options, 0, "a place for each layer");
    let why = "where layers can be named, in this mount namespace only";
    program.move_mount(places, Fd::Cwd, &bytes(&overlay.attach), why);
    show_images_as_owned(program, &overlay.lower);
    let mut show = |path: &Path, name: &str| {
        let tree = program.open_tree(Fd::Cwd, &bytes(path), false, "a layer, for its owners to be shown as others");
        let change = MountChange {
            users: Some(Input::Users),
            ..MountChange::default()
        };
        let why = "files belong to the container's users, whatever they have on disk";
        program.change_mount(Fd::Kept(tree), change, why);
        program.mkdir(Fd::Kept(places), name.as_bytes(), 0o755, "its place");
        program.move_mount(tree, Fd::Kept(places), name.as_bytes(), "and there it is");
        overlay.attach.join(name)
    };
    let lower = overlay.lower.iter().enumerate();
    let lower = lower.map(|(n, layer)| match layer {
        Lower::Tree(path) | Lower::Nothing(path) => Lower::Tree(show(path, &n.to_string())),
        image => image.clone(),
    });
    let lower = lower.collect();
    // What is written and what is prepared must be on one mount.
    let own = show(overlay.upper.parent().unwrap_or(&overlay.upper), "own");
    let below = |path: &Path| own.join(path.file_name().unwrap_or_default());
    Overlay {
        lower,
        upper: below(&overlay.upper),
        work: below(&overlay.work),
        ..overlay.clone()
    }
}

/// Writes the steps that show the images among layers with the container's ids. The mounts are nobody else's.
pub fn show_images_as_owned(program: &mut Program, layers: &[Lower]) {
    for layer in layers {
        if let Lower::Image { given, .. } = layer {
            let change = MountChange {
                users: Some(Input::Users),
                ..MountChange::default()
            };
            let why = "files of this layer belong to the container's users, whatever it says";
            program.change_mount(Fd::Given(*given), change, why);
        }
    }
}

/// Writes the steps after which files are made as the container's root: that is who overlayfs is for it, and nobody else has a name
/// in the layers that are shown. The power to reach them stays.
fn become_owner(program: &mut Program, (user, group): (u32, u32)) {
    const NO_SETUID_FIXUP: i64 = 1 << 2;
    let why = "accessing files as another must not decide about capabilities";
    program.prctl(prctl::SET_SECUREBITS, NO_SETUID_FIXUP, why);
    program.setfsgid(group, "what overlayfs makes by itself belongs to the container's root");
    program.setfsuid(user, "and so does what it copies up");
}

/// Makes a work directory usable again. One of a mount that was not synced has a mark, which is for hosts that went down meanwhile:
/// what was written then may not have reached the disk (overlayfs(5), `volatile`). Whoever calls this knows that the host did not.
pub fn reuse(work: &Path) -> Result<()> {
    let mark = work.join("work/incompat/volatile");
    match fs::remove_dir_all(&mark) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).doing(|| format!("remove `{}`", mark.display())),
        _ => Ok(()),
    }
}

/// Writes the steps that make a file system of nothing but an image's layers, topmost first (Linux 6.5).
pub fn make_image(program: &mut Program, layers: &[Lower], why: &'static str) -> Register {
    let fs = program.fsopen("overlay", why);
    layers.iter().for_each(|layer| add_layer(program, fs, layer));
    if layers.iter().any(|layer| matches!(layer, Lower::Image { .. })) {
        program.fsconfig_string(fs, "xino", b"on", ONE_DEVICE);
    }
    program.fsconfig_create(fs, "make it");
    program.fsmount(fs, "image", mount_attr::RDONLY, "mounted, but attached nowhere yet")
}

/// The setting that adds a layer below those that are there.
const LAYER: &str = "lowerdir+";
/// Layers that are file systems of their own could be told apart: `find -xdev` would stop at their files.
const ONE_DEVICE: &str = "all files are on one device, whichever layer has them";

/// Writes the steps that add a layer below those that are there.
fn add_layer(program: &mut Program, fs: Register, layer: &Lower) {
    match layer {
        Lower::Tree(path) => program.fsconfig_string(fs, LAYER, &bytes(path), "a layer of the image, read-only and shared"),
        Lower::Nothing(path) => program.fsconfig_string(fs, LAYER, &bytes(path), "nothing: an overlay has two layers at least"),
        Lower::Image { given, path } if path.is_empty() => {
            let why = "a layer of the image, which was mounted without unpacking it";
            program.fsconfig_fd(fs, LAYER, *given, why);
        }
        Lower::Image { given, path } => {
            let how = open::PATH | open::DIRECTORY;
            let part = program.open(Fd::Given(*given), path, how, "the part that is shown");
            let why = "of a layer of the image, which was mounted without unpacking it";
            program.fsconfig_fd(fs, LAYER, part, why);
        }
    }
}

impl Overlay {
    /// How many of its layers are mounts.
    pub fn images(&self) -> usize {
        let is_image = |layer: &&Lower| matches!(layer, Lower::Image { .. });
        self.lower.iter().filter(is_image).count()
    }

    /// Writes the steps that add all its layers.
    fn add_layers(&self, program: &mut Program, fs: Register) {
        let trees = self.lower.iter().map(|layer| match layer {
            Lower::Tree(path) if !self.layer_by_layer => Some(bytes(path)),
            _ => None,
        });
        // A kernel that mounts images takes layers one at a time.
        match trees.collect::<Option<Vec<_>>>() {
            Some(trees) => {
                let why = "the layers of the image, read-only and shared";
                program.fsconfig_string(fs, "lowerdir", &trees.join(&b':'), why);
            }
            None => self.lower.iter().for_each(|layer| add_layer(program, fs, layer)),
        }
    }
}

fn mount(program: &mut Program, overlay: &Overlay) -> Register {
    program.concept(Concept::FileSystemLayering);
    let fs = program.fsopen("overlay", "the container's root: layers seen as one tree");
    overlay.add_layers(program, fs);
    let why = "what the container changes is written here";
    program.fsconfig_string(fs, "upperdir", &bytes(&overlay.upper), why);
    let why = "where changes are prepared, on the same file system";
    program.fsconfig_string(fs, "workdir", &bytes(&overlay.work), why);
    for option in ["redirect_dir", "metacopy", "index"] {
        let why = "upper stays a plain difference that can be committed";
        program.fsconfig_string(fs, option, b"off", why);
    }
    if overlay.images() > 0 {
        program.fsconfig_string(fs, "xino", b"on", ONE_DEVICE);
    }
    if overlay.volatile {
        let why = "the container is removed when it ends: nothing needs to reach the disk";
        program.fsconfig_flag(fs, "volatile", why);
    }
    program.fsconfig_create(fs, "make it");
    program.fsmount(fs, "rootfs", 0, "mounted, but attached nowhere yet")
}

/// Makes a container's root file system here, of layers that are mounted here. It goes with its descriptor, unless it is attached
/// somewhere.
pub fn make_overlay_here(overlay: &Overlay, mounts: &Given) -> Result<OwnedFd> {
    let mut program = Program::default();
    let root = make_overlay(&mut program, overlay);
    let doing = || format!("make the overlay above `{}`", overlay.upper.display());
    let made = program.take_here(|input| mounts.find(input).map(AsFd::as_fd));
    made.map(|mut made| made.take(root)).doing(doing)
}

/// Writes the step that takes a root that was made ahead.
pub fn take_overlay(program: &mut Program) -> Register {
    program.concept(Concept::FileSystemLayering);
    program.duplicate(Fd::Given(Input::Root), "rootfs", "the container's root, which was made ahead")
}
