//! User namespaces: made with their mapping of ids before the container is, so that mounts can have it as well.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::program::flags::clone;
use crate::program::{Concept, Fd, Input, Program, Wires};

/// Which ids of a user namespace are which outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    #[serde(rename = "containerID")]
    pub container_id: u32,
    #[serde(rename = "hostID")]
    pub host_id: u32,
    pub size: u32,
}

/// Writes the steps with which init becomes the container's root: who it was means nothing there. Groups can only be given up by
/// who is `privileged`.
pub fn become_root(program: &mut Program, privileged: bool) {
    program.concept(Concept::ProcessIsolation);
    program.setns(
        Fd::Given(Input::Users),
        clone::NEWUSER,
        "the container's users: what they may do, they may do in the container",
    );
    if privileged {
        program.setgroups(&[], "the host's groups mean nothing there");
    }
    program.setresgid(0, "root's group");
    program.setresuid(0, "root, of the container");
}

/// Makes a user namespace with these mappings. It lives as long as the descriptor does, or anybody is in it.
pub fn make(users: &[IdMapping], groups: &[IdMapping], privileged: bool) -> Result<OwnedFd> {
    let mut program = Program::default();
    program.concept(Concept::ProcessIsolation);
    program.wait(Input::Release, "somebody must be in the namespace while it is described");
    let mut wires = Wires::new()?;
    wires.add_release()?;
    let holder = wires.start(&program, clone::NEWUSER, None)?;
    let pid = holder.pid.as_raw_nonzero().get();
    let made = describe(pid, users, groups, privileged).and_then(|()| {
        let path = format!("/proc/{pid}/ns/user");
        File::open(&path).doing(|| format!("open `{path}`"))
    });
    // It ends when nobody is left who could release it.
    drop(wires);
    let _ = holder.wait();
    Ok(made?.into())
}

fn describe(pid: i32, users: &[IdMapping], groups: &[IdMapping], privileged: bool) -> Result<()> {
    if privileged {
        write(pid, "uid_map", &lines(users))?;
        return write(pid, "gid_map", &lines(groups));
    }
    // Who is not root may map only itself, or what /etc/subuid and /etc/subgid say, with the help of a program that may.
    if groups.len() == 1 && groups[0].size == 1 {
        write(pid, "setgroups", "deny")?;
        write(pid, "gid_map", &lines(groups))?;
    } else {
        help("newgidmap", pid, groups)?;
    }
    if users.len() == 1 && users[0].size == 1 {
        write(pid, "uid_map", &lines(users))
    } else {
        help("newuidmap", pid, users)
    }
}

fn lines(mappings: &[IdMapping]) -> String {
    let line = |map: &IdMapping| format!("{} {} {}\n", map.container_id, map.host_id, map.size);
    mappings.iter().map(line).collect()
}

fn write(pid: i32, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    fs::write(&path, text).doing(|| format!("write `{}` to `{path}`", text.trim()))
}

fn help(program: &str, pid: i32, mappings: &[IdMapping]) -> Result<()> {
    let numbers = mappings.iter().flat_map(|map| [map.container_id, map.host_id, map.size]);
    let mut command = Command::new(program);
    command.arg(pid.to_string()).args(numbers.map(|number| number.to_string()));
    let done = command.output().doing(|| format!("run `{program}`"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_string();
    Err(Error::system(said)
        .doing(format!("run `{program}`"))
        .hint("see subuid(5) and subgid(5)"))
}
