//! Kernel settings of the container's namespaces, and the numbers of what its mounts need.

use std::fs;
use std::path::{Path, PathBuf};

use super::config::{Config, Mount, wrong};
use super::namespaces::Namespaces;
use super::sources::Planned;
use crate::error::{Error, Result};
use crate::isolation::IdMapping;
use crate::isolation::{self, Sysctl};
use crate::kernel::table;
use crate::program::flags::{clone, open};
use crate::program::{Concept, Fd, Input, Program, Register};

/// Writes the step that opens the settings of the host's `/proc`, which are those of whoever writes them.
pub fn open(program: &mut Program) -> Register {
    program.concept(Concept::ProcessIsolation);
    program.open(
        Fd::Cwd,
        b"/proc/sys",
        open::PATH | open::DIRECTORY,
        "the settings, which nothing in a container can replace",
    )
}

/// Writes the steps that change settings. Only those of a namespace that the container has for itself are taken.
pub fn set(program: &mut Program, settings: Register, config: &Config) -> Result<()> {
    let sysctls = read(config)?;
    isolation::set_sysctls(program, settings, &sysctls);
    Ok(())
}

/// Reads `linux.sysctl`.
pub fn read(config: &Config) -> Result<Vec<Sysctl>> {
    let namespaces = Namespaces::of(&config.linux);
    let mut sysctls = Vec::new();
    for (name, value) in &config.linux.sysctl {
        let field = || format!("linux.sysctl.{name}");
        let sysctl = Sysctl::of(name, value).map_err(|error| wrong(&field(), error))?;
        if !namespaces.has(sysctl.namespace()) {
            return Err(wrong(
                &field(),
                Error::invalid("the container has no namespace of its own that it is a setting of"),
            ));
        }
        if sysctl.is_host_name() && namespaces.makes(clone::NEWUTS) && !config.hostname.is_empty() && value != &config.hostname {
            return Err(wrong(&field(), Error::invalid("is not the same as `hostname`")));
        }
        sysctls.push(sysctl);
    }
    Ok(sysctls)
}

/// The mount that a path is on.
pub fn mount_point(path: &Path) -> PathBuf {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let mounts = table::text("/proc/self/mountinfo", table::PAGE).unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let covering = points.filter(|point| path.starts_with(point));
    covering
        .max_by_key(|point| point.as_os_str().len())
        .unwrap_or_else(|| "/".into())
}

/// The mappings of ids that the configuration asks for, in the order of the inputs that have them: first the container's own.
pub fn mappings(config: &Config) -> Vec<(&[IdMapping], &[IdMapping])> {
    let mut all: Vec<(&[IdMapping], &[IdMapping])> = Vec::new();
    for mount in &config.mounts {
        let mapping = (&mount.uid_mappings[..], &mount.gid_mappings[..]);
        if !mount.uid_mappings.is_empty() && !all.contains(&mapping) {
            all.push(mapping);
        }
    }
    all
}

/// The first input that has a mapping of a mount; those before it are namespaces that are joined.
pub const FIRST_MAPPING: u8 = 16;
/// Each is a namespace, and so a descriptor of init's.
const MOST_MAPPINGS: usize = 64;

/// Gives mounts the inputs with which they exchange ids, and those that are made before init is started.
pub fn number_mounts(mounts: &mut [Planned], config: &Config) -> Result<()> {
    let mappings = mappings(config);
    if mappings.len() > MOST_MAPPINGS {
        return Err(wrong(
            "mounts",
            format!("have more than {MOST_MAPPINGS} different mappings of ids"),
        ));
    }
    let mut made = 0;
    for planned in mounts {
        let mount = &config.mounts[planned.n];
        if planned.options.id_mapped.is_some() || !mount.uid_mappings.is_empty() {
            let mapping = (&mount.uid_mappings[..], &mount.gid_mappings[..]);
            let own = mappings.iter().position(|known| *known == mapping);
            planned.users = Some(own.map_or(Input::Users, |n| Input::Namespace(FIRST_MAPPING + n as u8)));
        }
        if planned.options.copy_up && planned.kind == "tmpfs" {
            planned.made = Some(Input::Mount(made));
            made = made
                .checked_add(1)
                .ok_or_else(|| wrong("mounts", "are too many with `tmpcopyup`"))?;
        }
        check_users(planned, mount, config)?;
    }
    Ok(())
}

/// Ids can be exchanged in a part of the host only, and it must be known for which.
fn check_users(planned: &Planned, mount: &Mount, config: &Config) -> Result<()> {
    if planned.users.is_none() {
        return Ok(());
    }
    if !planned.is_bind() && planned.made.is_none() {
        return Err(wrong(&planned.field("options"), "only a bind can have its ids exchanged"));
    }
    if mount.uid_mappings.is_empty() && !config.linux.has("user") {
        return Err(wrong(
            &planned.field("options"),
            "`idmap` needs `uidMappings` and `gidMappings`, or a user namespace",
        ));
    }
    Ok(())
}
