//! Which namespaces a container has for itself, and which it shares with the host or with another container: `--pid`, `--ipc`,
//! `--uts`, `--cgroupns`.

use serde::{Deserialize, Serialize};

use super::{Host, UserNamespace};
use crate::error::{Error, Result};
use crate::program::flags::{clone, propagation};
use crate::program::{Concept, Fd, Input, Program, Register};

/// The processes that a container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processes {
    #[default]
    Own,
    /// All of the host.
    Host,
    /// Another container's, by its name or its id.
    Container(String),
}

/// The message queues, semaphores and shared memory that a container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipc {
    #[default]
    Own,
    /// Its own, without a `/dev/shm`.
    WithoutMemory,
    /// Its own, which other containers may share.
    Shareable,
    Host,
    /// Another container's, by its name or its id.
    Container(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    pub processes: Processes,
    pub ipc: Ipc,
    /// Whether its host name is the host's.
    pub host_uts: bool,
    /// Whether it sees the cgroups of the whole host.
    pub host_cgroups: bool,
    /// Whose users it has.
    pub users: UserNamespace,
}

/// As what init is given the process whose processes and whose memory a container shares.
pub const PROCESSES: Input = Input::Namespace(0);
pub const IPC: Input = Input::Namespace(1);
/// As what init is given a network namespace that was made ahead.
pub const NETWORK: Input = Input::Namespace(15);

impl Namespaces {
    /// Reads the values of `--pid`, `--ipc`, `--uts` and `--cgroupns`.
    pub fn parse(pid: Option<&str>, ipc: Option<&str>, uts: Option<&str>, cgroup: Option<&str>) -> Result<Namespaces> {
        let other = |text: &str| {
            text.strip_prefix("container:")
                .filter(|name| !name.is_empty())
                .map(str::to_string)
        };
        let wrong = |flag: &str, text: &str, hint: &str| {
            Error::invalid(format!("unknown mode `{text}`"))
                .doing(format!("`--{flag}`"))
                .hint(format!("there are {hint}"))
        };
        let is_host = |flag: &str, text: Option<&str>| match text {
            None | Some("" | "private") => Ok(false),
            Some("host") => Ok(true),
            Some(text) => Err(wrong(flag, text, "`host` and `private`")),
        };
        let processes = match pid {
            None | Some("" | "private") => Processes::Own,
            Some("host") => Processes::Host,
            Some(text) => Processes::Container(other(text).ok_or_else(|| wrong("pid", text, "`host` and `container:NAME`"))?),
        };
        let modes = "`private`, `shareable`, `none`, `host` and `container:NAME`";
        let ipc = match ipc {
            None | Some("" | "private") => Ipc::Own,
            Some("none") => Ipc::WithoutMemory,
            Some("shareable") => Ipc::Shareable,
            Some("host") => Ipc::Host,
            Some(text) => Ipc::Container(other(text).ok_or_else(|| wrong("ipc", text, modes))?),
        };
        Ok(Namespaces {
            processes,
            ipc,
            host_uts: is_host("uts", uts)?,
            host_cgroups: is_host("cgroupns", cgroup)?,
            ..Namespaces::default()
        })
    }

    /// Whether message queues, semaphores and shared memory are somebody else's as well.
    pub fn shares_ipc(&self) -> bool {
        matches!(self.ipc, Ipc::Host | Ipc::Container(_))
    }

    /// Whether init has a child that becomes the container's, since it is no process of the namespace that it joins, or
    /// needs the host's power until then.
    pub fn forks(&self) -> bool {
        self.has_users() || matches!(self.processes, Processes::Container(_))
    }

    /// Whether the container has users of its own.
    pub fn has_users(&self) -> bool {
        self.users != UserNamespace::Host
    }

    /// The namespaces that the container's first process is born in, as `CLONE_NEW…` flags.
    pub fn born(&self, host: &Host, own_network: bool) -> u64 {
        let shared = [
            (self.processes != Processes::Own, clone::NEWPID),
            (self.shares_ipc(), clone::NEWIPC),
            (self.host_uts, clone::NEWUTS),
        ];
        let shared = shared.iter().filter(|(is_shared, _)| *is_shared);
        shared.fold(namespaces(host, own_network), |flags, (_, flag)| flags & !flag)
    }
}

