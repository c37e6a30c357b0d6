//! `checkpoint` and `restore`: criu(8) writes a container's processes to a directory of images, and makes them again from there.
//!
//! ```text
//! images/
//!   *.img              criu's
//!   descriptors.json   what the standard streams were: the restored ones are ours
//!   dump.log restore.log   unless they are in `--work-path`
//! ```
//!
//! criu knows neither configurations nor cgroups of ours: it is told what of the mounts comes from the host, and the cgroups are made
//! here. Its arguments are made by functions that do nothing else, in `criu`.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::config::{Config, wrong};
use super::container::{Container, Origin, Process, Root, Status};
use super::create::{self, Request, create_group, undo};
use super::criu::{Criu, Given, Place, Shown, Version, namespace_key};
use super::descriptors::write_pid;
use super::namespaces::Namespaces;
use super::plan::{Facts, Plan, plan};
use super::sources::read_mounts;
use super::tree::Tree;
use super::{cover::Covers, end, start};
use crate::cgroup::{self, Group, Resources};
use crate::error::{Doing, Error, Result};
use crate::kernel::process::Child;
use crate::kernel::table;
use crate::program::flags::clone;
use crate::store::{clock, read_if_present, write};

/// The file that says that a container's end is in images: its id may be taken again by `restore`.
const CHECKPOINTED: &str = "checkpointed";
const DESCRIPTORS: &str = "descriptors.json";

/// Writes a running container's processes to images. They are gone then, unless they are to go on.
pub fn checkpoint(container: &Container, criu: &Criu) -> Result<()> {
    let version = criu.check()?;
    let _lock = container.lock()?;
    let status = container.status()?;
    if status != Status::Running {
        let word = super::word(status);
        return Err(Error::conflict(format!(
            "cannot checkpoint a container that is {word}: only one that runs"
        )));
    }
    let config = &container.config;
    check(config, &version)?;
    let (_, init) = container.open_init()?;
    criu.make_directories()?;
    let streams = streams(init.pid)?;
    write(&criu.images.join(DESCRIPTORS), &streams)?;
    let shown = shown(config, &container.origin.bundle)?;
    let namespaces = joined(config)?.into_iter().map(|(_, key)| key).collect::<Result<Vec<_>>>()?;
    let root = config.root(&container.origin.bundle);
    criu.run(criu.dump(init.pid, &root, &shown, &namespaces, &streams), "dump.log")?;
    if criu.ends_it() {
        write(&container.file(CHECKPOINTED), &criu.images)?;
    }
    Ok(())
}

/// Makes a container of a bundle again from images. Its init is our child. Of the hooks, those that are told of a command which runs are
/// run: nothing is created or started as they would find it.
pub fn restore(root: &Root, request: &Request, criu: &Criu, warn: &dyn Fn(&str)) -> Result<(Container, Child)> {
    let version = criu.check()?;
    let streams: Vec<String> = read_if_present(&criu.images.join(DESCRIPTORS))?.ok_or_else(|| {
        let hint = "`checkpoint` writes them; `--image-path` says where they are";
        Error::not_found(format!("no images of a container in `{}`", criu.images.display())).hint(hint)
    })?;
    criu.make_directories()?;
    let bundle = fs::canonicalize(&request.bundle).doing(|| format!("find the bundle `{}`", request.bundle.display()))?;
    let config = Config::read(&bundle)?;
    check(&config, &version)?;
    let facts = create::facts(root, &config, &bundle, &request.id)?;
    let plan = plan(&config, &facts, request.asked)?;
    plan.warnings.iter().for_each(|warning| warn(warning));
    replace(root, &request.id, warn)?;
    let lock = root.claim(&request.id)?;
    let origin = Origin {
        bundle,
        created: clock::now(),
        cgroup: facts.cgroup.clone(),
        systemd_cgroup: root.systemd_cgroup,
        owner: rustix::process::getuid().as_raw(),
        tail: plan.program.tail(),
    };
    let container = Container::record(root, &request.id, origin, config)?;
    let made = make(&container, (&facts, &plan), request, &streams, criu, warn);
    let init = made.inspect_err(|_| undo(&container))?;
    drop(lock);
    start::after_start(&container, warn);
    Ok((container, init))
}

