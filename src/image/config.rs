//! An image's configuration: how it is run, and the diff ids of its layers (OCI image specification, `config.md`).
//!
//! Its digest is the image's id: it names the content of all layers, however they were compressed on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::{MOST_LAYERS, parse_object};
use super::{Manifest, Platform};
use crate::error::{Error, Result};
use crate::store::{Digest, clock};

/// The configuration of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// In RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, deserialize_with = "or_null")]
    pub config: Execution,
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// What others wrote and we have no use for, but do not lose either.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// A set, as Go's JSON has it: an object whose values are empty.
pub type Set = BTreeMap<String, Value>;

/// How a container of the image is run, if nothing else is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    #[serde(deserialize_with = "or_null", skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Set::is_empty")]
    pub exposed_ports: Set,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Set::is_empty")]
    pub volumes: Set,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    #[serde(deserialize_with = "or_null", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// How its health is found out; times are in nanoseconds. `Test` is `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    pub kind: String,
    /// Bottom first.
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs {
            kind: "layers".into(),
            diff_ids: Vec::new(),
        }
    }
}

/// How one layer came about, or a change that made none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl Config {
    /// Reads a configuration. Errors are for who names the document.
    pub fn parse(bytes: &[u8]) -> Result<Config> {
        let config: Config = parse_object(bytes, "image config")?;
        let layers = config.rootfs.diff_ids.len();
        if layers > MOST_LAYERS {
            let wrong = format!("field `rootfs.diff_ids`: {layers} layers; at most {MOST_LAYERS} can be stacked");
            return Err(Error::invalid(wrong));
        }
        Ok(config)
    }

    /// Checks that a manifest lists as many layers as the configuration.
    pub fn check_against(&self, manifest: &Manifest) -> Result<()> {
        let (said, listed) = (self.rootfs.diff_ids.len(), manifest.layers.len());
        if said == listed {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "field `rootfs.diff_ids`: {said} layers, but the manifest lists {listed}"
        ))
        .doing("image config"))
    }

    /// A configuration that says how it is spelled: the same always gives the same digest.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::system)
    }

    /// For which platform the image is. One that does not say is taken to be for this host.
    pub fn platform(&self) -> Platform {
        if self.architecture.is_empty() {
            return Platform::host();
        }
        Platform {
            os: if self.os.is_empty() { "linux".into() } else { self.os.clone() },
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }

    /// When the image was made, in seconds since 1970; 0 if it does not say.
    pub fn created_seconds(&self) -> u64 {
        let parsed = self.created.as_deref().and_then(clock::parse);
        parsed.map_or(0, |time| time.as_secs())
    }
}

/// Reads `null` as nothing: Go's programs write it for empty lists and maps.
fn or_null<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        let text = r#"{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05.5Z","config":{"Env":null,"Cmd":["sh"],
            "Entrypoint":null,"ExposedPorts":{"80/tcp":{}},"Labels":null,"ArgsEscaped":true,"Healthcheck":{"Test":["CMD","x"],
            "Interval":5000000000}},"rootfs":{"type":"layers","diff_ids":[]},"history":null,"os.version":"1"}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_string()][..]));
        assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, Some(5_000_000_000));
        assert_eq!(config.created_seconds(), 1_704_164_645);
        let again = Config::parse(&config.to_bytes().unwrap()).unwrap();
        assert_eq!(again, config);
        assert!(String::from_utf8(config.to_bytes().unwrap()).unwrap().contains("ArgsEscaped"));
        assert_eq!(
            Config::parse(br#"{"config":null,"rootfs":{"type":"layers","diff_ids":[]}}"#)
                .unwrap()
                .config,
            Execution::default()
        );
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (text, field) in [
            (r#"{"rootfs":{"type":"layers","diff_ids":["x"]}}"#, "`rootfs.diff_ids[0]`"),
            (
                r#"{"config":{"Env":7},"rootfs":{"type":"layers","diff_ids":[]}}"#,
                "`config.Env`",
            ),
            ("{}", "rootfs"),
        ] {
            let error = Config::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
