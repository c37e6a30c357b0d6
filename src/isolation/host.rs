//! What the plan must know of the host: which kernel features and files there are.

use std::fs;

use super::capabilities;
use super::masks::{Mask, PATHS, READ_ONLY};

/// Facts about the host that decide which steps a container needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Whether the kernel has time namespaces that a process enters when it executes (Linux 6.1).
    pub time_namespace: bool,
    /// The kernel's release, as numbers.
    pub release: (u32, u32),
    /// How many capabilities the kernel knows.
    pub capabilities: u64,
    /// The capabilities that we could give, a bit each.
    pub bounding: u64,
    /// The paths of `/proc` and `/sys` to hide, of those that exist here.
    pub masks: Vec<Mask>,
    /// The paths of `/proc` that may only be read, of those that exist here.
    pub read_only: Vec<&'static str>,
}

impl Host {
    /// What the host can give to a container with users of its own: whoever is in a user namespace may have any power there.
    pub fn for_own_users(&self) -> Host {
        Host {
            bounding: u64::MAX,
            ..self.clone()
        }
    }

    /// Looks at this host, but not for paths to hide.
    pub fn bare() -> Host {
        let release = release();
        let (capabilities, bounding) = capabilities::known();
        Host {
            time_namespace: release >= (6, 1) && has_time_namespaces(),
            release,
            capabilities,
            bounding,
            masks: Vec::new(),
            read_only: Vec::new(),
        }
    }

    /// Looks at this host.
    pub fn read() -> Host {
        // First, since a process that is being made beside this one waits for a part of it, or this for that.
        let bare = Host::bare();
        Host {
            masks: PATHS.iter().flat_map(|path| Mask::find(path)).collect(),
            read_only: READ_ONLY.iter().copied().filter(|path| fs::metadata(path).is_ok()).collect(),
            ..bare
        }
    }
}

/// Whether the kernel was built with namespaces of clocks. It is the link that is looked at, since following it takes longer.
fn has_time_namespaces() -> bool {
    fs::symlink_metadata("/proc/self/ns/time").is_ok()
}

/// The first two numbers of the kernel's release.
pub fn release() -> (u32, u32) {
    let name = rustix::system::uname();
    let text = name.release().to_string_lossy();
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
