//! Capabilities: the parts of root's power that a container keeps.

use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

use super::Host;
use crate::error::{Error, Result};
use crate::kernel::status;
use crate::program::flags::capability as cap;
use crate::program::{CapabilitySets, Program};

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

/// The sets of capabilities of a process, a bit for each capability (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// All that there are today.
pub const ALL: u64 = (2 << cap::CHECKPOINT_RESTORE) - 1;

/// A set as the kernel has it: a bit per capability.
pub fn set_of(list: &[u64]) -> u64 {
    list.iter().fold(0, |set, number| set | 1 << number)
}

/// The default with some added and some dropped, by names with or without `CAP_`, or `ALL` (moby, `daemon/pkg/oci/caps`).
pub fn tweak<T: AsRef<str>>(added: &[T], dropped: &[T]) -> Result<u64> {
    let is_all = |name: &T| name.as_ref().eq_ignore_ascii_case("ALL");
    let read = |names: &[T]| -> Result<u64> {
        let single = names.iter().filter(|name| !is_all(name));
        single.map(|name| parse(name.as_ref())).try_fold(0, |set, bit| Ok(set | bit?))
    };
    let (plus, minus) = (read(added)?, read(dropped)?);
    Ok(match (added.iter().any(is_all), dropped.iter().any(is_all)) {
        (true, _) => ALL & !minus,
        (false, true) => plus,
        (false, false) => set_of(&DEFAULT) & !minus | plus,
    })
}

/// The bit of a capability.
pub fn parse(name: &str) -> Result<u64> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    let found = (0..=cap::CHECKPOINT_RESTORE).find(|number| cap::NAMES.name(*number) == Some(full.as_str()));
    let unknown = || Error::invalid(format!("unknown capability `{name}`")).hint("capabilities(7) lists them; `ALL` means all");
    found.map(|number| 1 << number).ok_or_else(unknown)
}

/// The names of the capabilities of a set.
pub fn names(set: u64) -> Vec<&'static str> {
    let numbers = (0..=cap::CHECKPOINT_RESTORE).filter(|number| set & (1 << number) != 0);
    numbers.filter_map(|number| cap::NAMES.name(number)).collect()
}

/// How many capabilities the kernel knows, and which of them are in our bounding set.
pub fn known() -> (u64, u64) {
    let is_known = |number: &u64| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_ok();
    // It mostly is the number that we know, too.
    let ours = cap::CHECKPOINT_RESTORE + 1;
    let fewer = (0..ours).rev().take_while(|number| !is_known(number)).count() as u64;
    let more = (ours..64).take_while(is_known).count() as u64;
    let known = ours - fewer + more;
    (known, status::inherited().bounding & all_of(known))
}

/// All that a kernel has that knows so many.
pub fn all_of(known: u64) -> u64 {
    1u64.checked_shl(known as u32).map_or(u64::MAX, |bit| bit - 1)
}

/// Whether this process has a capability now.
pub fn may(number: u64) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.bits() & (1 << number) != 0)
}

/// Writes the steps that remove all other capabilities from what the process could ever gain.
pub fn bound(program: &mut Program, host: &Host, kept: u64) {
    for number in (0..host.capabilities).filter(|number| host.bounding & !kept & (1 << number) != 0) {
        program.drop_capability(number, "a container does not need it, and no program in it can gain it back");
    }
}

impl Capabilities {
    /// What a container's root has with `kept`: all of it. Other users gain none of it but by what they execute.
    pub fn of(kept: u64, root: bool) -> Capabilities {
        let own = if root { kept } else { 0 };
        Capabilities {
            bounding: kept,
            effective: own,
            permitted: own,
            ..Capabilities::default()
        }
    }

    /// As far as the host can give them.
    pub fn possible(self, host: &Host) -> Capabilities {
        let known = all_of(host.capabilities);
        let [bounding, effective, permitted, inheritable, ambient] =
            [self.bounding, self.effective, self.permitted, self.inheritable, self.ambient].map(|set| set & host.bounding & known);
        Capabilities {
            bounding,
            effective,
            permitted,
            inheritable,
            ambient,
        }
    }
}

/// Writes the step that sets what the process can do now; `more` is for a moment only.
pub fn set(program: &mut Program, own: Capabilities, more: u64) {
    let sets = CapabilitySets {
        effective: own.effective | more,
        permitted: own.permitted | more,
        inheritable: own.inheritable,
    };
    let show = |set: u64| match set {
        0 => "none".to_string(),
        set => names(set).join("|"),
    };
    let shown = if sets.effective == sets.permitted && sets.effective != 0 {
        let both = show(sets.effective);
        format!("{{effective and permitted: {both}, inheritable: {}}}", show(sets.inheritable))
    } else {
        let [effective, permitted, inheritable] = [sets.effective, sets.permitted, sets.inheritable].map(show);
        format!("{{effective: {effective}, permitted: {permitted}, inheritable: {inheritable}}}")
    };
    let why = match (more, own.permitted) {
        (0, 0) => "an ordinary user has no capabilities",
        (0, _) => "root of a container is not root of the host",
        _ => "what the command will have, and for now what it takes to be filtered",
    };
    program.capset(sets, shown, why);
}

/// Writes the steps that add what a program keeps when an ordinary user executes it.
pub fn raise_ambient(program: &mut Program, own: Capabilities) {
    let numbers = (0..64).filter(|number| own.ambient & own.permitted & own.inheritable & (1 << number) != 0);
    for number in numbers {
        program.raise_ambient(number, "the command keeps it although its user is not root");
    }
}