/// What criu cannot make again, or cannot with what it is told here.
fn check(config: &Config, version: &Version) -> Result<()> {
    if config.process()?.no_new_privileges && !version.keeps_no_new_privileges() {
        return Err(wrong(
            "process.noNewPrivileges",
            format!("criu {version} would restore a process without it; criu 3.19 keeps it"),
        ));
    }
    if config.process()?.terminal {
        return Err(wrong(
            "process.terminal",
            "a container with a terminal cannot be checkpointed or restored",
        ));
    }
    if config.linux.has("user") {
        return Err(wrong(
            "linux.namespaces",
            "a container with users of its own cannot be checkpointed or restored",
        ));
    }
    Ok(())
}

/// Removes what is left of a container with this id if its processes are in images.
fn replace(root: &Root, id: &str, warn: &dyn Fn(&str)) -> Result<()> {
    match root.find(id) {
        Ok(old) if old.file(CHECKPOINTED).exists() && old.status()? == Status::Stopped => end::remove(&old, false, warn),
        _ => Ok(()),
    }
}

fn make(
    container: &Container,
    (facts, plan): (&Facts, &Plan),
    request: &Request,
    streams: &[String],
    criu: &Criu,
    warn: &dyn Fn(&str),
) -> Result<Child> {
    let config = &container.config;
    let mounted = Mounted::bind(&config.root(&container.origin.bundle), absolute(container.file("root"))?)?;
    let shown = shown(config, &container.origin.bundle)?;
    let given = give(config, streams)?;
    let pid_file = absolute(container.file("restored"))?;
    let group = create_cgroups(facts)?;
    let arguments = criu.restore(&mounted.0, &pid_file, &shown, &given);
    let place = Place {
        group: &group,
        hidden: config.linux.has("cgroup"),
        keys: format!("_ses.{}", container.id),
    };
    criu.run_at(&place, arguments, "restore.log")?;
    drop(given);
    let pid = fs::read_to_string(&pid_file).doing(|| format!("read `{}`", pid_file.display()))?;
    let pid: i32 = pid.trim().parse().map_err(|_| Error::system("criu wrote no process id"))?;
    let init = Child::adopt(pid).doing(|| format!("open process {pid}"))?;
    let limited = limit(container, facts, plan, pid, warn);
    let recorded = limited.and_then(|()| write(&container.file("process"), &Process::find(pid)?));
    let recorded = recorded.and_then(|()| request.pid_file.as_ref().map_or(Ok(()), |file| write_pid(file, pid)));
    if recorded.is_err() {
        init.end();
    }
    recorded.map(|()| init)
}

/// A path as criu finds it, which has another working directory.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).doing(|| format!("find `{}`", path.display()))
}

/// Makes the container's cgroups without limits. criu restores everything in them, so that what is used counts from the beginning;
/// but what it needs itself for a moment must not be more than the container has.
fn create_cgroups(facts: &Facts) -> Result<Group> {
    let path = Path::new(&facts.cgroup);
    Group::create(&cgroup::Plan::new(&facts.hierarchies, path, &Resources::default())?)
}

/// Sets the container's limits. With systemd, its scope is made around the processes that are there.
fn limit(container: &Container, facts: &Facts, plan: &Plan, pid: i32, warn: &dyn Fn(&str)) -> Result<()> {
    let scope = container.scope()?;
    if let Some(scope) = &scope {
        scope.start(pid as u32, &container.config.resources(), &facts.hierarchies)?;
    }
    let mut plan = plan.clone();
    plan.cgroup.populated = true;
    let group = create_group(&plan, warn)?;
    // systemd takes in the one process that it is told.
    if scope.is_some() { group.admit_tree(pid) } else { Ok(()) }
}

/// What the container's mounts show of the host: places in the container, with what is shown there.
fn shown(config: &Config, bundle: &Path) -> Result<Vec<Shown>> {
    let mut tree = Tree::new(&config.root(bundle)).map_err(|error| wrong("root.path", error))?;
    let mounts = read_mounts(config, bundle, &mut tree)?;
    let binds = mounts.iter().filter(|mount| mount.is_bind()).map(|mount| Shown {
        place: format!("/{}", String::from_utf8_lossy(&mount.at.path())),
        source: mount.source.clone(),
    });
    let covers = Covers::find(&tree, &config.linux)?;
    let hidden = covers.files().iter().map(|path| Shown {
        place: path.clone(),
        source: "/dev/null".into(),
    });
    Ok(binds.chain(hidden).collect())
}

