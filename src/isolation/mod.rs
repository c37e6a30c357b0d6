//! Process isolation: a process that sees nothing of the host but what it is shown.
//!
//! Namespaces give it its own process ids, mounts, host name, IPC objects, network, clocks and cgroup root. Its file
//! system is what was mounted before the host's root was unmounted; `/proc`, `/sys` and `/dev` are new and show
//! only what is safe to show. It has 14 of root's 41 capabilities, and loses the rest for good; calls that a container has
//! no use for are refused by a filter.
//!
//! The functions here write this into a program in the order in which it must happen:
//! [`begin`], [`mount_kernel_file_systems`], [`open_terminal`], [`enter_root`], [`begin_session`], [`open_streams`], [`become_user`],
//! [`leave_nothing`], [`restrict`], [`execute`].

mod capabilities;
mod command;
mod device;
mod devices;
mod host;
mod id_range;
mod kernel_mounts;
mod labels;
mod masks;
mod namespaces;
mod process;
mod root;
mod scheduling;
mod seccomp;
mod security;
mod sysctls;
mod terminal;
mod ulimits;
mod user;
mod users;

use crate::program::flags::{clone, open, propagation};
use crate::program::{Concept, Fd, Input, Program, Register};
use namespaces::namespaces;

pub use capabilities::{Capabilities, known as known_capabilities, may, names as capability_names, parse as parse_capability};
pub use command::{Command, PATH, environment};
pub use device::{Device, Node, all_devices};
pub use devices::{below_dev, make_node, open_devices};
pub use host::{Host, release};
pub use id_range::{IdRange, Ids, POOL, UNIT, UserNamespace};
pub use kernel_mounts::{KernelMounts, SharedMemory, Shown, mount_kernel_file_systems};
pub use labels::{LabelFiles, Labels, has_apparmor, has_selinux};
pub use masks::{PATHS as HIDDEN_PATHS, READ_ONLY as READ_ONLY_PATHS, check_cover};
pub use namespaces::{
    IPC, Ipc, NETWORK, Namespaces, PROCESSES, Processes, be_born, begin_outside, join_ipc, join_network, join_processes,
    share_memory,
};
pub use process::{
    Process, become_user, begin_session, check_filter, check_waiting, execute, leave_nothing, open_streams, restrict,
};
pub use root::{Exchange, enter_root, replace_root};
pub use scheduling::{Scheduling, prefer_to_kill, schedule};
pub use seccomp::{Filter, Profile, Seccomp, compile as compile_profile};
pub use security::Security;
pub use sysctls::{Sysctl, set as set_sysctls};
pub use terminal::{join_terminal, open_terminal, pair_terminal};
pub use ulimits::Ulimit;
pub use user::{Identity, Users};
pub use users::{IdMapping, become_root, make as make_users};

/// Writes the steps that come before all others. `open_shared` writes those that need mounts which still belong together with the
/// host's. Without a host name it is the host's.
pub fn begin(program: &mut Program, hostname: Option<&str>, open_shared: impl FnOnce(&mut Program)) {
    program.concept(Concept::ProcessIsolation);
    program.die_with_parent("a container does not outlive its monitor");
    program.unblock_signals("the command starts with no signal blocked, whatever we were started with");
    program.umask(0, "modes are what they are said to be");
    open_shared(program);
    program.concept(Concept::ProcessIsolation);
    program.propagate(
        propagation::PRIVATE,
        "nothing mounted here shows on the host, and nothing mounted there shows here",
    );
    if let Some(hostname) = hostname {
        program.sethostname(hostname, "the UTS namespace's own host name");
    }
}

/// Writes the steps with which a process enters the namespaces of a running container, whose init it is given, and the user namespace where there is one.
/// Its own process id is still the host's. Returns the container's root directory.
pub fn join(program: &mut Program, host: &Host, users: bool) -> Register {
    program.concept(Concept::ProcessIsolation);
    program.unblock_signals("the command starts with no signal blocked, whatever we were started with");
    let mut flags = namespaces(host, true) | clone::NEWCGROUP;
    if users {
        flags |= clone::NEWUSER;
    }
    program.setns(
        Fd::Given(Input::Target),
        flags,
        "the container's namespaces; that of its processes is for children only",
    );
    if users {
        program.setresgid(0, "root's group, of the container");
        program.setresuid(0, "root, of the container");
    }
    program.open(
        Fd::Cwd,
        b"/",
        open::PATH | open::DIRECTORY,
        "the container's root, which is ours now",
    )
}

/// Writes the steps after which a process that has joined a container has a copy of its mounts. What it mounts is not seen there, but
/// what is mounted there later, where that is passed on, is seen here. Returns the container's root directory.
pub fn join_as_copy(program: &mut Program) -> Register {
    program.concept(Concept::ProcessIsolation);
    program.unshare(
        clone::NEWNS,
        "a copy of the container's mounts, for this process and its children",
    );
    program.propagate(
        propagation::SLAVE,
        "what is mounted in the copy does not show in the container",
    );
    program.open(Fd::Cwd, b"/", open::PATH | open::DIRECTORY, "the same root, in the copy")
}

/// Writes the steps with which a process that has become what it is to be has a child that the container's processes see. Nothing of
/// the host can be seen through it, and it may do nothing that the command may not (CVE-2016-9962).
pub fn appear(program: &mut Program, tied: bool) {
    program.concept(Concept::ProcessIsolation);
    program.fork(
        0,
        "a child that the container's processes see, which has nothing that they have not",
    );
    if tied {
        program.die_with_parent("the command ends with the `exec` that started it");
    }
    program.wait(Input::Release, "whoever started it knows it, and has not just ended");
}

/// Writes the steps after which init stays as the first process, and a child of it becomes the command.
pub fn stay(program: &mut Program) {
    program.concept(Concept::ProcessIsolation);
    program.block_signals("none is lost before there is somebody to pass it on to");
    program.stay("init stays as the first process: it passes on signals and reaps what is left behind");
    program.die_with_parent("the command does not outlive it");
    program.unblock_signals("the command starts with no signal blocked");
}

/// Writes the step that makes the cgroup that init is in the root of what the container sees.
pub fn hide_cgroup_parents(program: &mut Program) {
    program.concept(Concept::ProcessIsolation);
    program.unshare(
        clone::NEWCGROUP,
        "the container's cgroup is the root of all that it sees of cgroups",
    );
}
