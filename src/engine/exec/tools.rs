//! `debug`: a command of ours in a container that may have none, such as one with a single executable.
//!
//! It is an `exec` with one difference: its mounts are a copy of the container's, and in that copy the built-in image is mounted, to be
//! read. The container's processes have the mounts that they had: they see nothing of it but through the `/proc` of the command's
//! processes. The mount is of a file system that cannot be written to, since a privileged command could make a mount that is only
//! read-only writable again, and the layer is everybody's. It ends with the last process that was
//! started so. All else is what the container has: its root with everything that is mounted there, its processes, network, memory,
//! names and cgroup, and its confinement.
//!
//! The place for the tools must be a directory that every container has, whatever is in its image and whether it can write there: a
//! directory of the kernel's own file systems. [`PLACE`] is one that nothing can be read in, since it is hidden from containers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::ExecOptions;
use crate::engine::attach::{Left, Streams};
use crate::engine::{Container, Engine};
use crate::error::{Doing, Error, Result};
use crate::image::{BUSYBOX, Lease};
use crate::isolation::{self, PATH, join_as_copy};
use crate::layer::{self, Draft, Limits, MountPoint};
use crate::program::flags::mount_attr;
use crate::program::{Concept, Program, Register};
use crate::store::{Digest, Text};

/// Where the tools are, for the command only.
const PLACE: &str = "/sys/firmware";

/// The directories of the built-in image that have commands.
const DIRECTORIES: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

impl Engine {
    /// Runs a command in a running container, with the tools of the built-in image before its own in PATH.
    pub fn debug(&self, container: &Container, options: &ExecOptions, streams: &Streams) -> Result<Left> {
        let lease = Lease::begin(&self.store)?;
        let nothing = self.store.run_directory("nothing")?;
        // All users see the tools through it.
        fs::set_permissions(&nothing, fs::Permissions::from_mode(0o755)).doing(|| format!("open `{}`", nothing.display()))?;
        let tools = [nothing, self.tools(&lease).doing(|| "find the tools")?];
        let environment = [path_of(container)].into_iter().chain(options.environment.iter().cloned());
        let options = ExecOptions {
            environment: environment.collect(),
            ..options.clone()
        };
        self.exec_with(container, &options, streams, Some(tools))
    }

    /// The built-in image's files, which are kept for as long as the lease lasts.
    fn tools(&self, lease: &Lease) -> Result<PathBuf> {
        let diff_id = Digest::parse(BUSYBOX.diff_id).ok_or_else(|| Error::system("invalid digest of the built-in image"))?;
        lease.keep([&diff_id])?;
        let path = layer::path(&self.store, &diff_id);
        if !path.is_dir() {
            let draft = Draft::begin(&self.store, diff_id.hex())?;
            if !path.is_dir() {
                let limits = Limits::find()?;
                let filled = draft.fill(|into| layer::unpack(BUSYBOX.tarball, into, &limits))?;
                layer::seal(&self.store, vec![filled])?;
            }
        }
        if layer::is_image(&path) {
            layer::become_tree(&self.store, &diff_id)?;
        }
        Ok(path)
    }
}

/// The PATH of the command: the tools, then what the container has.
fn path_of(container: &Container) -> Text {
    let own = container.spec.options.environment.iter().rev();
    let mut own = own.filter_map(|line| line.as_bytes().strip_prefix(b"PATH="));
    let own = own.next().unwrap_or(PATH.as_bytes());
    let tools = DIRECTORIES.map(|directory| format!("{PLACE}{directory}")).join(":");
    [b"PATH=", tools.as_bytes(), b":", own].concat().into()
}

/// Writes the steps that take the tools along, before anything of the container is entered.
pub fn take(program: &mut Program, layers: &[PathBuf; 2]) -> Register {
    program.concept(Concept::BaseImages);
    let lower = layers.each_ref().map(|path| path.as_os_str().as_encoded_bytes()).join(&b':');
    let fs = program.fsopen(
        "overlay",
        "the tools: a layer that others share, so not even the host's root may write to it from here",
    );
    program.fsconfig_string(
        fs,
        "lowerdir",
        &lower,
        "nothing, above the tools: an overlay of two layers needs no place to write to",
    );
    program.fsconfig_create(fs, "make it");
    let attributes = mount_attr::RDONLY | mount_attr::NOSUID | mount_attr::NODEV;
    program.fsmount(fs, "tools", attributes, "mounted, but attached nowhere yet")
}

/// Writes the steps that show the tools to this process only, which has joined a container. Returns the container's root directory.
pub fn show(program: &mut Program, tools: Register) -> Register {
    let root = join_as_copy(program);
    program.concept(Concept::BaseImages);
    let place = MountPoint::existing(PLACE.as_bytes()).open(program, root, "a directory that every container has");
    program.move_mount_onto(tools, place, "the tools are there, for this process and its children");
    program.concept(Concept::ProcessIsolation);
    root
}

/// What a command may do that is to be trusted like the host's root.
pub fn privileged() -> Result<isolation::Security> {
    isolation::Security::parse::<&str>(true, &[], &[], &[])
}
