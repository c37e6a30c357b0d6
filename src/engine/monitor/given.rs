//! What the monitor is given: the container's descriptors, which stay open when it executes, and what it does at the end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, openat};

use super::connection::listener;
use super::protocol::{EXIT_RECORD, Given};
use super::{Launch, NEW_EXIT, Resident};
use crate::engine::bring_up::Running;
use crate::engine::finish::FINISH;
use crate::engine::prepare::Prepared;
use crate::engine::{Container, Engine, logs};
use crate::error::{Doing, Result};
use crate::kernel::descriptor::keep_on_exec;
use crate::kernel::memory::bytes_of;
use crate::program::Data;

/// What nobody but the monitor has open.
struct Files {
    log: Option<File>,
    log_size: u64,
    log_torn: bool,
    directory: File,
    run: File,
    exit: File,
    program: OwnedFd,
    listener: OwnedFd,
    /// Whoever is the last to refer to the mounts takes them down. That is not to be init, for whose end the user waits.
    mounts: Option<File>,
}

impl Files {
    fn open(container: &Container, init: i32) -> Result<Files> {
        let (log, log_size, log_torn) = logs::open_to_append(container)?;
        Ok(Files {
            log,
            log_size,
            log_torn,
            directory: File::open(container.file("")).doing(|| "open the container's directory")?,
            run: File::open(container.run_file("")).doing(|| "open the container's run directory")?,
            exit: set_aside(container).doing(|| "make the record of the end")?,
            program: openat(CWD, "/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "open tinydock")?,
            listener: listener(container)?,
            mounts: File::open(format!("/proc/{init}/ns/mnt")).ok(),
        })
    }

    fn into_descriptors(self) -> Vec<OwnedFd> {
        let files = [Some(self.directory), Some(self.run), Some(self.exit), self.log, self.mounts];
        let files = files.into_iter().flatten().map(OwnedFd::from);
        files.chain([self.program, self.listener]).collect()
    }
}

impl Engine {
    /// What the monitor is given, and what must stay open until it has it.
    pub(super) fn given(&self, launch: &Launch, running: &Running) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
        let Launch { container, prepared, .. } = launch;
        let files = Files::open(container, running.init.pid.as_raw_nonzero().get())?;
        prepared.given.share(&self.store, container.id());
        for socket in prepared.place.iter().flat_map(|place| &place.ports) {
            keep_on_exec(socket)?;
        }
        let mut data = Data::new(size_of::<Given>());
        let given = Given {
            init: keep_on_exec(&running.init.pidfd)?,
            client: keep(launch.client.as_ref())?,
            lock: keep_on_exec(&launch.lock)?,
            ..Given::default()
        };
        let given = give_files(given, &files)?;
        let given = give_streams(given, container, &running.resident)?;
        let given = self.give_words(given, &mut data, container, prepared)?;
        data.fill(0, bytes_of(&given));
        Ok((data.into_bytes(), files.into_descriptors()))
    }

    /// What the monitor executes at the end.
    fn give_words(&self, given: Given, data: &mut Data, container: &Container, prepared: &Prepared) -> Result<Given> {
        let layers = prepared.given.shared().map(AsRawFd::as_raw_fd);
        let kept = [given.lock, given.mounts].into_iter().chain(layers);
        let words = [FINISH.to_string(), container.id().to_string()].into_iter();
        let arguments = words.chain(kept.map(|number| number.to_string()));
        let arguments: Vec<Vec<u8>> = arguments.map(String::into_bytes).collect();
        let environment = [("TINYDOCK_ROOT=", self.store.root()), ("TINYDOCK_RUN=", self.store.run())];
        let environment = environment.map(|(name, path)| [name.as_bytes(), path.as_os_str().as_encoded_bytes()].concat());
        let attributes = container.spec.options.log.attributes(&container.spec)?;
        Ok(Given {
            attributes: data.put(&attributes, 1),
            attributes_length: attributes.len() as u64,
            arguments: data.put_list(&arguments),
            abandoned: data.put_list(&arguments[..2]),
            environment: data.put_list(&environment),
            ..given
        })
    }
}

fn give_files(given: Given, files: &Files) -> Result<Given> {
    Ok(Given {
        listener: keep_on_exec(&files.listener)?,
        log: keep(files.log.as_ref())?,
        directory: keep_on_exec(&files.directory)?,
        exit: keep_on_exec(&files.exit)?,
        program: keep_on_exec(&files.program)?,
        run: keep_on_exec(&files.run)?,
        mounts: keep(files.mounts.as_ref())?,
        log_size: files.log_size,
        log_torn: files.log_torn.into(),
        ..given
    })
}

fn give_streams(given: Given, container: &Container, resident: &Resident) -> Result<Given> {
    let options = &container.spec.options;
    let stream = |stream: &Option<OwnedFd>| stream.as_ref().map_or(Ok(-1), keep_without_blocking);
    Ok(Given {
        terminal: stream(&resident.terminal)?,
        stdin: stream(&resident.stdin)?,
        stdout: stream(&resident.stdout)?,
        stderr: stream(&resident.stderr)?,
        oom: keep(resident.oom.as_ref())?,
        input_once: u32::from(options.interactive && !options.keeps_input),
        cleans: u32::from(options.auto_remove),
        log_files: options.log.files().into(),
        log_limit: options.log.size().unwrap_or(0),
        ..given
    })
}

/// Makes the file that becomes the record of the end. It has its length already: the disk may be full by then.
fn set_aside(container: &Container) -> io::Result<File> {
    let file = File::create(container.file(NEW_EXIT))?;
    file.write_all_at(&[b' '; EXIT_RECORD], 0).map(|()| file)
}

/// Keeps a descriptor if there is one. Its number, or -1.
fn keep(fd: Option<&impl AsFd>) -> io::Result<i32> {
    fd.map_or(Ok(-1), keep_on_exec)
}

/// Makes reads and writes return at once, and keeps the descriptor.
fn keep_without_blocking(fd: &impl AsFd) -> io::Result<i32> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    keep_on_exec(fd)
}