/// The namespaces that are others': criu is not to make them again. Each with criu's name for it.
fn joined(config: &Config) -> Result<Vec<(PathBuf, Result<String>)>> {
    let namespaces = Namespaces::of(&config.linux);
    let mut found = Vec::new();
    for (flag, path, field) in &namespaces.joined {
        let kind = match *flag {
            clone::NEWNET => "net",
            clone::NEWPID => "pid",
            _ => return Err(wrong(field, "only networks and processes of others can be restored")),
        };
        let inode = fs::metadata(path)
            .map(|found| found.ino())
            .doing(|| format!("find `{}`", path.display()));
        found.push((
            path.clone(),
            inode.map(|inode| format!("{kind}[{inode}]:{}", namespace_key(kind))),
        ));
    }
    Ok(found)
}

/// What the standard streams of a process are, in criu's words: pipes by their number, and what is in no mount of the container by
/// its mount. What is empty is criu's to make again.
fn streams(pid: i32) -> Result<Vec<String>> {
    let read = |path: String| table::text(&path, table::PAGE).doing(|| format!("read `{path}`"));
    let mounts = read(format!("/proc/{pid}/mountinfo"))?;
    let is_inside = |id: &str| mounts.lines().any(|line| line.split(' ').next() == Some(id));
    let stream = |number: i32| {
        let path = format!("/proc/{pid}/fd/{number}");
        // A process may have closed it.
        let Ok(link) = fs::read_link(&path) else {
            return Ok(String::new());
        };
        let link = link.to_string_lossy().into_owned();
        if link.starts_with("pipe:") {
            return Ok(link);
        }
        let info = read(format!("/proc/{pid}/fdinfo/{number}"))?;
        let mount = info
            .lines()
            .find_map(|line| line.strip_prefix("mnt_id:"))
            .unwrap_or_default()
            .trim();
        if !link.starts_with('/') || is_inside(mount) {
            return Ok(String::new());
        }
        let inode = fs::metadata(&path).doing(|| format!("find `{path}`"))?.ino();
        let mount: u32 = mount.parse().unwrap_or_default();
        Ok(format!("file[{mount:x}:{inode:x}]"))
    };
    (0..3).map(stream).collect()
}

/// Opens what criu is to use in the place of what was dumped: our standard streams, and namespaces of others. It inherits them.
fn give(config: &Config, streams: &[String]) -> Result<Vec<Given>> {
    let own: [&dyn Fn() -> rustix::io::Result<OwnedFd>; 3] = [
        &|| fcntl_dupfd_cloexec(std::io::stdin(), 3),
        &|| fcntl_dupfd_cloexec(std::io::stdout(), 3),
        &|| fcntl_dupfd_cloexec(std::io::stderr(), 3),
    ];
    let mut given = Vec::new();
    for (key, copy) in streams.iter().zip(own).filter(|(key, _)| !key.is_empty()) {
        given.push(Given {
            key: key.clone(),
            fd: copy().doing(|| "copy a standard stream")?,
        });
    }
    for (path, key) in joined(config)? {
        let key = key?;
        let fd = File::open(&path).doing(|| format!("open `{}`", path.display()))?.into();
        let key = key.rsplit(':').next().unwrap_or_default().to_string();
        given.push(Given { key, fd });
    }
    for Given { fd, .. } in &given {
        fcntl_setfd(fd.as_fd(), FdFlags::empty()).doing(|| "leave a descriptor to criu")?;
    }
    Ok(given)
}

/// The root where criu wants it: at a mount. It is taken away again when the container has its own.
struct Mounted(PathBuf);

impl Mounted {
    fn bind(root: &Path, at: PathBuf) -> Result<Mounted> {
        fs::create_dir(&at).doing(|| format!("make `{}`", at.display()))?;
        rustix::mount::mount_bind_recursive(root, &at).doing(|| format!("mount `{}`", root.display()))?;
        Ok(Mounted(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}
