//! Which cgroup trees this host has, and which controllers are in them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::Resources;
use super::resources::BlockIo;
use crate::error::{Doing, Result};
use crate::kernel::table;

/// A tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its controllers; in version 1 the options that it is mounted with, such as `cpu` or `name=systemd`.
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

/// Room for a host's table of mounts.
const TABLE: usize = 16 << 10;

/// The version 1 trees that a container is put into where they exist.
const SEPARATE: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
/// Those it needs only where there is no version 2 tree to freeze it and to decide about its devices.
const WITHOUT_UNIFIED: [&str; 2] = ["devices", "freezer"];
/// Those it needs only if it is limited by them.
const IF_LIMITED: [&str; 2] = ["cpuset", "blkio"];

/// Mount options of version 1 that are no controllers.
const NO_CONTROLLERS: [&str; 8] = [
    "rw",
    "ro",
    "none",
    "noprefix",
    "clone_children",
    "xattr",
    "cpuset_v2_mode",
    "favordynmods",
];

impl Hierarchies {
    /// The few trees that all of the engine's containers need, where systemd and every distribution mount them (cgroups(7)).
    /// Each tree costs each container a directory and two system calls.
    pub fn find() -> Hierarchies {
        Hierarchies::with(&[])
    }

    /// The trees that a container of the engine's with these limits needs.
    pub fn of(resources: &Resources) -> Hierarchies {
        let cpuset = !resources.cpu.cpus.is_empty() || !resources.cpu.mems.is_empty();
        let blkio = resources.block_io != BlockIo::default();
        let further: Vec<&str> = [cpuset, blkio]
            .into_iter()
            .zip(IF_LIMITED)
            .filter_map(|(is_limited, name)| is_limited.then_some(name))
            .collect();
        Hierarchies::with(&further)
    }

    /// Whether there is a tree of version 2.
    pub fn have_unified() -> bool {
        unified_mount().is_some()
    }

    /// The trees in which a container of the engine's may be.
    pub fn possible() -> Hierarchies {
        Hierarchies::with(&IF_LIMITED)
    }

    /// The trees of all containers and these, as far as they are mounted.
    fn with(further: &[&str]) -> Hierarchies {
        let mount = unified_mount();
        let unified = mount.as_deref().map(unified);
        if mount.is_some_and(|mount| mount == Path::new(ROOT)) {
            let separate = Vec::new();
            return Hierarchies { unified, separate };
        }
        let fallback: &[&str] = if unified.is_none() { &WITHOUT_UNIFIED } else { &[] };
        let mut separate: Vec<Tree> = Vec::new();
        for name in SEPARATE.iter().chain(fallback).chain(further) {
            // Trees with two controllers are reached by either name: `cpu` is a link to `cpu,cpuacct`.
            let named = Path::new(ROOT).join(name);
            let mount = fs::read_link(&named).map_or(named, |target| Path::new(ROOT).join(target));
            if magic(&mount) == Some(libc::CGROUP_SUPER_MAGIC) && !separate.iter().any(|tree| tree.mount == mount) {
                let options = mount.file_name().unwrap_or_default().to_string_lossy();
                let controllers = options.split(',').map(str::to_string).collect();
                separate.push(Tree { mount, controllers });
            }
        }
        Hierarchies { unified, separate }
    }

    /// The trees in which a container of the engine's may be, of those that a table of a process's cgroups has (cgroups(7)). It does
    /// not tell the controllers of version 2.
    pub fn in_table(table: &str) -> Hierarchies {
        Hierarchies {
            unified: unified_mount().map(|mount| Tree {
                mount,
                controllers: Vec::new(),
            }),
            separate: separate_in(table, Path::new(ROOT)),
        }
    }

    /// Every tree that is mounted, for whoever must expect any resource to be asked for.
    pub fn all() -> Result<Hierarchies> {
        let table = table::text("/proc/self/mountinfo", TABLE).doing(|| "read `/proc/self/mountinfo`")?;
        let mut hierarchies = Hierarchies::parse(&table);
        hierarchies.unified = hierarchies.unified.map(|tree| unified(&tree.mount));
        Ok(hierarchies)
    }

