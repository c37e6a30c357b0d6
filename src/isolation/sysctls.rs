//! Kernel settings that a container has for itself: `--sysctl` (sysctl(8), the kernel's `admin-guide/sysctl`).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::program::flags::{clone, open};
use crate::program::{Concept, Fd, Program, Register};

/// The settings of an IPC namespace. All others below `kernel.` are the host's.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The settings of a UTS namespace.
const UTS: [&str; 2] = ["kernel.hostname", "kernel.domainname"];

/// A setting and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// With dots, as Docker's users write it.
    name: String,
    value: String,
}

impl Sysctl {
    /// Reads `NAME=VALUE`. Only settings that belong to a namespace of the container are taken.
    pub fn parse(text: &str) -> Result<Sysctl> {
        let invalid = |what: &str| Error::invalid(format!("invalid sysctl `{text}`: {what}"));
        let (name, value) = text.split_once('=').ok_or_else(|| invalid("it is not NAME=VALUE"))?;
        if UTS.contains(&name) {
            return Err(invalid("that is the container's host name").hint("`--hostname` sets it"));
        }
        Sysctl::of(name, value).map_err(|error| error.doing(format!("invalid sysctl `{text}`")))
    }

    /// A setting by its name, with dots or slashes between its parts (sysctl(8)), and its value.
    pub fn of(name: &str, value: &str) -> Result<Sysctl> {
        let invalid = |what: &str| Error::invalid(what);
        let exchanged = name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/');
        let name = if exchanged { exchange(name) } else { name.to_string() };
        let name = name.as_str();
        let own =
            [&IPC[..], &UTS].iter().any(|list| list.contains(&name)) || name.starts_with("fs.mqueue.") || name.starts_with("net.");
        if !own {
            let hint = "a container has `net.…`, `fs.mqueue.…`, `kernel.msg…`, `kernel.sem` and `kernel.shm…` of its own";
            return Err(invalid("it is a setting of the whole host").hint(hint));
        }
        let sysctl = Sysctl {
            name: name.into(),
            value: value.into(),
        };
        // `net.//.kernel` would be the path `net/../kernel`.
        let leads_elsewhere = sysctl.path().split('/').any(|part| ["", ".", ".."].contains(&part));
        if leads_elsewhere || name.contains('\0') || value.contains('\0') {
            return Err(invalid("that is no name of a setting"));
        }
        Ok(sysctl)
    }

    /// The setting and its value.
    pub fn pair(&self) -> (String, String) {
        (self.name.clone(), self.value.clone())
    }

    /// Whether it is a setting of a network namespace.
    pub fn is_of_network(&self) -> bool {
        self.name.starts_with("net.")
    }

    /// The namespace whose setting it is, as a `CLONE_NEW…` flag.
    pub fn namespace(&self) -> u64 {
        match self.name.as_str() {
            name if UTS.contains(&name) => clone::NEWUTS,
            name if name.starts_with("net.") => clone::NEWNET,
            _ => clone::NEWIPC,
        }
    }

    /// Whether it is the host name by another way.
    pub fn is_host_name(&self) -> bool {
        self.name == "kernel.hostname"
    }

    /// Its file below `/proc/sys`. In the name of an interface a dot is written as a slash, and the other way around.
    fn path(&self) -> String {
        exchange(&self.name)
    }
}

/// Dots for slashes, and slashes for dots.
fn exchange(name: &str) -> String {
    let exchange = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    name.chars().map(exchange).collect()
}

/// Writes the step that opens the settings while they can still be written.
pub fn open_settings(program: &mut Program, proc: Register) -> Register {
    program.open(
        Fd::Kept(proc),
        b"sys",
        open::PATH | open::DIRECTORY,
        "the settings, before they are made read-only",
    )
}

/// Writes the steps that change settings.
pub fn set(program: &mut Program, settings: Register, sysctls: &[Sysctl]) {
    program.concept(Concept::ProcessIsolation);
    for sysctl in sysctls {
        let why = format!("the container's own {}", sysctl.name);
        let file = program.open_in_root(settings, sysctl.path().as_bytes(), open::WRONLY, why);
        program.write(file, &sysctl.value, "as the user asked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_namespaces_are_taken() {
        for (text, path) in [
            ("net.ipv4.ip_forward=1", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eth0/1.forwarding=0", "net/ipv4/conf/eth0.1/forwarding"),
            ("kernel.shmmax=1", "kernel/shmmax"),
            ("fs.mqueue.msg_max=100", "fs/mqueue/msg_max"),
        ] {
            assert_eq!(Sysctl::parse(text).unwrap().path(), path);
        }
        for text in [
            "kernel.core_pattern=|/bin/sh",
            "vm.swappiness=1",
            "net.ipv4",
            "net..x=1",
            "net.//.kernel.core_pattern=x",
            "net./.x=1",
            "kernel.shmmax/../core_pattern=x",
        ] {
            assert!(Sysctl::parse(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
