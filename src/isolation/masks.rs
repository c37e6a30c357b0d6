//! What `/proc` and `/sys` show of the host as a whole, and a container must not see or change. The lists are Docker's of
//! today (moby, `daemon/pkg/oci/defaults.go`).

use std::fs;

use super::Host;
use crate::error::{Error, Result};
use crate::kernel::directory::names;
use crate::program::flags::mount_attr;
use crate::program::{Fd, Program, Register};

/// Hidden paths. A `*` stands for the names of all processors (GHSA-6fw5-f8r9-fgfm).
pub const PATHS: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/devices/system/cpu/cpu*/thermal_throttle",
];

/// Paths that may be read but not written.
pub const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Files of `/proc` that may be covered all the same, to show a container its own numbers (runc, `rootfs_linux.go`).
const COVERABLE: [&[u8]; 10] = [
    b"proc/cpuinfo",
    b"proc/diskstats",
    b"proc/loadavg",
    b"proc/meminfo",
    b"proc/net/dev",
    b"proc/slabinfo",
    b"proc/stat",
    b"proc/swaps",
    b"proc/sys/kernel/ns_last_pid",
    b"proc/uptime",
];

/// Checks that something may be mounted at a path of the container, relative to its root. `/proc` is what programs, and those who
/// secure them, learn the truth from (CVE-2019-16884).
pub fn check_cover(path: &[u8]) -> Result<()> {
    let inside = path == b"proc" || path.starts_with(b"proc/");
    if inside && !COVERABLE.contains(&path) {
        return Err(
            Error::invalid("nothing may be mounted in the container's /proc").hint("choose another target, such as /host/proc")
        );
    }
    Ok(())
}

/// A path to hide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pub path: String,
    pub directory: bool,
}

impl Mask {
    /// The paths that `pattern` means on this host. The container's `/proc` and `/sys` are the same kernel's.
    pub fn find(pattern: &str) -> Vec<Mask> {
        let paths = match pattern.split_once("cpu*") {
            None => vec![pattern.to_string()],
            Some((directory, rest)) => processors(directory).map(|name| format!("{directory}{name}{rest}")).collect(),
        };
        let found = paths.into_iter().filter_map(|path| {
            let directory = fs::metadata(&path).ok()?.is_dir();
            Some(Mask { path, directory })
        });
        found.collect()
    }
}

/// The entries of `/sys/devices/system/cpu` that stand for a processor.
fn processors(directory: &str) -> impl Iterator<Item = String> {
    let names = names(directory).into_iter().flatten();
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| {
        name.strip_prefix("cpu")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
    })
}

/// Writes the steps that hide and protect these paths below the container's `/proc` and `/sys`.
pub fn hide(program: &mut Program, host: &Host, proc: Register, sys: Register, dev: Register) {
    let place = |path: &str| match path.strip_prefix("/sys/") {
        Some(below) => (sys, below.to_string()),
        None => (proc, path.trim_start_matches("/proc/").to_string()),
    };
    for mask in host.masks.iter().filter(|mask| !mask.directory) {
        let (mount, below) = place(&mask.path);
        let null = program.open_tree(dev, b"null", false, format!("{} tells of the whole host", mask.path));
        program.move_mount(null, Fd::Kept(mount), below.as_bytes(), "reads as empty");
    }
    let mut empty: Option<Register> = None;
    for mask in host.masks.iter().filter(|mask| mask.directory) {
        let (mount, below) = place(&mask.path);
        let why = format!("{} tells of the whole host", mask.path);
        // A mount can only be cloned once it is attached, so the first one is the file system itself.
        let cover = match empty {
            None => program.new_mount("tmpfs", &[("size", "0"), ("nr_inodes", "1")], mount_attr::RDONLY, why),
            Some(first) => program.open_tree(first, b"", false, why),
        };
        empty.get_or_insert(cover);
        program.move_mount(cover, Fd::Kept(mount), below.as_bytes(), "shows as empty");
    }
    for path in &host.read_only {
        let (mount, below) = place(path);
        let tree = program.open_tree(mount, below.as_bytes(), true, format!("{path} changes the whole host"));
        program.mount_setattr(tree, mount_attr::RDONLY, "it may be read");
        program.move_mount(tree, Fd::Kept(mount), below.as_bytes(), "over the writable one");
    }
}
