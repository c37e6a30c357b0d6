//! The overlay mount, as steps of the program: it exists only inside the container's mount namespace, so it never shows in
//! the host's mount table and ends with the container.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use crate::error::{Doing, Result};
use crate::program::flags::{mount_attr, prctl};
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};

/// The directories of one container's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The image's layers, topmost first.
    pub lower: Vec<PathBuf>,
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
    let lower = lower.map(|(n, layer)| show(layer, &n.to_string())).collect();
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
pub fn make_image(program: &mut Program, layers: &[PathBuf], why: &'static str) -> Register {
    let fs = program.fsopen("overlay", why);
    for layer in layers {
        program.fsconfig_string(fs, "lowerdir+", &bytes(layer), "a layer of the image, read-only and shared");
    }
    program.fsconfig_create(fs, "make it");
    program.fsmount(fs, "image", mount_attr::RDONLY, "mounted, but attached nowhere yet")
}

/// What is set of a file system before it is made.
enum Setting {
    Text(&'static str, Vec<u8>, &'static str),
    Flag(&'static str, &'static str),
}

impl Overlay {
    /// All settings, in order, and why each is made.
    fn settings(&self) -> Vec<Setting> {
        use Setting::{Flag, Text};
        let mut all = Vec::new();
        if self.layer_by_layer {
            let why = "a layer of the image, read-only and shared";
            all.extend(self.lower.iter().map(|layer| Text("lowerdir+", bytes(layer), why)));
        } else {
            let layers = self.lower.iter().map(|layer| bytes(layer)).collect::<Vec<_>>();
            let why = "the layers of the image, read-only and shared";
            all.push(Text("lowerdir", layers.join(&b':'), why));
        }
        let why = "what the container changes is written here";
        all.push(Text("upperdir", bytes(&self.upper), why));
        let why = "where changes are prepared, on the same file system";
        all.push(Text("workdir", bytes(&self.work), why));
        for option in ["redirect_dir", "metacopy", "index"] {
            let why = "upper stays a plain difference that can be committed";
            all.push(Text(option, b"off".to_vec(), why));
        }
        if self.volatile {
            let why = "the container is removed when it ends: nothing needs to reach the disk";
            all.push(Flag("volatile", why));
        }
        all
    }
}

fn mount(program: &mut Program, overlay: &Overlay) -> Register {
    program.concept(Concept::FileSystemLayering);
    let fs = program.fsopen("overlay", "the container's root: layers seen as one tree");
    for setting in overlay.settings() {
        match setting {
            Setting::Text(name, value, why) => program.fsconfig_string(fs, name, &value, why),
            Setting::Flag(name, why) => program.fsconfig_flag(fs, name, why),
        }
    }
    program.fsconfig_create(fs, "make it");
    program.fsmount(fs, "rootfs", 0, "mounted, but attached nowhere yet")
}

/// As what init is given a root that was made ahead.
pub const ROOT: Input = Input::Mount(0);

/// Makes a container's root file system here, by the calls that [`make_overlay`] writes. It goes with its descriptor, unless it is
/// attached somewhere.
pub fn make_overlay_here(overlay: &Overlay) -> Result<OwnedFd> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).doing(|| "fsopen(\"overlay\")")?;
    for setting in overlay.settings() {
        match setting {
            Setting::Text(name, value, _) => {
                let doing = || format!("overlay, {name}={}", String::from_utf8_lossy(&value));
                fsconfig_set_string(&fs, name, &value[..]).doing(doing)?;
            }
            Setting::Flag(name, _) => fsconfig_set_flag(&fs, name).doing(|| format!("overlay, {name}"))?,
        }
    }
    let doing = || format!("make the overlay above `{}`", overlay.upper.display());
    fsconfig_create(&fs).doing(doing)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).doing(doing)
}

/// Writes the step that takes a root that was made ahead.
pub fn take_overlay(program: &mut Program) -> Register {
    program.concept(Concept::FileSystemLayering);
    program.duplicate(Fd::Given(ROOT), "rootfs", "the container's root, which was made ahead")
}
