//! What a container is trusted with: capabilities, a filter of system calls, and programs that raise privileges.

use serde::{Deserialize, Serialize};

use super::capabilities::{self, Capabilities, DEFAULT};
use super::seccomp::{self, Seccomp};
use super::{Identity, Labels, Process, Ulimit, has_selinux};
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// The capabilities of the container's root, a bit each.
    pub capabilities: u64,
    /// Which system calls are filtered.
    pub seccomp: Seccomp,
    /// Whether executing a file can give no privileges: set-user-ID bits and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// Whether it is trusted like the host's own root: with all capabilities that there are to give, all devices, and `/sys`
    /// and its cgroups to change.
    #[serde(default)]
    pub privileged: bool,
    /// Whether nothing of `/proc` and `/sys` is hidden from it or protected.
    #[serde(default)]
    pub unmasked: bool,
    /// The AppArmor profile that the command runs under, if one was asked for.
    #[serde(default)]
    pub apparmor: Option<String>,
}

impl Default for Security {
    fn default() -> Security {
        Security {
            capabilities: capabilities::set_of(&DEFAULT),
            seccomp: Seccomp::Builtin,
            no_new_privileges: false,
            privileged: false,
            unmasked: false,
            apparmor: None,
        }
    }
}

impl Security {
    /// What `--privileged` means as long as nothing else is said.
    fn privileged() -> Security {
        Security {
            capabilities: capabilities::ALL,
            seccomp: Seccomp::Unconfined,
            no_new_privileges: false,
            privileged: true,
            unmasked: true,
            apparmor: None,
        }
    }

    /// Reads what `--privileged`, `--cap-add`, `--cap-drop` and `--security-opt` say. Who is privileged has all capabilities,
    /// whatever is said of them.
    pub fn parse<T: AsRef<str>>(privileged: bool, added: &[T], dropped: &[T], options: &[T]) -> Result<Security> {
        let capabilities = capabilities::tweak(added, dropped)?;
        let mut security = if privileged {
            Security::privileged()
        } else {
            Security {
                capabilities,
                ..Security::default()
            }
        };
        for option in options.iter().map(AsRef::as_ref) {
            let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
            match (name, value) {
                ("seccomp", "builtin") => security.seccomp = Seccomp::Builtin,
                ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
                ("seccomp", file) if !file.is_empty() => security.seccomp = seccomp::read(file, security.capabilities)?,
                ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
                ("no-new-privileges", "false") => security.no_new_privileges = false,
                ("systempaths", "unconfined") => security.unmasked = true,
                ("apparmor", profile) if !profile.is_empty() => {
                    labels(profile)?;
                    security.apparmor = Some(profile.into());
                }
                ("label", "disable") => {}
                ("label", label) if !label.is_empty() => return Err(no_label(label)),
                _ => {
                    let hint =
                        "there are `seccomp=`, `apparmor=`, `label=disable`, `systempaths=unconfined` and `no-new-privileges`";
                    return Err(Error::invalid(format!("unknown security option `{option}`")).hint(hint));
                }
            }
        }
        Ok(security)
    }

    /// The process that a user of the container becomes.
    pub fn process(&self, identity: &Identity, limits: &[Ulimit]) -> Result<Process> {
        Ok(Process {
            identity: identity.clone(),
            umask: 0o022,
            capabilities: Capabilities::of(self.capabilities, identity.user == 0),
            no_new_privileges: self.no_new_privileges,
            filter: self.seccomp.filter(self.capabilities)?,
            labels: self.apparmor.as_deref().map(labels).transpose()?.unwrap_or_default(),
            limits: limits.to_vec(),
            keeps_groups: false,
        })
    }

    /// The names of capabilities that were asked for and that this process has not got to give.
    pub fn unavailable(&self) -> Vec<&'static str> {
        if self.privileged || self.capabilities == Security::default().capabilities {
            return Vec::new();
        }
        let (known, bounding) = capabilities::known();
        capabilities::names(self.capabilities & !bounding & capabilities::all_of(known))
    }
}

/// A profile, if there is somebody to enforce it.
fn labels(profile: &str) -> Result<Labels> {
    Labels::of(profile, "").map_err(|error| error.hint("`--security-opt apparmor=unconfined` asks for none"))
}

fn no_label(label: &str) -> Error {
    let wrong = if has_selinux() {
        "only `disable` is known: what SELinux decides by itself stays"
    } else {
        "this host has no SELinux to enforce it"
    };
    Error::invalid(wrong)
        .doing(format!("SELinux label `{label}`"))
        .hint("`--security-opt label=disable` asks for none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::flags::capability as cap;

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let default = Security::default().capabilities;
        let bit = |n: u64| 1u64 << n;
        for (added, dropped, expected) in [
            (vec![], vec![], default),
            (vec!["SYS_ADMIN"], vec![], default | bit(cap::SYS_ADMIN)),
            (
                vec!["cap_net_admin"],
                vec!["CAP_CHOWN"],
                default & !bit(cap::CHOWN) | bit(cap::NET_ADMIN),
            ),
            (vec![], vec!["ALL"], 0),
            (vec!["chown"], vec!["all"], bit(cap::CHOWN)),
            (vec!["CHOWN"], vec!["CHOWN"], default),
            (vec!["ALL"], vec!["SYS_TIME"], capabilities::ALL & !bit(cap::SYS_TIME)),
        ] {
            let found = Security::parse(false, &added, &dropped, &[]).unwrap().capabilities;
            assert_eq!(found, expected, "{added:?} {dropped:?}");
        }
        let error = Security::parse(false, &["FLY"], &[], &[]).unwrap_err().to_string();
        assert!(error.contains("`FLY`"), "{error}");
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        for (options, seccomp, no_new_privileges) in [
            (vec![], Seccomp::Builtin, false),
            (vec!["no-new-privileges"], Seccomp::Builtin, true),
            (
                vec!["no-new-privileges=true", "no-new-privileges:false"],
                Seccomp::Builtin,
                false,
            ),
            (vec!["seccomp=unconfined"], Seccomp::Unconfined, false),
            (vec!["seccomp:unconfined", "seccomp=builtin"], Seccomp::Builtin, false),
        ] {
            let found = Security::parse(false, &[], &[], &options).unwrap();
            assert_eq!(
                (found.seccomp, found.no_new_privileges),
                (seccomp, no_new_privileges),
                "{options:?}"
            );
        }
        let error = Security::parse(false, &[], &[], &["seccomp=/no/profile.json"])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("seccomp profile `/no/profile.json`: "), "{error}");
    }
}
