//! Which devices a container may open, told to the kernel.
//!
//! In a version 2 tree that is a BPF program (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`), in version 1 a list. The engine's
//! containers may make nodes of any device, as root can, but open only the harmless ones: a node of the host's disk is of no
//! use to them. As that is the same for all, its program is set once, on the directory that their cgroups are below. A
//! container with rules of its own has another program, which decides instead. In version 1 a cgroup never has more than the
//! one above, so there each has a list.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::DeviceRule;
use super::devices::{Entry, compile, default_devices, list};
use crate::error::{Doing, Result};
use crate::kernel::bpf;

/// Sets the engine's rule for all cgroups below a version 2 directory, unless it is set.
pub fn set_usual(directory: &Path) -> Result<()> {
    let doing = || format!("filter devices in `{}`", directory.display());
    let cgroup = File::open(directory).doing(doing)?;
    if bpf::attached(&cgroup).doing(doing)?.is_empty() {
        bpf::attach_default(&cgroup, &compile(&default_devices())).doing(doing)?;
    }
    Ok(())
}

/// Sets the rules of one container in its version 2 directory, in the place of those that it has.
pub fn set_unified(directory: &Path, rules: &[DeviceRule]) -> Result<()> {
    let doing = || format!("filter devices in `{}`", directory.display());
    let cgroup = File::open(directory).doing(doing)?;
    let old = match bpf::attached(&cgroup).doing(doing)?.last() {
        Some(id) => Some(bpf::open(*id).doing(doing)?),
        None => None,
    };
    bpf::attach(&cgroup, &compile(rules), old).doing(doing)
}

/// Sets the rules of one container in its version 1 directory.
pub fn set_separate(directory: &Path, rules: &[DeviceRule]) -> Result<()> {
    let list = list(rules)?;
    let (first, second) = if list.allow {
        ("devices.allow", "devices.deny")
    } else {
        ("devices.deny", "devices.allow")
    };
    write(directory, first, ["a".to_string()])?;
    write(directory, second, list.exceptions.iter().map(Entry::to_string))
}

/// Writes entries to a file of a cgroup, which takes one at a time.
fn write(directory: &Path, file: &str, entries: impl IntoIterator<Item = String>) -> Result<()> {
    let path = directory.join(file);
    let open = OpenOptions::new().write(true).open(&path);
    let mut file = open.doing(|| format!("open `{}`", path.display()))?;
    let mut entries = entries.into_iter();
    entries.try_for_each(|entry| {
        let written = file.write(entry.as_bytes());
        written
            .map(|_| ())
            .doing(|| format!("write `{entry}` to `{}`", path.display()))
    })
}
