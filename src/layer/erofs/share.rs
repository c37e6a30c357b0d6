//! One mount of a layer for all containers that have it: what is read of a file is in memory once for each mount, so a second one would
//! need as much again.
//!
//! A mount that is attached nowhere can only be reached by who has it open. A container's monitor keeps open what its init was given,
//! and links in the run directory tell where:
//!
//! ```text
//!   run/mount/<diff id>/<container's id>  ──▶  PID/DESCRIPTOR/GENERATION
//!                       newest            ──▶  the container that has told last
//! ```
//!
//! Whoever starts the next container takes a copy of that descriptor (pidfd_getfd(2)), if it still leads to the layer as that is now:
//! what was mounted before a damaged layer was made again is of another generation. The last monitor that ends takes the mount with it.
//! That a link is right is never relied on: without one, the layer is mounted again.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{fstatfs, fstatvfs};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::format::file_system_id;
use super::{Generation, Mounted};
use crate::error::{Doing, Result};
use crate::kernel::descriptor::keep_on_exec;
use crate::store::{Id, Store};

/// What the kernel calls EROFS (statfs(2)).
const MAGIC: u64 = 0xe0f5_e1e2;

const NEWEST: &str = "newest";

fn links(store: &Store, name: &str) -> PathBuf {
    store.run().join("mount").join(name)
}

/// Takes a copy of the mount of a layer, named by the digits of its diff id, that a monitor has open.
pub fn find(store: &Store, name: &str, generation: Generation) -> Option<Mounted> {
    let links = links(store, name);
    let newest = fs::read_link(links.join(NEWEST)).ok();
    let newest = newest.and_then(|container| take(&links.join(container), name, generation));
    // Who has told last may have ended before others.
    newest.or_else(|| {
        let mut others = fs::read_dir(&links).ok()?.flatten();
        others.find_map(|other| take(&other.path(), name, generation))
    })
}

fn take(link: &Path, name: &str, generation: Generation) -> Option<Mounted> {
    let link = fs::read_link(link).ok()?;
    let mut words = link.to_str()?.split('/');
    let (pid, descriptor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    if words.next()? != generation.to_string() {
        return None;
    }
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let mount = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    // By now the process may be another one, and the descriptor another file.
    let is_its = fstatfs(&mount).ok()?.f_type as u64 == MAGIC && fstatvfs(&mount).ok()?.f_fsid == file_system_id(name);
    is_its.then_some(Mounted { mount, generation })
}

/// Keeps a mount open in this process, a container's monitor, whatever it executes, and tells where.
pub fn tell(store: &Store, container: &Id, name: &str, mounted: &Mounted) -> Result<()> {
    let number = keep_on_exec(&mounted.mount).doing(|| "keep a mount")?;
    debug_assert_eq!(number, mounted.mount.as_raw_fd());
    store.run_directory("mount")?;
    let place = format!("{}/{number}/{}", getpid().as_raw_nonzero(), mounted.generation);
    let told = tell_in(&links(store, name), container.as_str(), &place);
    told.doing(|| format!("tell of the mount of layer `{name}`"))
}

fn tell_in(links: &Path, container: &str, place: &str) -> io::Result<()> {
    // The last who told of theirs may take the directory away just now.
    try_to_tell(links, container, place).or_else(|_| try_to_tell(links, container, place))
}

fn try_to_tell(links: &Path, container: &str, place: &str) -> io::Result<()> {
    match fs::create_dir(links) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let new = links.join(format!(".{container}"));
    for (target, link) in [(place, &links.join(container)), (container, &new)] {
        // A start that was killed may have left one.
        symlink(target, link).or_else(|_| fs::remove_file(link).and_then(|()| symlink(target, link)))?;
    }
    fs::rename(&new, links.join(NEWEST))
}

/// Takes back what was told of the mounts of a container, whose monitor ends or has ended. That this fails is no reason not to go on:
/// links are never relied on.
pub fn take_back(store: &Store, container: &Id) {
    for layer in fs::read_dir(store.run().join("mount")).into_iter().flatten().flatten() {
        let links = layer.path();
        if fs::remove_file(links.join(container.as_str())).is_err() {
            continue;
        }
        let newest = links.join(NEWEST);
        if fs::read_link(&newest).is_ok_and(|newest| newest.as_os_str() == container.as_str()) {
            // Somebody may tell of theirs in between: then that is found among the others.
            let _ = fs::remove_file(&newest);
        }
        // Only if it is empty.
        let _ = fs::remove_dir(&links);
    }
}

/// Has nobody find the mounts of a layer any more.
pub fn forget(store: &Store, name: &str) -> Result<()> {
    store.discard_run(&links(store, name))
}
