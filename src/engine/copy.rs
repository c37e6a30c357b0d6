//! `cp`: files between a container and the host, or a stream.
//!
//! What is copied where depends on what is there, as Docker has it (`PrepareArchiveCopy` of moby's go-archive):
//!
//! ```text
//!   source        destination          is then
//!   a file        a directory          in it, with its name
//!                 a file               that file
//!                 missing              that file; an error if it ends with a slash
//!   a directory   a directory          in it, with its name; its content only if the source ends with `/.`
//!                 a file               an error
//!                 missing              that directory
//! ```

use std::io::{BufWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::fs::{FileType, StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;

use super::files::Files;
use super::{Container, Engine, events};
use crate::error::{Doing, Error, Result, errno_text};
use crate::kernel::credentials;
use crate::layer::{self, Found, Manner, Owners, Place};

/// How files are copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copying {
    /// Whether a link as the source stands for what it leads to.
    pub follow: bool,
    /// Whether files that are copied to the host keep their owners.
    pub archive: bool,
}

/// One end of a copy, and how to speak of it.
struct End<'a> {
    place: &'a Place,
    owners: Owners,
    /// The container's name; none means the host.
    container: Option<&'a str>,
}

impl Engine {
    /// Copies from a container to an absolute path of the host. Returns how many bytes went through.
    pub fn copy_out(&self, container: &Container, path: &[u8], to: &[u8], how: Copying) -> Result<u64> {
        let (files, host) = (self.files(container)?, Place::host()?);
        // Who is nobody on the host owns no files there, least of all some that run with the power of their owner.
        let is_of_host = !container.spec.options.namespaces.has_users();
        let owners = if how.archive && is_of_host {
            Owners::Same
        } else {
            Owners::Mine
        };
        let target = End {
            place: &host,
            owners,
            container: None,
        };
        let copied = copy(&end(&files, container), path, &target, to, how)?;
        events::tell_of(&self.store, container, "archive-path", &[]);
        Ok(copied)
    }

    /// Copies from an absolute path of the host to a container.
    pub fn copy_in(&self, from: &[u8], container: &Container, path: &[u8], how: Copying) -> Result<u64> {
        let (files, host) = (self.files(container)?, Place::host()?);
        let source = End {
            place: &host,
            owners: Owners::Same,
            container: None,
        };
        let copied = copy(&source, from, &end(&files, container), path, how)?;
        events::tell_of(&self.store, container, "extract-to-dir", &[]);
        Ok(copied)
    }

    /// Writes what a path of a container leads to as a tarball.
    pub fn copy_to_stream(&self, container: &Container, path: &[u8], into: impl Write, how: Copying) -> Result<()> {
        let files = self.files(container)?;
        let source = end(&files, container);
        let found = source.find(path, how.follow)?;
        layer::send(&found, &layer::base_of_path(path), source.owners, BufWriter::new(into)).doing(|| source.doing(path))?;
        events::tell_of(&self.store, container, "archive-path", &[]);
        Ok(())
    }

    /// Writes what is in a tarball to a directory of a container.
    pub fn copy_from_stream(&self, from: impl Read + Send, container: &Container, path: &[u8]) -> Result<()> {
        let files = self.files(container)?;
        let target = end(&files, container);
        let (path, found) = target.follow(path)?;
        if !found.is_some_and(|found| found.is_directory()) {
            return Err(Error::invalid(format!(
                "destination `{}` must be a directory",
                target.show(&path)
            )));
        }
        let directory = target.open(&path)?;
        let source = layer::inflated(from)?;
        thread::scope(|scope| join(scope.spawn(|| target.receive(directory, source)))).doing(|| target.doing(&path))?;
        events::tell_of(&self.store, container, "extract-to-dir", &[]);
        Ok(())
    }
}

fn end<'a>(files: &'a Files, container: &'a Container) -> End<'a> {
    End {
        place: &files.place,
        owners: files.owners,
        container: Some(container.name()),
    }
}

/// Copies from one end to the other. Returns the length of the tarball in between.
fn copy(source: &End, from: &[u8], target: &End, to: &[u8], how: Copying) -> Result<u64> {
    let found = source.find(from, how.follow)?;
    let (directory, name) = target.choose(to, &found, &layer::base_of_path(from))?;
    let (read, write) = pipe().doing(|| "make a pipe")?;
    let (sent, received) = thread::scope(|scope| {
        let receiver = scope.spawn(|| target.receive(directory, read));
        let mut counted = Counted(BufWriter::with_capacity(256 << 10, write), 0);
        let sent = layer::send(&found, &name, source.owners, &mut counted).map(|()| counted.1);
        drop(counted);
        (sent, join(receiver))
    });
    match (sent, received) {
        // Nobody reads any more.
        (Err(sent), Err(received)) if sent.message().ends_with(&errno_text(libc::EPIPE)) => Err(received.doing(target.doing(to))),
        (Err(sent), _) => Err(sent.doing(source.doing(from))),
        (_, Err(received)) => Err(received.doing(target.doing(to))),
        (Ok(bytes), Ok(())) => Ok(bytes),
    }
}

