//! Resource limits: how much of the machine a container may use.
//!
//! The kernel keeps such limits in directories of a file system of its own: a process belongs to a directory, numbers are
//! written to the files in it. Version 2 has one tree for all resources; version 1 has a tree for each; hybrid hosts have
//! both, each controller in one of them. Every container gets a directory in each tree that matters: the engine's
//! `tinydock/<id>` in the few that its limits need, the OCI runtime's where its configuration says, in all that there are.
//!
//! The limits are in place before init is started or, in version 1, before it goes on: init puts itself into version 1
//! trees by writing `0` to their `tasks` file. That moves a single thread, which costs nothing, where moving a process from
//! outside waits for an RCU grace period of milliseconds.
//!
//! [`Resources`] is what is asked for, in the specification's words. A [`Plan`] is what that means on this host, as data. A
//! [`Group`] is what has been made.

mod change;
mod check;
mod device_filter;
mod device_rule;
mod devices;
mod group;
mod hierarchy;
mod limits;
mod merge;
mod oom;
mod plan;
mod processes;
mod resources;
mod rules;
mod settings;
mod settings_devices;
mod stats;
mod stats_separate;
mod stats_unified;
mod steps;
pub mod systemd;
mod words;
mod write;

pub use devices::default_devices;
pub use group::{Group, table_of};
pub use hierarchy::{Hierarchies, Tree};
pub use limits::{parse_bytes, parse_cpus, parse_memory, recorded};
pub use oom::{OomEvent, OomWatch};
pub use plan::{Devices, Missing, Plan, Write};
pub use processes::is_frozen;
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, Memory, Network, Pids, Priority, Rdma, Resources, Throttle, WeightDevice,
};
pub use rules::{check_available, check_limits};
pub use stats::Stats;
pub use steps::{enter, mount, mount_at, protect};
pub use systemd::Scope;
pub use words::{error_in_flags, in_flags};
