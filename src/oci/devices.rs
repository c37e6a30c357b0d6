//! The devices of a container: those that every container has, and those that the configuration lists (runtime-spec,
//! `config-linux.md`, "Devices" and "Default Devices").

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::config::Config;
use super::linux::Device;
use super::namespaces::Namespaces;
use super::process::ConsoleSize;
use super::sources::{Planned, Sources};
use super::tree::Tree;
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::program::flags::{clone, open};
use crate::program::{Concept, Fd, Program, Register};

/// Name, major and minor number of the devices that every container has.
const USUAL: [(&str, i64, i64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that programs expect, with where they point.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// The usual devices and the listed ones; a listed one stands for a usual one of the same path.
fn all(listed: &[Device]) -> Vec<Device> {
    let usual = USUAL.iter().map(|(path, major, minor)| Device {
        kind: "c".into(),
        path: path.to_string(),
        major: *major,
        minor: *minor,
        file_mode: Some(0o666),
        ..Device::default()
    });
    let usual = usual.filter(|usual| listed.iter().all(|device| device.path != usual.path));
    usual.chain(listed.iter().cloned()).collect()
}

/// What is to be done about the devices of one container.
pub struct Devices {
    all: Vec<Device>,
    /// Whether `/dev` is a directory of the host, where nothing is to be made.
    given: bool,
    /// Whether the host's own are shown, since the container's users may not make any.
    hosts: bool,
    /// Whether there are terminals of the container's own.
    terminals: bool,
    /// The user who has the terminal, and its size, if there is one.
    terminal: Option<(u32, Option<(u16, u16)>)>,
}

impl Devices {
    pub fn of(config: &Config, namespaces: &Namespaces, mounts: &[Planned]) -> Devices {
        let has = |place: &[u8], is_so: fn(&Planned) -> bool| mounts.iter().any(|mount| mount.at.path() == place && is_so(mount));
        let process = config.process.as_ref().filter(|process| process.terminal);
        let size = |size: ConsoleSize| (size.height, size.width);
        Devices {
            all: all(&config.linux.devices),
            given: has(b"dev", Planned::is_bind),
            hosts: namespaces.has(clone::NEWUSER),
            terminals: has(b"dev/pts", |mount| mount.kind == "devpts"),
            terminal: process.map(|process| (process.user.uid, process.console_size.map(size))),
        }
    }

    /// Writes the steps that clone the host's devices, where those are shown.
    pub fn open(&self, program: &mut Program, sources: &mut Sources) -> Result<()> {
        for device in self
            .all
            .iter()
            .filter(|_| self.hosts && !self.given)
            .filter(|device| device.kind != "p")
        {
            let why = "a device of the host: the container's users may not make one";
            check_host(device).doing(|| format!("device `{}`", device.path))?;
            sources.add_file(program, Path::new(&device.path), 1, why);
        }
        Ok(())
    }

    /// Writes the steps that make the devices and links of `/dev`.
    pub fn make(&self, program: &mut Program, tree: &Tree, sources: &mut Sources) -> Result<()> {
        if self.given {
            return Ok(());
        }
        program.concept(Concept::ProcessIsolation);
        let root = sources.root();
        for device in &self.all {
            let made = if self.hosts && device.kind != "p" {
                let clone = sources.take_file(Path::new(&device.path));
                show(program, tree, root, &device.path, clone)
            } else {
                node(program, tree, root, device)
            };
            made.doing(|| format!("device `{}`", device.path))?;
        }
        let dev = tree.place(b"/dev", true)?.open(program, root, "the container's /dev");
        for (name, target) in LINKS {
            program.symlink_missing(target, dev, name.as_bytes(), "a name that programs expect");
        }
        program.symlink_missing("pts/ptmx", dev, b"ptmx", "new terminals come from the container's own");
        Ok(())
    }

    /// Writes the steps that open the terminal, if there is to be one, send its other end away and show it as `/dev/console`.
    pub fn open_terminal(&self, program: &mut Program, tree: &Tree, root: Register) -> Result<Option<Register>> {
        let Some((user, size)) = self.terminal else { return Ok(None) };
        program.concept(Concept::ProcessIsolation);
        let path: &[u8] = if self.terminals { b"/dev/pts/ptmx" } else { b"/dev/ptmx" };
        let ptmx = program.open_in_root(
            root,
            path,
            open::RDWR | open::NOCTTY,
            "a new terminal: the end that sees what is written",
        );
        let terminal = isolation::pair_terminal(program, ptmx, size);
        program.fchown(terminal, user, -1, "the user can open the terminal by its name");
        let clone = program.open_tree(Fd::Kept(terminal), b"", false, "the terminal by another name");
        show(program, tree, root, "/dev/console", clone)?;
        Ok(Some(terminal))
    }
}

/// Checks that what the host has at a device's path is that device: any other file would be one to show the container.
fn check_host(device: &Device) -> Result<()> {
    let found = fs::metadata(&device.path).doing(|| "find it on the host")?;
    let kind = if device.kind == "b" { libc::S_IFBLK } else { libc::S_IFCHR };
    let number = libc::makedev(device.major as u32, device.minor as u32);
    if found.mode() & libc::S_IFMT != kind || found.rdev() != number {
        return Err(Error::invalid("the host has another file at its path"));
    }
    Ok(())
}

fn show(program: &mut Program, tree: &Tree, root: Register, path: &str, clone: Register) -> Result<()> {
    let target = tree
        .place(path.as_bytes(), false)?
        .open(program, root, "a file to mount it on");
    program.move_mount_onto(clone, target, format!("mounted on {path}"));
    Ok(())
}

fn node(program: &mut Program, tree: &Tree, root: Register, device: &Device) -> Result<()> {
    let (directory, name) = device.path.rsplit_once('/').unwrap_or(("", &device.path));
    let at = tree
        .place(directory.as_bytes(), true)?
        .open(program, root, "where the device is to be");
    let kind = match device.kind.as_str() {
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        _ => libc::S_IFCHR,
    };
    let mode = kind | device.file_mode.unwrap_or(0o666) & 0o7777;
    let numbers = (device.major as u32, device.minor as u32);
    program.mknod(at, name.as_bytes(), mode, numbers, format!("the device {}", device.path));
    if device.uid.is_some() || device.gid.is_some() {
        let (user, group) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        program.chown(at, name.as_bytes(), user, group, "whose it is");
    }
    Ok(())
}
