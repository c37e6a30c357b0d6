//! Filters that ask: the descriptor on which the kernel asks about a container's system calls goes to whoever answers
//! (runtime-spec, `config-linux.md`, "The Container Process State").

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::Serialize;

use super::config::wrong;
use super::container::{Container, State, Status};
use super::descriptors::connect_to;
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;

/// What is sent with the descriptor.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    metadata: &'a str,
    state: State<'a>,
}

/// How the kernel names such a descriptor.
const LISTENER: &str = "anon_inode:seccomp notify";

/// Sends the listener of a process that has just set a filter, and waits.
pub fn hand_over(container: &Container, pid: i32) -> Result<()> {
    let Some(seccomp) = &container.config.linux.seccomp else {
        return Ok(());
    };
    let listener = take_listener(pid)?;
    let state = ProcessState {
        oci_version: super::VERSION,
        fds: ["seccompFd"],
        pid,
        metadata: &seccomp.listener_metadata,
        state: container.state(Status::Creating)?,
    };
    let state = serde_json::to_vec(&state).map_err(Error::system)?;
    let send = || {
        let socket = connect_to(seccomp.listener_path.as_ref())?;
        descriptor::send(&socket, &state, listener.as_fd()).doing(|| "send the listener")
    };
    send().map_err(|error| wrong("linux.seccomp.listenerPath", error))
}

fn take_listener(pid: i32) -> Result<OwnedFd> {
    let doing = || format!("take the listener of process {pid}");
    let directory = format!("/proc/{pid}/fd");
    let numbers = fs::read_dir(&directory).doing(doing)?.flatten();
    let is_listener = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == LISTENER);
    let number = numbers
        .into_iter()
        .find(is_listener)
        .and_then(|entry| entry.file_name().to_str()?.parse().ok());
    let number: i32 = number.ok_or_else(|| Error::system("it has none").doing(doing()))?;
    let process = Pid::from_raw(pid).ok_or_else(|| Error::system("is no process id").doing(doing()))?;
    let process = pidfd_open(process, PidfdFlags::empty()).doing(doing)?;
    pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).doing(doing)
}
