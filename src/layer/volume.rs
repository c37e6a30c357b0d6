//! Volumes: a file or a directory of the host, seen in the container.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::MountPoint;
use crate::error::{Doing, Error, Result};
use crate::program::flags::mount_attr;
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};
use crate::store::Text;

/// What `-v SOURCE:TARGET[:OPTIONS]` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// An absolute path of the host.
    pub source: Text,
    /// An absolute path of the container.
    pub target: Text,
    pub read_only: bool,
    /// Whether its files belong to the container's users by the ids that they have on disk.
    #[serde(default)]
    pub id_mapped: bool,
}

impl Volume {
    /// Reads `SOURCE:TARGET[:OPTIONS]`; the options are `ro`, `rw` and `idmap`. A relative source begins with `.` and is below `directory`.
    pub fn parse(text: &[u8], directory: &Path) -> Result<Volume> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let wrong = |what: &str| {
            Error::invalid(what)
                .doing(format!("volume `{shown}`"))
                .hint("write it as `SOURCE:TARGET` or `SOURCE:TARGET:ro`")
        };
        let parts: Vec<&[u8]> = text.split(|c| *c == b':').collect();
        let (source, target, options): (_, _, &[u8]) = match parts[..] {
            [source, target] => (source, target, b"rw"),
            [source, target, options] => (source, target, options),
            _ => return Err(wrong("neither a source and a target nor an option after them")),
        };
        let (mut read_only, mut id_mapped) = (false, false);
        for option in options.split(|c| *c == b',') {
            match option {
                b"ro" => read_only = true,
                b"rw" => read_only = false,
                b"idmap" => id_mapped = true,
                _ => return Err(wrong(&format!("unknown option `{}`", String::from_utf8_lossy(option)))),
            }
        }
        if source.is_empty() {
            return Err(wrong("the source is missing"));
        }
        if source[0] != b'/' && source[0] != b'.' {
            return Err(wrong("the source is no path: it begins with neither `/` nor `.`"));
        }
        if !target.starts_with(b"/") {
            return Err(wrong("the target is no absolute path"));
        }
        if target.split(|c| *c == b'/').all(|name| name.is_empty() || name == b".") {
            return Err(wrong("the target must not be the root directory"));
        }
        let source = directory.join(std::ffi::OsStr::from_bytes(source));
        Ok(Volume {
            source: source.into_os_string().into(),
            target: target.to_vec().into(),
            read_only,
            id_mapped,
        })
    }

    /// Where the source is on the host.
    pub fn path(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.source.as_bytes().to_vec()).into()
    }

    /// Makes the source, as a directory, if nothing is there. Returns whether the source is a directory.
    pub fn prepare(&self) -> Result<bool> {
        let path = self.path();
        let doing = || format!("volume source `{}`", path.display());
        match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&path).doing(doing)?;
                Ok(true)
            }
            found => Ok(found.doing(doing)?.is_dir()),
        }
    }
}

/// A volume whose place in the container is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub source: Vec<u8>,
    pub at: MountPoint,
    pub read_only: bool,
    /// Whether its files belong to the container's users by the ids that they have on disk.
    pub id_mapped: bool,
    /// A clone of the source, where it had to be made before.
    pub clone: Option<Register>,
    pub why: &'static str,
}

/// Writes the steps that show a file or directory of the host below `root`.
pub fn bind(program: &mut Program, concept: Concept, root: Register, bind: &Bind) {
    program.concept(concept);
    let tree = bind.clone.unwrap_or_else(|| open_bind(program, concept, bind));
    let target = bind
        .at
        .open(program, root, "its place, wherever links in the image lead within the root");
    program.move_mount_onto(tree, target, "and there it is");
}

/// Writes the steps that clone what is shown.
pub fn open_bind(program: &mut Program, concept: Concept, bind: &Bind) -> Register {
    program.concept(concept);
    let tree = program.open_tree(Fd::Cwd, &bind.source, true, bind.why);
    if bind.id_mapped {
        let change = MountChange {
            users: Some(Input::Users),
            ..MountChange::default()
        };
        let why = "files belong to the container's users, whatever they have on disk";
        program.change_mount(Fd::Kept(tree), change, why);
    }
    if bind.read_only {
        program.mount_setattr(
            tree,
            mount_attr::RDONLY,
            "the container may only read it, and what is mounted below it",
        );
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_as_docker_reads_them() {
        for (text, source, target, read_only) in [
            ("/a:/b", "/a", "/b", false),
            ("/a:/b:ro", "/a", "/b", true),
            ("/a b:/c d:rw", "/a b", "/c d", false),
            ("./x:/b", "/work/./x", "/b", false),
        ] {
            let volume = Volume::parse(text.as_bytes(), Path::new("/work")).unwrap();
            assert_eq!(
                (volume.source, volume.target, volume.read_only),
                (source.into(), target.into(), read_only),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bad_volume_is_named() {
        for text in [
            "",
            "/a",
            ":/b",
            "/a:",
            "/a:b",
            "/a:/",
            "/a:/./",
            "/a:/b:z",
            "/a:/b:ro:x",
            "data:/b",
        ] {
            let error = Volume::parse(text.as_bytes(), Path::new("/")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("volume `{text}`: ")), "{error}");
        }
    }
}