    /// Reads a table of mounts (proc_pid_mountinfo(5)), which does not tell the controllers of version 2. Of a tree that is
    /// mounted twice the first is taken.
    fn parse(table: &str) -> Hierarchies {
        let mut hierarchies = Hierarchies::default();
        for line in table.lines() {
            let Some((mount, kind)) = line.split_once(" - ") else {
                continue;
            };
            let Some(mount) = mount.split(' ').nth(4).map(unescape) else {
                continue;
            };
            let mut kind = kind.split(' ');
            match (kind.next(), kind.nth(1)) {
                (Some("cgroup2"), _) if hierarchies.unified.is_none() => {
                    let controllers = Vec::new();
                    hierarchies.unified = Some(Tree { mount, controllers });
                }
                (Some("cgroup"), Some(options)) => {
                    let is_controller = |option: &&str| !NO_CONTROLLERS.contains(option) && !option.starts_with("release_agent=");
                    let controllers: Vec<String> = options.split(',').filter(is_controller).map(str::to_string).collect();
                    if !hierarchies.separate.iter().any(|tree| tree.controllers == controllers) {
                        hierarchies.separate.push(Tree { mount, controllers });
                    }
                }
                _ => {}
            }
        }
        hierarchies
    }

    /// The tree that has a controller, and whether it is a version 2 tree.
    pub fn tree(&self, controller: &str) -> Option<(&Tree, bool)> {
        let has = |tree: &&Tree| tree.controllers.iter().any(|name| name == controller);
        let separate = self.separate.iter().find(has).map(|tree| (tree, false));
        separate.or_else(|| self.unified.as_ref().filter(has).map(|tree| (tree, true)))
    }
}

/// Where the tree of version 2 is mounted: alone, or beside those of version 1.
fn unified_mount() -> Option<PathBuf> {
    let root = PathBuf::from(ROOT);
    let beside = root.join("unified");
    [root, beside]
        .into_iter()
        .find(|mount| magic(mount) == Some(libc::CGROUP2_SUPER_MAGIC))
}

/// The trees of version 1 in a table of a process's cgroups that containers use, each mounted below `root` by its name.
fn separate_in(table: &str, root: &Path) -> Vec<Tree> {
    let names = table.lines().filter_map(|line| line.split(':').nth(1));
    let used = [&SEPARATE[..], &WITHOUT_UNIFIED, &IF_LIMITED].concat();
    let tree = |names: &str| {
        let controllers: Vec<String> = names.split(',').map(str::to_string).collect();
        let named = controllers.iter().filter(|name| used.contains(&name.as_str()));
        let mut mounts: Vec<PathBuf> = named.map(|name| root.join(name)).collect();
        // A tree with two controllers need not be reached by either name. To look costs each `exec` a system call.
        if mounts.len() > 1 {
            mounts.retain(|mount| mount.exists());
        }
        let mount = mounts.into_iter().next()?;
        Some(Tree { mount, controllers })
    };
    names.filter_map(tree).collect()
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

/// A path of a table of mounts, where a space is `\040`.
fn unescape(path: &str) -> PathBuf {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs
        .iter()
        .fold(path.to_string(), |path, (escaped, plain)| path.replace(escaped, plain))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_with_several_controllers_is_found_by_the_name_that_it_has() {
        let root = std::env::temp_dir().join(format!("tinydock-trees-{}", std::process::id()));
        let table = "4:name=systemd:/\n3:memory:/a\n2:net_cls,net_prio:/\n1:cpu,cpuacct:/a\n0::/\n";
        let found = |linked: &str| {
            fs::create_dir_all(root.join(linked)).unwrap();
            let mounts: Vec<PathBuf> = separate_in(table, &root).into_iter().map(|tree| tree.mount).collect();
            fs::remove_dir_all(&root).unwrap();
            mounts
        };
        assert_eq!(found("cpu"), [root.join("memory"), root.join("cpu")]);
        assert_eq!(found("cpuacct"), [root.join("memory"), root.join("cpuacct")]);
        assert_eq!(found("other"), [root.join("memory")]);
    }

    #[test]
    fn all_trees_are_in_the_table_of_mounts() {
        let table = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,release_agent=/lib/agent,name=systemd
34 31 0:31 / /other\\040place rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
36 31 0:33 / /a\\040b rw,relatime - cgroup cgroup rw,net_cls,net_prio
";
        let tree = |mount: &str, controllers: &[&str]| Tree {
            mount: mount.into(),
            controllers: controllers.iter().map(|name| name.to_string()).collect(),
        };
        let found = Hierarchies::parse(table);
        assert_eq!(found.unified, Some(tree("/sys/fs/cgroup/unified", &[])));
        assert_eq!(
            found.separate,
            [
                tree("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"]),
                tree("/sys/fs/cgroup/systemd", &["name=systemd"]),
                tree("/a b", &["net_cls", "net_prio"]),
            ]
        );
    }
}
