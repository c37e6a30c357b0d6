//! Where everything is.

use std::env;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::error::{Doing, Error, Result};
use crate::store::{Claims, Id, Lock};

const ROOT: &str = "/var/lib/tinydock";
const RUN: &str = "/run/tinydock";

/// The directories that tinydock keeps its things in.
///
/// Two stores with different roots share nothing: neither containers nor images, networks, cgroups or locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    run: PathBuf,
}

impl Store {
    /// The store at `root`, or where the environment says, or at the usual place. Makes nothing.
    pub fn find(root: Option<PathBuf>) -> Result<Store> {
        let root = root
            .or_else(|| env::var_os("TINYDOCK_ROOT").map(PathBuf::from))
            .unwrap_or_else(|| ROOT.into());
        let root = std::path::absolute(&root).doing(|| format!("root `{}`", root.display()))?;
        let usual = if root == Path::new(ROOT) {
            RUN.into()
        } else {
            root.join("run")
        };
        let run = env::var_os("TINYDOCK_RUN").map_or(usual, PathBuf::from);
        let run = std::path::absolute(&run).doing(|| format!("run directory `{}`", run.display()))?;
        if [&root, &run]
            .iter()
            .any(|path| path.as_os_str().as_bytes().iter().any(|byte| b":,\\\n\"".contains(byte)))
        {
            return Err(Error::invalid(format!(
                "root `{}`: has a character that overlay mounts cannot take",
                root.display()
            )));
        }
        Ok(Store { root, run })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The directory `name` below the root, made if it is missing. Only root may look inside.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        make_directory(self.root.join(name))
    }

    /// The same for a directory whose directories have nothing to do with each other. A file system that keeps things close to each
    /// other is told so (chattr(1), `T`): where many come and go, new ones are not made where others have just gone, which ext4
    /// without a journal takes a long time for.
    pub fn directory_of_many(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        if !path.is_dir() {
            make_directory(path.clone())?;
            // Most file systems know no such hint, and need none.
            let _ = spread(&path);
        }
        Ok(path)
    }

    /// The directory `name` below the run directory, made if it is missing.
    pub fn run_directory(&self, name: &str) -> Result<PathBuf> {
        make_directory(self.run.join(name))
    }

    /// What stays of a container while it is not running.
    pub fn container(&self, id: &Id) -> PathBuf {
        self.root.join("container").join(id.as_str())
    }

    /// What there is of a container while something is done for it or by it.
    pub fn container_run(&self, id: &Id) -> PathBuf {
        self.run.join("container").join(id.as_str())
    }

    /// The names of containers.
    pub fn names(&self) -> Claims {
        Claims::new(self.root.join("container/names"))
    }

    /// The published ports of this host.
    pub fn ports(&self) -> Claims {
        Claims::new(self.run.join("port"))
    }

    /// The ids of containers' users.
    pub fn users(&self) -> Claims {
        Claims::new(self.run.join("users"))
    }

    /// The leased addresses of a network.
    pub fn leases(&self, network: &str) -> Claims {
        Claims::new(self.run.join("network").join(network))
    }

    /// Waits until names, addresses and ports can be given out.
    pub fn lock(&self) -> Result<Lock> {
        let directory = self.run_directory("")?;
        Lock::acquire(&directory.join("lock"))
    }

    /// A name for what this store makes where all stores of a host meet, such as cgroups: `tinydock`, and for a root that is
    /// not the usual one a suffix that tells it from others.
    pub fn label(&self) -> String {
        if self.root == Path::new(ROOT) {
            return "tinydock".into();
        }
        // FNV-1a: any spread will do, it only has to be the same every time.
        let hash = self.root.as_os_str().as_bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        format!("tinydock-{hash:08x}")
    }
}

fn spread(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    let flags = ioctl_getflags(&directory)? | IFlags::TOPDIR;
    Ok(ioctl_setflags(&directory, flags)?)
}

fn make_directory(path: PathBuf) -> Result<PathBuf> {
    if !path.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.doing(|| format!("make directory `{}`", path.display()))
            .map_err(|error| {
                if rustix::process::geteuid().is_root() {
                    error
                } else {
                    error.hint("tinydock needs root: try `sudo`")
                }
            })?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_many_is_spread_where_that_can_be() {
        let root = env::temp_dir().join(format!("tinydock-paths-{}", std::process::id()));
        let store = Store::find(Some(root.clone())).unwrap();
        let other = store.directory("other").unwrap();
        let many = store.directory_of_many("many").unwrap();
        let flags = File::open(&many)
            .map(|many| ioctl_getflags(many).unwrap_or(IFlags::empty()))
            .unwrap();
        assert_eq!(flags.contains(IFlags::TOPDIR), spread(&other).is_ok());
        std::fs::remove_dir_all(root).unwrap();
    }
}
