//! The file systems that the kernel provides: `/proc`, `/sys`, and what belongs to `/dev`.

use super::devices::UsualDevices;
use super::{Host, Node, devices, masks, sysctls};
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, Program, Register};

/// The mounts that later steps refer to.
pub struct KernelMounts {
    pub sys: Register,
    pub dev: Register,
    pub pts: Register,
    /// The kernel settings, writable, where they were asked for.
    pub settings: Option<Register>,
}

/// What is special about what a container is shown of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Whether to keep a way to change kernel settings.
    pub settings: bool,
    /// Whether nothing of `/proc` and `/sys` is hidden or protected.
    pub unmasked: bool,
    /// Whether `/sys` can be written to.
    pub writable: bool,
    /// The devices that it is given.
    pub nodes: &'a [Node],
    pub memory: SharedMemory,
    /// The host's own of the usual devices, where the container's users may not make any.
    pub usual: Option<UsualDevices>,
}

/// What is at `/dev/shm`.
#[derive(Clone, Copy, Debug, Default)]
pub enum SharedMemory {
    /// Its own, of so many bytes.
    Own(Option<u64>),
    #[default]
    Nothing,
    /// A clone of somebody else's.
    Others(Register),
}

const HARMLESS: u64 = mount_attr::NOSUID | mount_attr::NODEV | mount_attr::NOEXEC;

/// Writes the steps that mount `/proc`, `/dev` with what is in it, and `/sys` below `root`, and hide what must not
/// show.
pub fn mount_kernel_file_systems(program: &mut Program, root: Register, host: &Host, shown: Shown) -> KernelMounts {
    program.concept(Concept::ProcessIsolation);
    let proc = program.new_mount(
        "proc",
        &[],
        HARMLESS,
        "a /proc that shows the processes of this PID namespace",
    );
    attach(program, root, proc, "proc");
    let dev = devices::mount(program);
    attach(program, root, dev, "dev");
    let pts = devices::fill(program, dev, &shown);
    let (attributes, why) = match shown.writable {
        true => (HARMLESS, "a /sys that shows this network namespace"),
        false => (
            HARMLESS | mount_attr::RDONLY,
            "a /sys that shows this network namespace, read-only",
        ),
    };
    let sys = program.new_mount("sysfs", &[], attributes, why);
    attach(program, root, sys, "sys");
    let settings = shown.settings.then(|| sysctls::open_settings(program, proc));
    if !shown.unmasked {
        masks::hide(program, host, proc, sys, dev);
    }
    KernelMounts { sys, dev, pts, settings }
}

/// Writes the steps that attach a mount to a directory of the root. A link of that name would lead the mount elsewhere
/// (CVE-2019-19921, CVE-2023-27561), so only a real directory will do.
fn attach(program: &mut Program, root: Register, mount: Register, name: &str) {
    program.mkdir_missing(Fd::Kept(root), name.as_bytes(), "an image need not have the directory");
    let how = open::PATH | open::DIRECTORY | open::NOFOLLOW;
    let target = program.open_in_root(
        root,
        name.as_bytes(),
        how,
        "a real directory of the root, not a link to some other place",
    );
    program.move_mount_onto(mount, target, format!("mounted on /{name}"));
}
