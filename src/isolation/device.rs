//! Devices of the host that a container is given: those that `--device` names, or with `--privileged` all that there are.
//!
//! What a device is, its kind and its numbers, is looked up each time a container is planned, as the numbers are the host's
//! and may be others tomorrow.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::program::Register;

/// What `--device SOURCE[:TARGET[:ACCESS]]` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// An absolute path of the host: a device, or a directory whose devices are all meant.
    pub source: String,
    /// An absolute path of the container.
    pub target: String,
    /// What the container may do with it: read `r`, write `w`, make nodes of it `m`.
    pub access: String,
}

/// A device as the container has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is on the host.
    pub source: PathBuf,
    /// An absolute path of the container.
    pub target: String,
    /// With the kind of file, an `S_IF…`.
    pub mode: u32,
    pub user: u32,
    pub group: u32,
    pub major: u32,
    pub minor: u32,
    pub access: String,
    /// A clone of the host's, which is shown where the container's users may not make nodes.
    pub clone: Option<Register>,
}

/// What every container has of its own in `/dev`, or what the host has there for itself.
const NOT_GIVEN: [&str; 10] = [
    "console", "core", "fd", "mqueue", "ptmx", "pts", "shm", "stdin", "stdout", "stderr",
];

impl Device {
    /// Reads `SOURCE[:TARGET[:ACCESS]]`, or `SOURCE:ACCESS`.
    pub fn parse(text: &str) -> Result<Device> {
        let is_access = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|c| b"rwm".contains(&c));
        let wrong = |what: &str| {
            let hint = "write it as `/dev/NAME`, `/dev/NAME:/dev/OTHER` or `/dev/NAME:/dev/OTHER:rwm`";
            Err(Error::invalid(what.to_string()).doing(format!("device `{text}`")).hint(hint))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, access) = match parts[..] {
            [source] => (source, source, "rwm"),
            [source, access] if is_access(access) => (source, source, access),
            [source, target] => (source, target, "rwm"),
            [source, target, access] if is_access(access) => (source, target, access),
            [_, _, _] => return wrong("the access is not of `r`, `w` and `m`"),
            _ => return wrong("it has too many parts"),
        };
        if !source.starts_with('/') || !target.starts_with('/') || text.contains('\0') {
            return wrong("it is no absolute path");
        }
        if target.split('/').any(|name| name == "..") || target.split('/').all(|name| name.is_empty() || name == ".") {
            return wrong("the target is no path of a device");
        }
        Ok(Device {
            source: source.into(),
            target: target.into(),
            access: access.into(),
        })
    }

    /// The devices that are meant.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let doing = || format!("device `{}`", self.source);
        let metadata = fs::metadata(&self.source).doing(doing)?;
        if metadata.is_dir() {
            let mut nodes = Vec::new();
            collect(Path::new(&self.source), self.target.trim_end_matches('/'), &[], &mut nodes).doing(doing)?;
            if nodes.is_empty() {
                return Err(Error::invalid("there is no device in the directory").doing(doing()));
            }
            nodes.iter_mut().for_each(|node| node.access.clone_from(&self.access));
            return Ok(nodes);
        }
        let node = node(self.source.clone().into(), self.target.clone(), &metadata);
        let node = node.ok_or_else(|| Error::invalid("it is no device").doing(doing()))?;
        Ok(vec![Node {
            access: self.access.clone(),
            ..node
        }])
    }
}

impl Node {
    /// Whether it is a block device.
    pub fn is_block(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK
    }
}

/// All devices of the host but those that a container has of its own anyway.
pub fn all_devices() -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let usual = super::devices::NODES.map(|(name, ..)| name);
    collect(Path::new("/dev"), "/dev", &[&NOT_GIVEN[..], &usual].concat(), &mut nodes).doing(|| "look for devices in `/dev`")?;
    Ok(nodes)
}

/// Collects the devices below a directory, in the order of their names. Links are none.
fn collect(directory: &Path, target: &str, without: &[&str], nodes: &mut Vec<Node>) -> std::io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(directory)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| !without.contains(name))
    {
        let (path, target) = (directory.join(name), format!("{target}/{name}"));
        match fs::symlink_metadata(&path) {
            // Devices come and go.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(metadata) if metadata.is_dir() => collect(&path, &target, &[], nodes)?,
            found => nodes.extend(node(path, target, &found?)),
        }
    }
    Ok(())
}

fn node(source: PathBuf, target: String, metadata: &Metadata) -> Option<Node> {
    let kind = metadata.file_type();
    (kind.is_char_device() || kind.is_block_device()).then(|| Node {
        source,
        target,
        mode: metadata.mode(),
        user: metadata.uid(),
        group: metadata.gid(),
        major: libc::major(metadata.rdev()),
        minor: libc::minor(metadata.rdev()),
        access: "rwm".into(),
        clone: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        for (text, source, target, access) in [
            ("/dev/null", "/dev/null", "/dev/null", "rwm"),
            ("/dev/null:r", "/dev/null", "/dev/null", "r"),
            ("/dev/null:/dev/x", "/dev/null", "/dev/x", "rwm"),
            ("/dev/null:/dev/x:mr", "/dev/null", "/dev/x", "mr"),
        ] {
            let device = Device::parse(text).unwrap();
            assert_eq!(
                (device.source.as_str(), device.target.as_str(), device.access.as_str()),
                (source, target, access),
                "{text}"
            );
        }
        for text in [
            "",
            "null",
            "/dev/null:x",
            "/dev/null:/dev/x:q",
            "/a:/b:r:w",
            "/dev/null:/../x",
            "/dev/null:/",
        ] {
            let error = Device::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("device `{text}`: ")), "{error}");
        }
    }

    #[test]
    fn a_device_has_the_hosts_numbers() {
        let nodes = Device::parse("/dev/null:/dev/nothing:r").unwrap().nodes().unwrap();
        let [node] = &nodes[..] else { panic!("{nodes:?}") };
        assert_eq!(
            (node.major, node.minor, node.is_block(), node.access.as_str()),
            (1, 3, false, "r")
        );
        let error = Device::parse("/etc/passwd").unwrap().nodes().unwrap_err().to_string();
        assert_eq!(error, "device `/etc/passwd`: it is no device");
    }
}
