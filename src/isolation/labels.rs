//! Labels of security modules: which profile of AppArmor's, or which label of SELinux's, the command is under (the kernel's
//! `admin-guide/LSM`). They are written to files of the process's own in the host's `/proc`, which are opened before there is any other:
//! nothing that a container mounts can be written to instead (CVE-2019-16884, CVE-2023-28642, CVE-2025-52881).

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::program::flags::open;
use crate::program::{Concept, Fd, Program, Register};

/// The labels of a process; nothing is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    apparmor: String,
    selinux: String,
}

/// Where they are to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelFiles {
    apparmor: Option<Register>,
    selinux: Option<Register>,
}

const APPARMOR: &str = "/proc/self/attr/apparmor/exec";
const EXEC: &str = "/proc/self/attr/exec";

impl Labels {
    /// The labels that are asked for, as far as this host has what they are for. A host without AppArmor cannot confine anything by it;
    /// one without SELinux has nothing that a label would mean, which engines expect to be passed over.
    pub fn of(apparmor: &str, selinux: &str) -> Result<Labels> {
        if !apparmor.is_empty() && apparmor != "unconfined" {
            check_profile(apparmor).map_err(|error| error.doing(format!("AppArmor profile `{apparmor}`")))?;
        }
        let keep = |label: &str, is_there: bool| if is_there { label.to_string() } else { String::new() };
        Ok(Labels {
            apparmor: keep(apparmor, has_apparmor()),
            selinux: keep(selinux, has_selinux()),
        })
    }

    /// Writes the steps that open the files.
    pub fn open(&self, program: &mut Program) -> LabelFiles {
        program.concept(Concept::ProcessIsolation);
        let path = if Path::new(APPARMOR).exists() { APPARMOR } else { EXEC };
        let mut file = |label: &str, path: &str| {
            let open = |program: &mut Program| program.open(Fd::Cwd, path.as_bytes(), open::WRONLY, "where the label is written");
            (!label.is_empty()).then(|| open(program))
        };
        LabelFiles {
            apparmor: file(&self.apparmor, path),
            selinux: file(&self.selinux, EXEC),
        }
    }

    /// Writes the steps that set the labels of what is executed next.
    pub fn set(&self, program: &mut Program, files: LabelFiles) {
        program.concept(Concept::ProcessIsolation);
        if let Some(file) = files.apparmor {
            program.write(file, &format!("exec {}", self.apparmor), "the command is under this profile");
        }
        if let Some(file) = files.selinux {
            program.write(file, &self.selinux, "the command has this label");
        }
    }
}

/// Checks that a profile can be enforced. The kernel lists those that are loaded, each with how it is enforced; what is no single name
/// of one it alone can judge.
fn check_profile(name: &str) -> Result<()> {
    if !has_apparmor() {
        return Err(Error::invalid("this host has no AppArmor to enforce it"));
    }
    let Ok(loaded) = fs::read_to_string("/sys/kernel/security/apparmor/profiles") else {
        return Ok(());
    };
    if name.contains("//&") || name.starts_with(':') || loaded.lines().any(|line| is_profile(line, name)) {
        return Ok(());
    }
    Err(Error::not_found("it is not loaded: apparmor_parser(8) does that"))
}

/// Whether a line such as `name (enforce)` is about this profile.
fn is_profile(line: &str, name: &str) -> bool {
    line.rsplit_once(" (").is_some_and(|(profile, _)| profile == name)
}

/// Whether AppArmor is there and on.
pub fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

/// Whether SELinux is there and on.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_known_by_its_whole_name() {
        for (line, name, is) in [
            ("mine (enforce)", "mine", true),
            ("mine (enforce)", "min", false),
            ("/usr/bin/with space (complain)", "/usr/bin/with space", true),
            ("mine//child (enforce)", "mine", false),
        ] {
            assert_eq!(is_profile(line, name), is, "{line}, {name}");
        }
    }
}
