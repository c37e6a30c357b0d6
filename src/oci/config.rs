//! `config.json`: what the runtime is asked to run (OCI runtime-spec 1.2, `config.md` and `config-linux.md`).
//!
//! The fields have the specification's names. What is not there, or null, has its default; what is of the wrong type is an error
//! that names the field. What makes no sense is found in [`Config::check`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::linux::{Linux, check_mappings};
use super::process::Process;
use crate::cgroup::{self, Resources};
use crate::error::{Doing, Error, Result};
use crate::isolation::IdMapping;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    pub oci_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    pub mounts: Vec<Mount>,
    pub hooks: Hooks,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub linux: Linux,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Relative to the bundle, or absolute.
    pub path: String,
    pub readonly: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    pub destination: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub source: String,
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// Programs that whoever made the bundle wants to have run at points of a container's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    pub prestart: Vec<Hook>,
    pub create_runtime: Vec<Hook>,
    pub create_container: Vec<Hook>,
    pub start_container: Vec<Hook>,
    pub poststart: Vec<Hook>,
    pub poststop: Vec<Hook>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// The longest name of a host (uname(2)).
const LONGEST_NAME: usize = 64;

impl Config {
    /// Reads and checks the configuration of a bundle.
    pub fn read(bundle: &Path) -> Result<Config> {
        let path = bundle.join("config.json");
        let bytes = fs::read(&path).doing(|| format!("read `{}`", path.display()))?;
        let read = || {
            let config: Config = parse(&bytes)?;
            config.check().map(|()| config)
        };
        read().doing(|| format!("`{}`", path.display()))
    }

    /// Where the root is, seen from the bundle.
    pub fn root(&self, bundle: &Path) -> PathBuf {
        bundle.join(self.root.as_ref().map_or("", |root| &root.path))
    }

    /// What runs in the container.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().ok_or_else(|| wrong("process", "is missing"))
    }

    /// What it may use: what every container may, beside what is listed.
    pub fn resources(&self) -> Resources {
        let mut resources = self.linux.resources.clone();
        resources.devices.extend(cgroup::default_devices());
        resources
    }

    /// Whether the other groups of its users cannot be set: who is not root may not map them.
    pub fn denies_groups(&self) -> bool {
        let own = self.linux.gid_mappings.len() == 1 && self.linux.gid_mappings[0].size == 1;
        own && !rustix::process::geteuid().is_root()
    }

    pub fn check(&self) -> Result<()> {
        if self.oci_version.split('.').next() != Some("1") {
            return Err(wrong("ociVersion", format!("`{}` is not a version 1", self.oci_version)));
        }
        if self.root.as_ref().is_none_or(|root| root.path.is_empty()) {
            return Err(wrong("root.path", "is missing"));
        }
        if let Some(process) = &self.process {
            process.check()?;
        }
        for (n, mount) in self.mounts.iter().enumerate() {
            if mount.destination.is_empty() {
                return Err(wrong(&format!("mounts[{n}].destination"), "is missing"));
            }
            if mount.uid_mappings.is_empty() != mount.gid_mappings.is_empty() {
                return Err(wrong(
                    &format!("mounts[{n}].uidMappings"),
                    "and `gidMappings` are given together or not at all",
                ));
            }
            check_mappings(&format!("mounts[{n}].uidMappings"), &mount.uid_mappings)?;
            check_mappings(&format!("mounts[{n}].gidMappings"), &mount.gid_mappings)?;
        }
        // Without a namespace of its own, the names would be the host's.
        for (field, name) in [("hostname", &self.hostname), ("domainname", &self.domainname)] {
            if !name.is_empty() && !self.linux.has("uts") {
                return Err(wrong(field, "needs a uts namespace"));
            }
            if name.len() > LONGEST_NAME {
                return Err(wrong(field, format!("is longer than {LONGEST_NAME} bytes")));
            }
        }
        self.hooks.check()?;
        self.linux.check()
    }
}

impl Hooks {
    /// All hooks with the names of their points.
    fn all(&self) -> [(&'static str, &Vec<Hook>); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }

    /// Whether some are to be run in `create`.
    pub fn run_at_creation(&self) -> bool {
        [&self.prestart, &self.create_runtime, &self.create_container]
            .iter()
            .any(|hooks| !hooks.is_empty())
    }

    fn check(&self) -> Result<()> {
        for (point, hooks) in self.all() {
            for (n, hook) in hooks.iter().enumerate() {
                let field = |name: &str| format!("hooks.{point}[{n}].{name}");
                if !hook.path.starts_with('/') {
                    return Err(wrong(&field("path"), format!("`{}` is no absolute path", hook.path)));
                }
                if hook.timeout == Some(0) {
                    return Err(wrong(&field("timeout"), "must be more than 0 seconds"));
                }
            }
        }
        Ok(())
    }
}

/// Reads JSON. An error names the field.
pub fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    let mut json: Value = serde_json::from_slice(bytes).map_err(Error::invalid)?;
    drop_nulls(&mut json);
    if let Some(place) = find_nul(&json) {
        return Err(wrong(place.trim_start_matches('.'), "has a NUL in it"));
    }
    serde_path_to_error::deserialize(json).map_err(|error| {
        let field = error.path().to_string();
        wrong(&field, error.into_inner())
    })
}

/// Takes out what is null: programs in Go write it for what is not there.
fn drop_nulls(json: &mut Value) {
    match json {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Where there is a NUL in a text, or in a name: the kernel would take the text to end there.
fn find_nul(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Object(map) => map.iter().find_map(|(name, value)| match name.contains('\0') {
            true => Some(format!(".{}", name.escape_debug())),
            false => find_nul(value).map(|place| format!(".{name}{place}")),
        }),
        Value::Array(list) => {
            let mut places = list.iter().map(find_nul).enumerate();
            places.find_map(|(n, place)| Some(format!("[{n}]{}", place?)))
        }
        _ => None,
    }
}

/// An error in a field.
pub fn wrong(field: &str, what: impl std::fmt::Display) -> Error {
    Error::invalid(what).doing(format!("`{field}`"))
}
