//! The options of a mount: flags of the mount, how it propagates, and what the file system itself is told (runtime-spec,
//! `config.md`, "Mounts").

use crate::program::MountChange;
use crate::program::flags::{mount_attr as attr, propagation};

/// What the options of one mount say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a part of the host is shown, and whether with all that is mounted below it.
    pub bind: Option<bool>,
    /// `MOUNT_ATTR_…` of the mount itself: to set, and to clear.
    set: u64,
    clear: u64,
    /// The same for what is mounted below it, too.
    set_below: u64,
    clear_below: u64,
    /// `MS_…`, and whether it is also for what is mounted below.
    propagation: Option<(u64, bool)>,
    /// Whether ids are mapped, and whether also below.
    pub id_mapped: Option<bool>,
    /// Whether a new tmpfs has in it what is at its place in the root.
    pub copy_up: bool,
    /// What the file system is told: names, with values or without.
    pub data: Vec<(String, String)>,
}

/// The flags of mounts by their names, each with its opposite.
const FLAGS: [(&str, &str, u64); 9] = [
    ("ro", "rw", attr::RDONLY),
    ("nosuid", "suid", attr::NOSUID),
    ("nodev", "dev", attr::NODEV),
    ("noexec", "exec", attr::NOEXEC),
    ("nodiratime", "diratime", attr::NODIRATIME),
    ("nosymfollow", "symfollow", attr::NOSYMFOLLOW),
    ("noatime", "atime", attr::NOATIME),
    ("strictatime", "nostrictatime", attr::STRICTATIME),
    ("norelatime", "relatime", 0),
];
/// The bits that together say when access times are written; all clear is `relatime` (mount_setattr(2)).
const ACCESS_TIMES: u64 = 0x70;

const PROPAGATION: [(&str, u64); 4] = [
    ("private", propagation::PRIVATE),
    ("slave", propagation::SLAVE),
    ("shared", propagation::SHARED),
    ("unbindable", propagation::UNBINDABLE),
];

/// What mount(8) knows and the kernel has no use for today, or takes for granted.
const IGNORED: [&str; 17] = [
    "defaults",
    "async",
    "loud",
    "nomand",
    "mand",
    "noiversion",
    "iversion",
    "nolazytime",
    "remount",
    "acl",
    "noacl",
    "silent",
    "user",
    "nouser",
    "auto",
    "noauto",
    "_netdev",
];

/// The options that mean something beside what file systems are told.
pub const NAMES: [&str; 61] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// How an option's word spreads: `ro` for a mount, `rro` for all below it as well.
fn spread(word: &str) -> [(&str, bool); 2] {
    [(word, false), (word.strip_prefix('r').unwrap_or(""), true)]
}

impl Options {
    pub fn parse(words: &[String]) -> Options {
        let mut options = Options::default();
        for word in words {
            match word.as_str() {
                "bind" => options.bind = Some(options.bind.unwrap_or(false)),
                "rbind" => options.bind = Some(true),
                "idmap" => options.id_mapped = Some(false),
                "ridmap" => options.id_mapped = Some(true),
                "tmpcopyup" => options.copy_up = true,
                word if IGNORED.contains(&word) => {}
                word => {
                    if !options.take_flag(word) && !options.take_propagation(word) {
                        let (name, value) = word.split_once('=').unwrap_or((word, ""));
                        options.data.push((name.into(), value.into()));
                    }
                }
            }
        }
        options
    }

    fn take_flag(&mut self, word: &str) -> bool {
        let found = spread(word).into_iter().find_map(|(word, below)| {
            let flag = FLAGS.iter().find(|(on, off, _)| *on == word || *off == word)?;
            Some((flag.2, flag.0 == word, below))
        });
        let Some((bit, on, below)) = found else { return false };
        let times = matches!(bit, 0 | attr::NOATIME | attr::STRICTATIME);
        let (set, clear) = if below {
            (&mut self.set_below, &mut self.clear_below)
        } else {
            (&mut self.set, &mut self.clear)
        };
        if times {
            *set &= !ACCESS_TIMES;
            *clear |= ACCESS_TIMES;
        }
        if on {
            *set |= bit;
            *clear &= if times { u64::MAX } else { !bit };
        } else {
            *set &= !bit;
            *clear |= bit;
        }
        true
    }

    fn take_propagation(&mut self, word: &str) -> bool {
        let found = spread(word).into_iter().find_map(|(word, below)| {
            PROPAGATION
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, kind)| (*kind, below))
        });
        self.propagation = found.or(self.propagation);
        found.is_some()
    }

    /// The flags of a new mount.
    pub fn attributes(&self) -> u64 {
        self.set | self.set_below
    }

    /// Whether it can only be read.
    pub fn is_read_only(&self) -> bool {
        self.attributes() & attr::RDONLY != 0
    }

    /// The changes that make a clone of a part of the host what it is to be.
    pub fn changes(&self) -> Vec<MountChange> {
        let flags = |set, clear, recursive| MountChange {
            set,
            clear,
            recursive,
            ..MountChange::default()
        };
        let below = flags(self.set_below, self.clear_below, true);
        let own = flags(self.set, self.clear, false);
        [below, own]
            .into_iter()
            .chain(self.propagation_change())
            .filter(|change| !change.is_nothing())
            .collect()
    }

    /// The change of how it propagates, if any was asked for.
    pub fn propagation_change(&self) -> Option<MountChange> {
        self.propagation.map(|(kind, recursive)| propagate(kind, recursive))
    }
}

fn propagate(kind: u64, recursive: bool) -> MountChange {
    MountChange {
        propagation: kind,
        recursive,
        ..MountChange::default()
    }
}

/// The change that `linux.rootfsPropagation` asks for.
pub fn propagation_of(word: &str) -> Option<MountChange> {
    spread(word).into_iter().find_map(|(word, below)| {
        PROPAGATION
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, kind)| propagate(*kind, below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        Options::parse(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_of_mounts_have_opposites_and_a_recursive_form() {
        let change = |set, clear, recursive| MountChange {
            set,
            clear,
            recursive,
            ..MountChange::default()
        };
        for (words, expected) in [
            (vec!["rbind"], vec![]),
            (vec!["ro", "nosuid"], vec![change(attr::RDONLY | attr::NOSUID, 0, false)]),
            (vec!["ro", "rw"], vec![change(0, attr::RDONLY, false)]),
            (
                vec!["rro", "noexec"],
                vec![change(attr::RDONLY, 0, true), change(attr::NOEXEC, 0, false)],
            ),
            (vec!["noatime"], vec![change(attr::NOATIME, ACCESS_TIMES, false)]),
            (vec!["noatime", "relatime"], vec![change(0, ACCESS_TIMES, false)]),
            (vec!["rslave"], vec![propagate(propagation::SLAVE, true)]),
            (vec!["private"], vec![propagate(propagation::PRIVATE, false)]),
        ] {
            assert_eq!(parse(&words).changes(), expected, "{words:?}");
        }
    }

    #[test]
    fn everything_else_is_for_the_file_system() {
        let options = parse(&["nosuid", "mode=755", "size=64k", "newinstance", "defaults"]);
        let data: Vec<_> = options
            .data
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(data, [("mode", "755"), ("size", "64k"), ("newinstance", "")]);
        assert_eq!(options.attributes(), attr::NOSUID);
    }
}
