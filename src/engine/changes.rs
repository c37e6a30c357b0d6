//! `diff` and `export`: what a container has changed of its image's files, and all of them.

use std::io::Write;

use super::{Container, Engine, events};
use crate::error::{Doing, Result};
use crate::layer::{self, FileChange, Stack};

/// What is in every container before it has a file of its own: where the kernel and the engine show something. Docker has it in a
/// layer between the image and the container.
const MADE: [&str; 6] = ["/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];

impl Engine {
    /// What a container has changed, in the order of the paths.
    pub fn changes(&self, container: &Container) -> Result<Vec<(FileChange, Vec<u8>)>> {
        let below = Stack::open(&self.store, &container.spec.layers)?.view()?;
        layer::changes(&container.file("upper"), &below, &MADE)
    }

    /// Writes all files of a container as a tarball, without what is mounted there.
    pub fn export(&self, container: &Container, into: impl Write) -> Result<()> {
        let doing = || format!("export `{}`", container.name());
        layer::export(&self.view_of(container)?, into).doing(doing)?;
        events::tell_of(&self.store, container, "export", &[]);
        Ok(())
    }
}
