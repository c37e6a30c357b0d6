//! Which cgroup trees this host has, and which controllers are in them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

/// A tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its controllers; in version 1 the options that it is mounted with.
    pub controllers: Vec<String>,
}

/// The trees of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// The tree of version 2, if it is mounted.
    pub unified: Option<Tree>,
    /// The trees of version 1 that containers use.
    pub separate: Vec<Tree>,
}

const ROOT: &str = "/sys/fs/cgroup";

/// The version 1 trees that a container is put into where they exist.
const SEPARATE: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
/// Those it needs only where there is no version 2 tree to freeze it and to decide about its devices.
const WITHOUT_UNIFIED: [&str; 2] = ["devices", "freezer"];

impl Hierarchies {
    /// Looks where systemd and every distribution mount them (cgroups(7)).
    pub fn find() -> Hierarchies {
        if magic(Path::new(ROOT)) == Some(libc::CGROUP2_SUPER_MAGIC) {
            return Hierarchies {
                unified: Some(unified(Path::new(ROOT))),
                separate: Vec::new(),
            };
        }
        let hybrid = Path::new(ROOT).join("unified");
        let unified = (magic(&hybrid) == Some(libc::CGROUP2_SUPER_MAGIC)).then(|| unified(&hybrid));
        let fallback: &[&str] = if unified.is_none() { &WITHOUT_UNIFIED } else { &[] };
        let mut separate: Vec<Tree> = Vec::new();
        for name in SEPARATE.iter().chain(fallback) {
            // Trees with two controllers are reached by either name: `cpu` is a link to `cpu,cpuacct`.
            let Ok(mount) = fs::canonicalize(Path::new(ROOT).join(name)) else {
                continue;
            };
            if magic(&mount) == Some(libc::CGROUP_SUPER_MAGIC) && !separate.iter().any(|tree| tree.mount == mount) {
                let options = mount.file_name().unwrap_or_default().to_string_lossy();
                let controllers = options.split(',').map(str::to_string).collect();
                separate.push(Tree { mount, controllers });
            }
        }
        Hierarchies { unified, separate }
    }

    /// The tree that has a controller, and whether it is a version 2 tree.
    pub fn tree(&self, controller: &str) -> Option<(&Tree, bool)> {
        let has = |tree: &&Tree| tree.controllers.iter().any(|name| name == controller);
        let separate = self.separate.iter().find(has).map(|tree| (tree, false));
        separate.or_else(|| self.unified.as_ref().filter(has).map(|tree| (tree, true)))
    }
}

fn unified(mount: &Path) -> Tree {
    let controllers = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    Tree {
        mount: mount.into(),
        controllers: controllers.split_whitespace().map(str::to_string).collect(),
    }
}

/// Which type of file system is mounted at a path.
fn magic(path: &Path) -> Option<i64> {
    statfs(path).ok().map(|statfs| statfs.f_type)
}
