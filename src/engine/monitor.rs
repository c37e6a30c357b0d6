//! The monitor's beginning and end; what it does in between is a program of its own (`monitor/main.rs`).
//!
//! The command makes a process beside itself, which has its memory until it executes. That starts the container, tells the command,
//! and becomes the monitor: the lock, init and the streams stay with the process, everything else of it goes.

#[path = "../../monitor/protocol.rs"]
pub mod protocol;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, openat};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, listen, send, socket_with, socketpair};

use super::bring_up::{Running, Trace};
use super::finish::FINISH;
use super::patience::Patience;
use super::prepare::Prepared;
use super::{Container, Engine, cgroups, events, logs, recover};
use crate::error::{Doing, Error, Result};
use crate::kernel::descriptor::{self, keep_on_exec};
use crate::kernel::memfd;
use crate::kernel::memory::bytes_of;
use crate::kernel::process::{become_image, beside, exit_now};
use crate::kernel::signal;
use crate::program::{Data, Image};
use crate::store::{Lock, remove_if_present};
use protocol::{EXIT_RECORD, Given, MESSAGE};

/// What the monitor keeps of a container.
pub struct Resident {
    pub terminal: Option<OwnedFd>,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// Counts kills for want of memory.
    pub oom: Option<File>,
}

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

/// Where clients find the monitor, and where it writes how the container ended, before that becomes the record.
const SOCKET: &str = "attach";
const NEW_EXIT: &str = ".exit.new";

/// The first message of the monitor: the container runs, with init and how long its steps took; or it does not, and why.
const STARTED: u8 = b's';
const FAILED: u8 = b'f';