/// The namespaces that a container has by default, as `CLONE_NEW…` flags. The cgroup namespace is not among them: it begins where a
/// process is when it is made, so init makes it once it is in its cgroup.
pub fn namespaces(host: &Host, own_network: bool) -> u64 {
    let mut flags = clone::NEWNS | clone::NEWUTS | clone::NEWIPC | clone::NEWPID;
    if own_network {
        flags |= clone::NEWNET;
    }
    if host.time_namespace {
        flags |= clone::NEWTIME;
    }
    flags
}

/// Writes the step with which init enters the network namespace that was made for it.
pub fn join_network(program: &mut Program) {
    program.concept(Concept::ProcessIsolation);
    program.setns(
        Fd::Given(NETWORK),
        clone::NEWNET,
        "a network of its own, which was made ahead",
    );
}

/// Writes the step after which the children of init are in the process namespace of another container.
pub fn join_processes(program: &mut Program) {
    program.concept(Concept::ProcessIsolation);
    let why = "the processes of another container, for a child of init to be among";
    program.setns(Fd::Given(PROCESSES), clone::NEWPID, why);
}

/// Writes the steps with which init has its child, which takes all other steps in these namespaces (`CLONE_NEW…` flags). That of
/// clocks is made by itself: to clone(2) its flag is a part of a signal's number.
pub fn be_born(program: &mut Program, flags: u64) {
    program.concept(Concept::ProcessIsolation);
    if flags & clone::NEWTIME != 0 {
        program.unshare(clone::NEWTIME, "clocks of its own, for what is started from now on");
    }
    program.fork(flags & !clone::NEWTIME, "a child that is born in the container's namespaces");
    program.wait(Input::Release, "whoever started it knows it, and has not just ended");
}

/// Writes the steps with which init comes to share another container's message queues, semaphores and memory. The memory of
/// POSIX is files of a mount that only the other one has: it is cloned there, where nothing else is done. Returns the clone.
pub fn join_ipc(program: &mut Program) -> Register {
    program.concept(Concept::ProcessIsolation);
    let back = program.open(Fd::Cwd, b"/proc/self/ns/mnt", 0, "the way back to our own mounts");
    program.setns(
        Fd::Given(IPC),
        clone::NEWNS,
        "where the other container's /dev/shm can be reached",
    );
    let memory = program.open_tree(Fd::Cwd, b"/dev/shm", false, "the memory that is shared with it");
    program.setns(Fd::Kept(back), clone::NEWNS, "back to our own mounts");
    program.setns(
        Fd::Given(IPC),
        clone::NEWIPC,
        "its message queues, semaphores and other memory",
    );
    memory
}

/// Writes the steps with which a process that stays outside for now begins. What it mounts is only for itself, if it
/// mounts anything.
pub fn begin_outside(program: &mut Program, mounts: bool, open_shared: impl FnOnce(&mut Program)) {
    program.concept(Concept::ProcessIsolation);
    program.die_with_parent("a container does not outlive its monitor");
    program.unblock_signals("the command starts with no signal blocked, whatever we were started with");
    program.umask(0, "modes are what they are said to be");
    if mounts {
        program.unshare(clone::NEWNS, "mounts of its own to take parts from");
        open_shared(program);
        program.concept(Concept::ProcessIsolation);
        program.propagate(propagation::PRIVATE, "nothing mounted here shows on the host");
    }
}

/// Writes the step that clones the host's shared memory.
pub fn share_memory(program: &mut Program) -> Register {
    program.concept(Concept::ProcessIsolation);
    program.open_tree(Fd::Cwd, b"/dev/shm", false, "the memory that is shared with the host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_docker_reads_them() {
        let read = |pid: &str, ipc: &str, uts: &str, cgroup: &str| Namespaces::parse(Some(pid), Some(ipc), Some(uts), Some(cgroup));
        assert_eq!(Namespaces::parse(None, None, None, None).unwrap(), Namespaces::default());
        assert_eq!(read("", "private", "", "private").unwrap(), Namespaces::default());
        let all = read("host", "container:a", "host", "host").unwrap();
        assert_eq!(
            (&all.processes, all.host_uts, all.host_cgroups),
            (&Processes::Host, true, true)
        );
        assert_eq!(all.ipc, Ipc::Container("a".into()));
        for (pid, ipc, uts, cgroup) in [
            ("x", "", "", ""),
            ("container:", "", "", ""),
            ("", "x", "", ""),
            ("", "", "x", ""),
            ("", "", "", "x"),
        ] {
            assert!(read(pid, ipc, uts, cgroup).is_err(), "{pid} {ipc} {uts} {cgroup}");
        }
    }
}
