//! What tinydock keeps on disk, and the locks around it.
//!
//! ```text
//! /var/lib/tinydock/                 the root (`--root`, TINYDOCK_ROOT): what outlives a reboot
//!   image/registry/NAME.tar.gz       root file systems as tarballs: drop one in, run it
//!   image/record/NAME                which layers a tarball was unpacked to, as JSON
//!   image/index.json, oci-layout     all other images, as an OCI image layout
//!   image/blobs/sha256/<digest>      their manifests, configurations and layers, compressed
//!   image/draft/<digest>             blobs that come in
//!   layer/sha256/<diff id>/          unpacked layers; one that is there is complete
//!   container/<id>/                  spec, started, exit, log; upper and work of its overlay
//!   container/names/<name>           a symbolic link to the id
//!   network/<name>                   a network, as JSON
//!   volume/<name>/                   record and data of a volume
//!   spare/<number>/                  directories of containers to come; while they are made, their names have two digits
//!   trash/                           what is being deleted
//!
//! /run/tinydock/                     the run directory (TINYDOCK_RUN): what dies with the boot
//!   image, index                     held while images are looked up or collected, while the index is written
//!   lease/<id>                       what somebody needs who pulls, loads or commits
//!   lock                             held while names, addresses, ports and ids are given out
//!   container/<id>/                  lock, endpoint, users, volumes, attach: there while something is done for or by the container
//!   network/<name>/<address>         a symbolic link to the id of the container that leases the address
//!   port/<protocol>-<address>-<port> a symbolic link to the id of the container that publishes the port
//!   nothing/                         an empty directory
//!   users/<id>                       a symbolic link to the container whose users have the ids from this one on
//!   looked-at                        which containers are looked at next for what a killed process has left
//! ```
//!
//! There is no database and no daemon, so these rules keep the tree true:
//!
//! - A record is written to a temporary file and renamed. What cannot be read is reported, not trusted.
//! - Whoever makes, starts, runs or removes a container holds the lock in its run directory. The lock is released by the
//!   kernel when its holder dies, so a run directory whose lock is free tells the next command what to clean up.
//! - Names, addresses, ports and ids of users are links that name their owner, made under one lock. One whose owner is gone is free.
//! - Deleting is renaming into the trash, then unlinking.

pub mod clock;
mod digest;
mod id;
mod link;
mod lock;
mod moment;
mod paths;
mod record;
mod spare;
mod text;
mod trash;
mod turns;

pub use digest::Digest;
pub use id::{Id, is_prefix};
pub use link::{Claim, Claims};
pub use lock::Lock;
pub use moment::{parse_duration, parse_moment};
pub use paths::Store;
pub use record::{read_if_present, remove_if_present, write, write_among_others, write_durably};
pub use text::Text;
pub use turns::next_names;
