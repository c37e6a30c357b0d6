//! How init comes to be in the container's namespaces.
//!
//! Most containers' init is simply born in new ones. Where users are another's, or processes another container's, init stays
//! outside as long as it needs the host's power, and then has a child that is born in all of them at once.

use super::config::Config;
use super::namespaces::Namespaces;
use crate::isolation;
use crate::program::flags::{clone, open, propagation};
use crate::program::{Concept, Fd, Input, Program, Register};

impl Namespaces {
    /// Whether init has a child that becomes the container's.
    pub fn forks(&self) -> bool {
        self.has(clone::NEWUSER) || self.joins(clone::NEWPID)
    }

    /// What a process is born in. The cgroup namespace begins where a process is when it is made, and the clocks of a time
    /// namespace can only be set before anybody is in it.
    pub fn born(&self, config: &Config) -> u64 {
        let later = clone::NEWUSER
            | clone::NEWCGROUP
            | if config.linux.time_offsets.is_empty() && !self.forks() {
                0
            } else {
                clone::NEWTIME
            };
        self.new & !later
    }
}

/// Writes the steps that join the namespaces which exist, but for users.
pub fn join(program: &mut Program, namespaces: &Namespaces) {
    program.concept(Concept::ProcessIsolation);
    for (n, (flag, path, _)) in namespaces.joined.iter().enumerate() {
        if *flag != clone::NEWUSER {
            let why = format!("the namespace `{}`, which others are in", path.display());
            program.setns(Fd::Given(Input::Namespace(n as u8)), *flag, why);
        }
    }
}

/// Opens what the kernel says of this process, where clocks are set, if they are to differ.
pub fn open_clocks(program: &mut Program, config: &Config) -> Option<Register> {
    program.concept(Concept::ProcessIsolation);
    let differ = !config.linux.time_offsets.is_empty();
    differ.then(|| program.open(Fd::Cwd, b"/proc/self", open::PATH | open::DIRECTORY, "where clocks are set"))
}

/// Writes the steps that make a time namespace whose clocks differ from the host's.
pub fn set_clocks(program: &mut Program, config: &Config, namespaces: &Namespaces, process: Option<Register>) {
    if !namespaces.makes(clone::NEWTIME) || namespaces.born(config) & clone::NEWTIME != 0 {
        return;
    }
    program.unshare(clone::NEWTIME, "clocks of its own, for what is started from now on");
    let Some(process) = process.map(Fd::Kept) else { return };
    let offsets = config.linux.time_offsets.iter();
    let lines: String = offsets
        .map(|(clock, by)| format!("{clock} {} {}\n", by.secs, by.nanosecs))
        .collect();
    let file = program.open(process, b"timens_offsets", open::WRONLY, "by how much they differ");
    program.write(file, &lines, "in seconds and nanoseconds");
    // A child is born there. What is executed comes there by itself only since Linux 6.3.
    if !namespaces.forks() {
        let made = program.open(process, b"ns/time_for_children", 0, "the namespace that was made");
        program.setns(Fd::Kept(made), clone::NEWTIME, "the command has these clocks too");
    }
}

/// Writes the steps with which init, still outside, prepares its own view of the host's mounts.
pub fn prepare(program: &mut Program, namespaces: &Namespaces) {
    if namespaces.makes(clone::NEWNS) {
        program.unshare(clone::NEWNS, "mounts of its own to take parts from");
        program.propagate(propagation::SLAVE, "nothing mounted here shows on the host");
    }
}

/// Writes the steps with which init has its child, which takes all other steps.
pub fn fork(program: &mut Program, config: &Config, namespaces: &Namespaces) {
    isolation::be_born(
        program,
        (namespaces.born(config) | namespaces.new & clone::NEWPID) & !clone::NEWUSER,
    );
}