impl Engine {
    /// Starts a prepared container under a monitor of its own, and tells what is done with it. The lock passes to the monitor.
    pub fn launch(&self, container: &Container, lock: Lock, prepared: Prepared, trace: bool, told: &[&str]) -> Result<Attached> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.doing(|| "make a socket")?;
        let may_warn = prepared.plan.cgroup.may_warn();
        // The monitor closes what it does not need, among it our end.
        let made = beside(|| self.monitor(container, &lock, &prepared, Some(&theirs), trace, told));
        drop((lock, prepared, theirs));
        if let Err(error) = made {
            return Err(self.clean_up_after_failure(container, Error::from(error).doing("start a monitor")));
        }
        let mut attached = match wait_for_start(ours) {
            Ok(attached) => attached,
            Err(error) => return Err(self.clean_up_after_failure(container, error)),
        };
        if may_warn {
            attached.warnings = cgroups::warnings(container);
        }
        Ok(attached)
    }

    /// Everything the child does. Nobody waits for a container that is started again by itself: then there is no client.
    pub fn monitor(
        &self,
        container: &Container,
        lock: &Lock,
        prepared: &Prepared,
        client: Option<&OwnedFd>,
        trace: bool,
        told: &[&str],
    ) -> ! {
        let _ = rustix::process::setsid();
        signal::set_all_default();
        detach_from_terminal();
        let ports = prepared.place.iter().flat_map(|place| &place.ports);
        let keep: Vec<i32> = ports
            .chain(prepared.given.mounts().map(|(_, mount)| mount))
            .map(AsRawFd::as_raw_fd)
            .chain([lock.as_fd().as_raw_fd()])
            .chain(prepared.made.descriptors().map(|made| made.as_raw_fd()))
            .chain(client.map(AsRawFd::as_raw_fd))
            .collect();
        descriptor::close_all_but(&keep);
        let error = match self.bring_up(container, prepared, trace) {
            Ok(running) => self.become_monitor(container, lock, prepared, client, running, told),
            Err(error) => error,
        };
        // What is left of the failed start is told, too: nobody else would.
        let undone = recover::clean(&self.store, container.id());
        let error = undone.err().map_or_else(|| error.clone(), |worse| error.clone().hint(worse));
        container.record_failure(&error, prepared.again);
        for action in told.iter().filter(|action| **action != "start") {
            events::tell_of(&self.store, container, action, &[]);
        }
        for ready in [container.file(NEW_EXIT), container.run_file(SOCKET)] {
            let _ = remove_if_present(&ready);
        }
        let mut message = vec![FAILED];
        message.extend(serde_json::to_vec(&error).unwrap_or_default());
        if let Some(client) = client {
            let _ = send(client, &message, SendFlags::NOSIGNAL);
        }
        exit_now(1)
    }

    /// Waits until the container runs, tells the command, and becomes the monitor. Returns if one of that fails.
    fn become_monitor(
        &self,
        container: &Container,
        lock: &Lock,
        prepared: &Prepared,
        client: Option<&OwnedFd>,
        mut running: Running,
        told: &[&str],
    ) -> Error {
        // There is time for this while init takes its steps.
        let ready = self
            .given(container, lock, prepared, client, &running)
            .and_then(|(given, kept)| {
                let image = memfd::sealed("tinydock-monitor", &Image::MONITOR.with(&given));
                Ok((image.doing(|| "make the monitor")?, kept))
            });
        let become_it = || -> Result<Error> {
            let trace = running.wait(&prepared.plan.program)?;
            let (image, _kept) = ready.doing(|| "become the monitor")?;
            self.begin_watch(container)?;
            let mut message = vec![STARTED];
            let word = |(step, time): &(usize, u32)| [(*step as u32).to_ne_bytes(), time.to_ne_bytes()].concat();
            message.extend(trace.iter().flat_map(word));
            if let Some(client) = client {
                descriptor::send(client, &message, running.init.pidfd.as_fd()).doing(|| "tell that the container runs")?;
            }
            // Here, so that it is told before the end is.
            for action in told {
                events::tell_of(&self.store, container, action, &[]);
            }
            let failed: Error = become_image(&image).into();
            Err(failed.doing("become the monitor"))
        };
        let error = become_it().unwrap_or_else(|error| error);
        let _ = rustix::process::pidfd_send_signal(&running.init.pidfd, rustix::process::Signal::KILL);
        let _ = running.init.wait();
        error
    }

    /// What the monitor is given, and what must stay open until it has it.
    fn given(
        &self,
        container: &Container,
        lock: &Lock,
        prepared: &Prepared,
        client: Option<&OwnedFd>,
        running: &Running,
    ) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        let resident = &running.resident;
        let config = &container.spec.options.log;
        let (log, log_size, log_torn) = logs::open_to_append(container)?;
        let directory = File::open(container.file("")).doing(|| "open the container's directory")?;
        let run = File::open(container.run_file("")).doing(|| "open the container's run directory")?;
        let exit = set_aside(container).doing(|| "make the record of the end")?;
        let program = openat(CWD, "/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "open tinydock")?;
        let listener = listener(container)?;
        // Whoever is the last to refer to the mounts takes them down. That is not to be init, for whose end the user waits.
        let mounts = File::open(format!("/proc/{}/ns/mnt", running.init.pid.as_raw_nonzero())).ok();
        prepared.given.share(&self.store, container.id());
        for socket in prepared.place.iter().flat_map(|place| &place.ports) {
            keep_on_exec(socket)?;
        }
        let (lock_number, mounts_number) = (keep_on_exec(lock)?, mounts.as_ref().map_or(Ok(-1), keep_on_exec)?);
        let mut arguments = vec![FINISH.to_string(), container.id().to_string()];
        let layers = prepared.given.shared().map(AsRawFd::as_raw_fd);
        let kept = [lock_number, mounts_number].into_iter().chain(layers);
        arguments.extend(kept.map(|number| number.to_string()));
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
        let environment = [("TINYDOCK_ROOT=", self.store.root()), ("TINYDOCK_RUN=", self.store.run())];
        let environment = environment.map(|(name, path)| [name.as_bytes(), path.as_os_str().as_encoded_bytes()].concat());
        let mut data = Data::new(size_of::<Given>());
        let attributes = config.attributes(&container.spec)?;
        let stream = |stream: &Option<OwnedFd>| stream.as_ref().map_or(Ok(-1), keep_without_blocking);
        let given = Given {
            init: keep_on_exec(&running.init.pidfd)?,
            listener: keep_on_exec(&listener)?,
            client: client.map_or(Ok(-1), keep_on_exec)?,
            terminal: stream(&resident.terminal)?,
            stdin: stream(&resident.stdin)?,
            stdout: stream(&resident.stdout)?,
            stderr: stream(&resident.stderr)?,
            log: log.as_ref().map_or(Ok(-1), keep_on_exec)?,
            directory: keep_on_exec(&directory)?,
            exit: keep_on_exec(&exit)?,
            oom: resident.oom.as_ref().map_or(Ok(-1), keep_on_exec)?,
            program: keep_on_exec(&program)?,
            run: keep_on_exec(&run)?,
            lock: lock_number,
            mounts: mounts_number,
            input_once: u32::from(container.spec.options.interactive && !container.spec.options.keeps_input),
            log_files: config.files().into(),
            log_limit: config.size().unwrap_or(0),
            log_size,
            log_torn: log_torn.into(),
            attributes: data.put(&attributes, 1),
            attributes_length: attributes.len() as u64,
            arguments: data.put_list(&arguments),
            abandoned: data.put_list(&arguments[..2]),
            environment: data.put_list(&environment),
        };
        data.fill(0, bytes_of(&given));
        Ok((
            data.into_bytes(),
            log.map(OwnedFd::from)
                .into_iter()
                .chain(mounts.map(OwnedFd::from))
                .chain([directory.into(), run.into(), exit.into(), program, listener])
                .collect(),
        ))
    }
}

/// Makes the file that becomes the record of the end. It has its length already: the disk may be full by then.
fn set_aside(container: &Container) -> io::Result<File> {
    let file = File::create(container.file(NEW_EXIT))?;
    file.write_all_at(&[b' '; EXIT_RECORD], 0).map(|()| file)
}

/// Lets go of the terminal and the pipes of whoever started the container.
pub fn detach_from_terminal() {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Waits until the monitor says whether the container runs.
fn wait_for_start(socket: OwnedFd) -> Result<Attached> {
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
fn listener(container: &Container) -> Result<OwnedFd> {
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

/// Makes reads and writes return at once, and keeps the descriptor.
fn keep_without_blocking(fd: &impl AsFd) -> io::Result<i32> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    keep_on_exec(fd)
}
