//! Capabilities: the parts of root's power that a container keeps.

use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use super::Host;
use crate::program::Program;
use crate::program::flags::capability as cap;

/// What a container may do by default: the same as Docker's (moby, `daemon/pkg/oci/caps/defaults.go`).
pub const DEFAULT: [u64; 14] = [
    cap::CHOWN,
    cap::DAC_OVERRIDE,
    cap::FSETID,
    cap::FOWNER,
    cap::MKNOD,
    cap::NET_RAW,
    cap::SETGID,
    cap::SETUID,
    cap::SETFCAP,
    cap::SETPCAP,
    cap::NET_BIND_SERVICE,
    cap::SYS_CHROOT,
    cap::KILL,
    cap::AUDIT_WRITE,
];

/// How many capabilities the kernel knows, and which of them are in our bounding set.
pub fn known() -> (u64, u64) {
    let mut bounding = 0;
    for number in 0..64 {
        match capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(true) => bounding |= 1 << number,
            Ok(false) => {}
            Err(_) => return (number, bounding),
        }
    }
    (64, bounding)
}

/// Writes the steps that remove all other capabilities from what the process could ever gain.
pub fn bound(program: &mut Program, host: &Host) {
    for number in (0..host.capabilities).filter(|number| host.bounding & (1 << number) != 0 && !DEFAULT.contains(number)) {
        program.drop_capability(number, "a container does not need it, and no program in it can gain it back");
    }
}

/// Writes the step that sets what the process can do now: root keeps the default, other users nothing.
pub fn set(program: &mut Program, host: &Host, root: bool) {
    let set = if root {
        DEFAULT.iter().fold(0, |set, number| set | 1 << number) & host.bounding
    } else {
        0
    };
    let shown = match set {
        0 => "{effective: none, permitted: none, inheritable: none}".to_string(),
        set => {
            let names: Vec<String> = (0..64).filter(|n| set & (1 << n) != 0).map(|n| cap::NAMES.show(n)).collect();
            format!("{{effective and permitted: {}, inheritable: none}}", names.join("|"))
        }
    };
    let why = if root {
        "root of a container is not root of the host"
    } else {
        "an ordinary user has no capabilities"
    };
    program.capset(set, shown, why);
}
