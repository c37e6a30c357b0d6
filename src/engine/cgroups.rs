//! Where a container's cgroups are: below the store's own directory in each tree, or below another one that was asked for.

use std::path::{Path, PathBuf};

use super::{Container, Options};
use crate::cgroup::{Group, Hierarchies, in_flags, table_of};
use crate::error::Result;
use crate::store::{Id, Store, read_if_present, write};

/// The record of a directory that was asked for, in the run directory: it is there as long as the cgroups may be.
const PARENT: &str = "cgroup-parent";

/// The record of what making the cgroups could not keep of what was asked for.
const WARNINGS: &str = "warnings";

/// The directory that a container's cgroups are made in, below each tree's mount.
pub fn parent<'a>(options: &'a Options, label: &'a str) -> &'a str {
    if options.cgroup_parent.is_empty() {
        label
    } else {
        &options.cgroup_parent
    }
}

/// Writes down where a container's cgroups will be, if that is not the usual place.
pub fn record_parent(container: &Container) -> Result<()> {
    match container.spec.options.cgroup_parent.as_str() {
        "" => Ok(()),
        parent => write(&container.run_file(PARENT), &parent),
    }
}

/// Writes down what could not be kept of the limits, but for what nobody has asked for.
pub fn record_warnings(container: &Container, group: &Group) -> Result<()> {
    let swap = container.spec.options.limits.memory.swap.is_some();
    let mut warnings: Vec<String> = group.warnings.iter().map(|warning| in_flags(warning)).collect();
    warnings.retain(|warning| swap || !warning.starts_with("`--memory-swap`"));
    if warnings.is_empty() {
        return Ok(());
    }
    write(&container.run_file(WARNINGS), &warnings)
}

/// What was written down about that.
pub fn warnings(container: &Container) -> Vec<String> {
    read_if_present(&container.run_file(WARNINGS))
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Where the cgroups of a container are, whatever there is left of it.
pub fn path(store: &Store, id: &Id) -> Result<PathBuf> {
    let recorded: Option<String> = read_if_present(&store.container_run(id).join(PARENT))?;
    Ok(Path::new(&recorded.unwrap_or_else(|| store.label())).join(id.as_str()))
}

/// The cgroups that a container may have.
pub fn possible(store: &Store, id: &Id) -> Result<Group> {
    Ok(Group::find(&Hierarchies::possible(), &path(store, id)?))
}

/// The cgroups of a running container that another process can be put into.
pub fn beside(store: &Store, id: &Id, init: i32) -> Result<Group> {
    let table = table_of(init)?;
    Ok(Group::beside(&Hierarchies::in_table(&table), &table, &path(store, id)?))
}

/// The cgroups that a running container has.
pub fn existing(store: &Store, id: &Id) -> Result<Group> {
    Ok(possible(store, id)?.existing())
}
