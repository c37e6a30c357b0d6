//! How clients find a container's monitor, and what it tells the one that starts it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

use super::protocol::MESSAGE;
use crate::engine::Container;
use crate::engine::bring_up::Trace;
use crate::engine::patience::Patience;
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor;
use crate::store::remove_if_present;

/// A container that was started, seen from the command.
pub struct Attached {
    /// The connection to the monitor.
    pub socket: OwnedFd,
    /// The container's init.
    pub init: OwnedFd,
    pub trace: Trace,
    /// Which limits are not kept.
    pub warnings: Vec<String>,
}

/// Where clients find the monitor.
pub const SOCKET: &str = "attach";

/// The first message of the monitor: the container runs, with init and how long its steps took; or it does not, and why.
pub const STARTED: u8 = b's';
pub const FAILED: u8 = b'f';

/// Waits until the monitor says whether the container runs.
pub fn wait_for_start(socket: OwnedFd) -> Result<Attached> {
    let mut buffer = vec![0; MESSAGE];
    let (length, init) = descriptor::receive(&socket, &mut buffer).doing(|| "wait for the monitor")?;
    match (buffer[..length].split_first(), init) {
        (Some((&STARTED, times)), Some(init)) => {
            let word = |record: &[u8], at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("4 bytes"));
            let trace = times
                .chunks_exact(8)
                .map(|record| (word(record, 0) as usize, word(record, 4)))
                .collect();
            Ok(Attached {
                socket,
                init,
                trace,
                warnings: Vec::new(),
            })
        }
        (Some((&FAILED, json)), _) => Err(serde_json::from_slice(json).unwrap_or_else(Error::system)),
        _ => Err(Error::system("the monitor ended before the container was started")),
    }
}

/// Makes the socket at which clients find the monitor.
pub fn listener(container: &Container) -> Result<OwnedFd> {
    let doing = || "make the monitor's socket";
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).doing(doing)?;
    // A start that was killed may have left one.
    remove_if_present(&container.run_file(SOCKET))?;
    at_socket(container, |address| bind(&socket, address)).doing(doing)?;
    listen(&socket, 16).doing(doing)?;
    Ok(socket)
}

/// Does something with the address of a container's monitor. It leads through a descriptor of the directory that the socket
/// is in, since addresses are short (unix(7)).
fn at_socket<T>(container: &Container, act: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>) -> io::Result<T> {
    let directory = File::open(container.run_file(""))?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?;
    Ok(act(&address)?)
}

/// Connects to the monitor of a running container.
pub fn connect(container: &Container) -> Result<Attached> {
    let mut patience = Patience::endless();
    loop {
        let (init, _) = container.open_init()?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let socket = socket.doing(|| "make a socket")?;
        match at_socket(container, |address| rustix::net::connect(&socket, address)) {
            Ok(()) => {
                return Ok(Attached {
                    socket,
                    init,
                    trace: Vec::new(),
                    warnings: Vec::new(),
                });
            }
            // The monitor is not there yet, or not any more.
            Err(error) if [Some(libc::ENOENT), Some(libc::ECONNREFUSED)].contains(&error.raw_os_error()) => {
                patience.pause();
            }
            Err(error) => return Err(Error::from(error).doing(format!("connect to container `{}`", container.name()))),
        }
    }
}
