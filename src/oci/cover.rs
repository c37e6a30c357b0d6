//! `linux.maskedPaths` and `linux.readonlyPaths`: what a container must not see, and what it must not change.

use std::path::Path;

use rustix::fs::FileType;

use super::linux::Linux;
use super::sources::{Sources, check_null};
use super::tree::Tree;
use crate::error::Result;
use crate::program::flags::{mount_attr, open};
use crate::program::{Concept, Fd, MountChange, Program, Register};

/// The paths to cover, of those that the container has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Covers {
    files: Vec<String>,
    directories: Vec<String>,
    read_only: Vec<String>,
}

impl Covers {
    pub fn find(tree: &Tree, linux: &Linux) -> Result<Covers> {
        let mut covers = Covers::default();
        for path in &linux.masked_paths {
            if covers.is_hidden(path) {
                continue;
            }
            match tree.kind(path.as_bytes())? {
                None => {}
                Some(FileType::Directory) => covers.directories.push(path.clone()),
                Some(_) => covers.files.push(path.clone()),
            }
        }
        for path in &linux.readonly_paths {
            if !covers.is_hidden(path) && tree.kind(path.as_bytes())?.is_some() {
                covers.read_only.push(path.clone());
            }
        }
        Ok(covers)
    }

    /// The files that are hidden.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether a path is in a directory that is hidden already.
    fn is_hidden(&self, path: &str) -> bool {
        self.directories
            .iter()
            .any(|directory| Path::new(path).starts_with(directory))
    }

    /// Writes the steps that clone what files are hidden with.
    pub fn open(&self, program: &mut Program, sources: &mut Sources) -> Result<()> {
        if !self.files.is_empty() {
            sources.add_file(program, check_null()?, self.files.len(), "what hidden files read as");
        }
        Ok(())
    }

    /// Writes the steps that hide and protect them.
    pub fn apply(&self, program: &mut Program, sources: &mut Sources, root: Register) -> Result<()> {
        program.concept(Concept::ProcessIsolation);
        for path in &self.files {
            let target = program.open_in_root(root, path.as_bytes(), open::PATH, format!("{path} is not for the container"));
            program.move_mount_onto(sources.take_file(check_null()?), target, "reads as empty");
        }
        let mut empty: Option<Register> = None;
        for path in &self.directories {
            let how = open::PATH | open::DIRECTORY;
            let target = program.open_in_root(root, path.as_bytes(), how, format!("{path} is not for the container"));
            // A mount can only be cloned once it is attached, so the first one is the file system itself.
            let cover = match empty {
                None => program.new_mount(
                    "tmpfs",
                    &[("size", "0"), ("nr_inodes", "1")],
                    mount_attr::RDONLY,
                    "an empty directory",
                ),
                Some(first) => program.open_tree(first, b"", false, "an empty directory"),
            };
            empty.get_or_insert(cover);
            program.move_mount_onto(cover, target, "shows as empty");
        }
        for path in &self.read_only {
            let target = program.open_in_root(
                root,
                path.as_bytes(),
                open::PATH,
                format!("{path} is not the container's to change"),
            );
            let tree = program.open_tree(target, b"", true, "the same once more");
            let change = MountChange {
                set: mount_attr::RDONLY,
                recursive: true,
                ..MountChange::default()
            };
            program.change_mount(Fd::Kept(tree), change, "it may be read");
            program.move_mount_onto(tree, target, "over the writable one");
        }
        Ok(())
    }
}
