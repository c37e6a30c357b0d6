//! Descriptors that connect init with whoever calls the runtime: standard streams, and sockets by their paths.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use rustix::stdio::{stderr, stdin, stdout};

use crate::error::{Doing, Result};
use crate::program::{Input, Wires};

/// Gives init our standard streams, or nothing where we have none. They stay ours: nobody's owner is changed.
pub fn give_streams(wires: &mut Wires) -> Result<()> {
    for (input, stream) in [(Input::Stdin, stdin()), (Input::Stdout, stdout()), (Input::Stderr, stderr())] {
        let nothing = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let copy = fcntl_dupfd_cloexec(stream, 3).or_else(|_| nothing());
        wires.give(input, copy.doing(|| "open `/dev/null`")?)?;
    }
    Ok(())
}

/// Listens at a socket that is made.
pub fn listen_at(path: &Path) -> Result<OwnedFd> {
    let doing = || format!("listen at `{}`", path.display());
    // A longer path than an address can hold is reached through its directory.
    let directory = File::open(path.parent().unwrap_or(Path::new("/"))).doing(doing)?;
    let address = short_address(&directory, path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).doing(doing)?;
    bind(&socket, &address).doing(doing)?;
    listen(&socket, 1).doing(doing)?;
    Ok(socket)
}

/// The address of a socket in an open directory.
fn short_address(directory: &File, path: &Path) -> Result<SocketAddrUnix> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    SocketAddrUnix::new(short).doing(|| format!("address of `{}`", path.display()))
}

/// Connects to a socket.
pub fn connect_to(path: &Path) -> Result<OwnedFd> {
    let doing = || format!("connect to `{}`", path.display());
    let directory = File::open(
        path.parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )
    .doing(doing)?;
    let address = short_address(&directory, path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).doing(doing)?;
    connect(&socket, &address).doing(doing)?;
    Ok(socket)
}

/// Writes a process id to a file, which is there with all of it or not at all.
pub fn write_pid(file: &Path, pid: i32) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}"));
    std::fs::write(&beside, pid.to_string())
        .and_then(|()| std::fs::rename(&beside, file))
        .doing(|| format!("write `{}`", file.display()))
}
