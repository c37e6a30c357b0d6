//! Resource limits: how much of the machine a container may use.
//!
//! The kernel keeps such limits in directories of a file system of its own: a process belongs to a directory, numbers are
//! written to the files in it. Version 2 has one tree for all resources; version 1 has a tree for each; hybrid hosts have
//! both, each controller in one of them. Every container gets a directory `tinydock/<id>` in each tree that matters.
//!
//! The limits are in place before init is started or, in version 1, before it goes on: init puts itself into version 1
//! trees, as its first steps, by writing `0` to their `tasks` file. That moves a single thread, which costs nothing, where
//! moving a process from outside waits for an RCU grace period of milliseconds.

mod device_filter;
mod group;
mod hierarchy;
mod limits;
mod plan;

pub use group::Group;
pub use hierarchy::{Hierarchies, Tree};
pub use limits::{Limits, parse_cpus, parse_memory};
pub use plan::{Plan, Write, enter, mount};
