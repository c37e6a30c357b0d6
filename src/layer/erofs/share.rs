//! One mount of a layer for all containers that have it: what is read of a file is in memory once for each mount, so a second one would
//! need as much again.
//!
//! A mount that is attached nowhere can only be reached by who has it open. A container's monitor keeps open what its init was given,
//! and a link in the run directory tells where:
//!
//! ```text
//!   run/mount/<diff id>  ──▶  PID/DESCRIPTOR
//! ```
//!
//! Whoever starts the next container takes a copy of that descriptor (pidfd_getfd(2)), if it still leads to the layer. The last monitor
//! that ends takes the mount with it. That the link is right is never relied on: without it, the layer is mounted again.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{fstatfs, fstatvfs};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::format::file_system_id;
use crate::error::{Doing, Result};
use crate::kernel::descriptor::keep_on_exec;
use crate::store::{Store, remove_if_present};

/// What the kernel calls EROFS (statfs(2)).
const MAGIC: u64 = 0xe0f5_e1e2;

/// Takes a copy of the mount of a layer, named by the digits of its diff id, that a monitor has open.
pub fn find(store: &Store, name: &str) -> Option<OwnedFd> {
    let link = fs::read_link(store.run().join("mount").join(name)).ok()?;
    let mut numbers = link.to_str()?.split('/').map(|number| number.parse::<i32>().ok());
    let (pid, descriptor) = (numbers.next()??, numbers.next()??);
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let mount = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    // By now the process may be another one, and the descriptor another file.
    let is_its = fstatfs(&mount).ok()?.f_type as u64 == MAGIC && fstatvfs(&mount).ok()?.f_fsid == file_system_id(name);
    is_its.then_some(mount)
}

/// Has nobody find the mount of a layer any more.
pub fn forget(store: &Store, name: &str) -> Result<()> {
    remove_if_present(&store.run().join("mount").join(name)).map(|_| ())
}

/// Keeps a mount open in this process, whatever it executes, and tells where.
pub fn tell(store: &Store, name: &str, mount: &OwnedFd) -> Result<()> {
    let directory = store.run_directory("mount")?;
    let number = keep_on_exec(mount).doing(|| "keep a mount")?;
    debug_assert_eq!(number, mount.as_raw_fd());
    let pid = getpid().as_raw_nonzero();
    let new = directory.join(format!(".{pid}"));
    let link = |path: &Path| std::os::unix::fs::symlink(format!("{pid}/{number}"), path);
    let _ = fs::remove_file(&new);
    link(&new)
        .and_then(|()| fs::rename(&new, directory.join(name)))
        .doing(|| format!("tell of the mount of layer `{name}`"))
}