fn join(thread: thread::ScopedJoinHandle<Result<()>>) -> Result<()> {
    thread.join().map_err(|_| Error::system("the copying thread panicked"))?
}

impl End<'_> {
    /// A path as the user names it.
    fn show(&self, path: &[u8]) -> String {
        let path = String::from_utf8_lossy(path);
        self.container
            .map_or_else(|| path.to_string(), |name| format!("{name}:{path}"))
    }

    fn doing(&self, path: &[u8]) -> String {
        format!("copy `{}`", self.show(path))
    }

    /// What an error means that a path led to.
    fn wrong(&self, path: &[u8], errno: Errno) -> Error {
        match (errno, self.container) {
            (Errno::NOENT, Some(name)) => {
                let path = String::from_utf8_lossy(path);
                Error::not_found(format!("could not find the file `{path}` in container `{name}`"))
            }
            _ => Error::from(errno).doing(format!("`{}`", self.show(path))),
        }
    }

    /// Finds what is to be copied.
    fn find(&self, path: &[u8], follow: bool) -> Result<Found> {
        let found = if follow {
            self.follow(path)?.1.ok_or(Errno::NOENT)
        } else {
            self.place.find(path)
        };
        found.map_err(|errno| self.wrong(path, errno))
    }

    fn follow(&self, path: &[u8]) -> Result<(Vec<u8>, Option<Found>)> {
        self.place.follow(path).map_err(|errno| self.wrong(path, errno))
    }

    /// Opens a directory to write to.
    fn open(&self, path: &[u8]) -> Result<OwnedFd> {
        let directory = self.place.directory(path).map_err(|errno| match errno {
            Errno::NOTDIR if self.container.is_some() => Error::invalid("extraction point is not a directory"),
            Errno::NOENT if self.container.is_none() => Error::invalid(format!(
                "invalid output path: directory `{}` does not exist",
                String::from_utf8_lossy(path)
            )),
            errno => self.wrong(path, errno),
        })?;
        if self.container.is_some() && is_read_only(&directory)? {
            let is_root = self.place.directory(b"/").is_ok_and(|root| is_same(&root, &directory));
            let what = if is_root { "container rootfs" } else { "mounted volume" };
            return Err(Error::invalid(format!("{what} is marked read-only")));
        }
        Ok(directory)
    }

    /// Decides in which directory what was found will be, and under which name.
    fn choose(&self, path: &[u8], source: &Found, name: &[u8]) -> Result<(OwnedFd, Vec<u8>)> {
        let (path, there) = self.follow(path)?;
        if let Some(there) = &there
            && there.is_directory()
        {
            return Ok((self.open(&path)?, name.to_vec()));
        }
        if there.as_ref().is_some_and(is_device) {
            let place = self.show(&path);
            return Err(Error::invalid(format!(
                "destination `{place}` must be a directory or a regular file: got a device"
            )));
        }
        match there {
            Some(_) if source.is_directory() => Err(Error::invalid("cannot copy directory").hint("the destination is a file")),
            None if !source.is_directory() && layer::says_directory(&path) => {
                Err(Error::not_found("no such directory").doing(format!("`{}`", self.show(&path))))
            }
            _ => Ok((self.open(&layer::parent_of_path(&path))?, layer::base_of_path(&path))),
        }
    }

    /// Writes what is in a tarball, as whoever the container's root is: nobody else can make files for a container with users of its
    /// own. This concerns the calling thread, for good.
    fn receive(&self, directory: OwnedFd, from: impl Read) -> Result<()> {
        if let Owners::Mapped { users, groups } = self.owners {
            credentials::make_files_as(users.first, groups.first).doing(|| "make files as the container's root")?;
        }
        let manner = Manner {
            owners: self.owners,
            is_copy: true,
        };
        layer::receive(directory, manner, from)
    }
}

fn is_device(found: &Found) -> bool {
    let kind = FileType::from_raw_mode(found.stat.st_mode);
    matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
}

fn is_read_only(file: impl AsFd) -> Result<bool> {
    Ok(fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether two directories are on one file system.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let device = |file: &OwnedFd| rustix::fs::fstat(file).map(|stat| stat.st_dev);
    device(one) == device(other)
}

/// Counts what is written through it.
struct Counted<W>(W, u64);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.0.write(bytes)?;
        self.1 += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
