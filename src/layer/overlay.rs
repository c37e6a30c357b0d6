//! The overlay mount, as steps of the program: it exists only inside the container's mount namespace, so it never shows in
//! the host's mount table and ends with the container.

use std::path::{Path, PathBuf};

use crate::program::{Concept, Fd, Program, Register};

/// The directories of one container's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The image's layers, topmost first.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// Where the root is attached until it becomes the root: a directory that nothing else uses.
    pub attach: PathBuf,
    /// Whether nobody will miss what is not yet on disk when the container ends.
    pub volatile: bool,
    /// Whether the kernel takes layers one at a time (Linux 6.5), rather than in one string of at most a page.
    pub layer_by_layer: bool,
}

/// Writes the steps that make the container's root file system and attach it. Returns the root's directory.
pub fn overlay(program: &mut Program, overlay: &Overlay) -> Register {
    use std::os::unix::ffi::OsStrExt;
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    program.concept(Concept::FileSystemLayering);
    let fs = program.fsopen("overlay", "the container's root: layers seen as one tree");
    if overlay.layer_by_layer {
        for layer in &overlay.lower {
            program.fsconfig_string(fs, "lowerdir+", &bytes(layer), "a layer of the image, read-only and shared");
        }
    } else {
        let all = overlay.lower.iter().map(|layer| bytes(layer)).collect::<Vec<_>>().join(&b':');
        program.fsconfig_string(fs, "lowerdir", &all, "the layers of the image, read-only and shared");
    }
    program.fsconfig_string(
        fs,
        "upperdir",
        &bytes(&overlay.upper),
        "what the container changes is written here",
    );
    program.fsconfig_string(
        fs,
        "workdir",
        &bytes(&overlay.work),
        "where changes are prepared, on the same file system",
    );
    for option in ["redirect_dir", "metacopy", "index"] {
        program.fsconfig_string(fs, option, b"off", "upper stays a plain difference that can be committed");
    }
    if overlay.volatile {
        program.fsconfig_flag(
            fs,
            "volatile",
            "the container is removed when it ends: nothing needs to reach the disk",
        );
    }
    program.fsconfig_create(fs, "make it");
    let root = program.fsmount(fs, "rootfs", 0, "mounted, but attached nowhere yet");
    program.move_mount(
        root,
        Fd::Cwd,
        &bytes(&overlay.attach),
        "attached in this mount namespace only",
    );
    root
}
