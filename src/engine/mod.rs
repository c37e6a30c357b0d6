//! The verbs: what can be done with containers, images and networks. This is the only floor that knows several concepts.
//!
//! ```text
//!   command                      monitor                       init
//!   ───────                      ───────                       ────
//!   clone ─────────────────────▶ network namespace
//!   create: image, record        spawn ──────────────────────▶ waits
//!   prepare: address, root, plan
//!   program ─────────────────────────────────────────────────▶ mounts …
//!   cgroups
//!   hand over ─────────────────▶ connect to the network        waits
//!                                release ────────────────────▶ … becomes the user's command
//!   ◀─────────────── started ─── becomes the small monitor
//!   attach ◀───── output, end ── carries, logs, records
//!   child of it: cleans up,      or becomes `finish`, and does
//! ```
//!
//! Whatever is made that outlives a process is named after the container and written down first, and [`recover`] undoes
//! it, whoever was killed when.

mod ahead;
mod archives;
mod attach;
mod boot;
mod born;
mod bring_up;
mod cgroups;
mod changes;
mod collect;
mod commit;
mod container;
mod copy;
mod create;
pub mod events;
mod exec;
mod explain;
mod files;
mod finish;
mod fsck;
pub mod health;
mod image_config;
mod image_list;
mod images;
mod inspect;
mod kill;
mod layers;
mod list;
mod login;
mod logs;
mod materialize;
mod monitor;
mod mounts;
mod names;
mod networks;
mod patience;
mod pause;
mod plan;
mod prepare;
mod pull;
mod push;
mod recover;
mod references;
mod remove;
mod rename;
pub mod restart;
mod run;
mod spec;
mod start;
mod state;
mod stats;
mod stop;
mod top;
mod update;
mod users;
mod volumes;
mod wait;
pub mod watch;
mod why;
mod wires;

use crate::error::Result;
use crate::store::Store;

pub use crate::store::clock::show as show_time;
pub use archives::Import;
pub use attach::{DetachKeys, Left, Streams};
pub use collect::{Removed, disk_usage};
pub use commit::Commit;
pub use container::Container;
pub use copy::Copying;
pub use create::Called;
pub use exec::ExecOptions;

pub use finish::{FINISH, finish};
pub use fsck::Report;
pub use image_list::{ImageFilter, ListedImage};
pub use inspect::Inspected;
pub use list::{Brief, Listed, of_each};
pub use login::Kept as LoginKept;
pub use logs::{Asked as LogsAsked, Driver as LogDriver, Line as LogLine, LogConfig, Reader as LogReader, Stream};
pub use pull::{NotPulled, Progress, Pulled, Step};
pub use push::Pushed;
pub use run::Run;
use spec::check_name;
pub use spec::{Options, Spec, bare_name};
pub use state::{Exit, Started, State, Stopped};
pub use stats::Usage;
pub use stop::Asking;
pub use top::Processes;
pub use update::Change;
pub use volumes::Pruned;
pub use why::Why;

/// Everything that tinydock can do with one store.
pub struct Engine {
    store: Store,
}

impl Engine {
    pub fn new(store: Store) -> Engine {
        Engine { store }
    }

    /// The directory that everything is kept below.
    pub fn root(&self) -> &std::path::Path {
        self.store.root()
    }

    /// The container that `text` means.
    pub fn find(&self, text: &str) -> Result<Container> {
        Container::find(&self.store, text)
    }
}
