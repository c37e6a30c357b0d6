//! Manifests: which blobs an image is made of (OCI image specification, `manifest.md`, `image-index.md`, `descriptor.md`).
//!
//! ```text
//!   index ──▶ manifest, one for each platform ──▶ config
//!                                            └──▶ layers, bottom first
//! ```
//!
//! Each arrow is a [`Descriptor`]: a digest, a size and a type. What it leads to is checked against it, so whoever trusts
//! the first digest can trust everything.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Platform, media};
use crate::error::{Error, Result};
use crate::store::Digest;

/// More than any real manifest or config has, and too little to be a burden.
pub const LARGEST_DOCUMENT: u64 = 4 << 20;

/// How many layers an image may have: what overlayfs can stack.
pub const MOST_LAYERS: usize = 500;

pub type Annotations = BTreeMap<String, String>;

/// What leads to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// What others wrote and we have no use for, but do not lose either.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

impl Descriptor {
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: None,
            others: BTreeMap::new(),
        }
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub fn annotate(&mut self, name: &str, value: &str) {
        self.annotations.get_or_insert_default().insert(name.into(), value.into());
    }
}

/// An image for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// Images for several platforms, or all images of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// What a reference or the entry of an index leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index. Which it is says its own type, or else its content. Errors are for who names the document.
    pub fn parse(bytes: &[u8]) -> Result<Document> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            schema_version: Option<Value>,
            media_type: Option<String>,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
            #[serde(default)]
            layers: Option<serde::de::IgnoredAny>,
        }
        let kind: Kind = parse_object(bytes, "manifest")?;
        if kind.schema_version.as_ref().is_some_and(|version| *version != 2) {
            let wrong = Error::invalid("field `schemaVersion`: only version 2 is supported");
            return Err(wrong.hint("push the image again with a tool of this decade"));
        }
        let is_index = match kind.media_type.as_deref() {
            Some(name) if media::is_index(name) => true,
            Some(name) if media::is_manifest(name) => false,
            Some(name) => {
                let wrong = format!(
                    "field `mediaType`: `{}` is neither a manifest nor an index",
                    name.escape_debug()
                );
                return Err(Error::invalid(wrong));
            }
            None if kind.manifests.is_some() && kind.layers.is_some() => {
                return Err(Error::invalid("has both `manifests` and `layers`"));
            }
            None => kind.manifests.is_some(),
        };
        if is_index {
            return parse_json(bytes, "index").map(Document::Index);
        }
        let manifest: Manifest = parse_json(bytes, "manifest")?;
        manifest.check()?;
        Ok(Document::Manifest(manifest))
    }
}

impl Manifest {
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(media::MANIFEST.into()),
            config,
            layers,
            annotations: None,
        }
    }

    /// Checks that this is an image that can be run, not some other artifact.
    fn check(&self) -> Result<()> {
        if !media::is_config(&self.config.media_type) {
            let wrong = format!(
                "field `config.mediaType`: `{}` is not the configuration of an image",
                self.config.media_type.escape_debug()
            );
            return Err(Error::invalid(wrong));
        }
        if self.layers.len() > MOST_LAYERS {
            return Err(Error::invalid(format!(
                "has {} layers; at most {MOST_LAYERS} can be stacked",
                self.layers.len()
            )));
        }
        match self.layers.iter().position(|layer| !media::is_layer(&layer.media_type)) {
            None => Ok(()),
            Some(n) => Err(Error::invalid(format!(
                "field `layers[{n}].mediaType`: `{}` is not a layer that tinydock can unpack",
                self.layers[n].media_type.escape_debug()
            ))),
        }
    }
}

impl Index {
    pub fn new(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: Some(media::INDEX.into()),
            manifests,
            annotations: None,
        }
    }

    /// The entry that suits a platform best. One that says nothing of a platform will do if there is nothing better.
    pub fn select(&self, wanted: &Platform) -> Result<&Descriptor> {
        // Attestations have the platform `unknown/unknown` or none, and a word about what they are.
        let is_image = |entry: &&Descriptor| {
            entry.annotation("vnd.docker.reference.type").is_none()
                && (media::is_manifest(&entry.media_type) || media::is_index(&entry.media_type))
        };
        let suits = |entry: &Descriptor| entry.platform.as_ref().map_or(Some(0), |platform| platform.suits(wanted));
        let suited = self
            .manifests
            .iter()
            .filter(is_image)
            .filter_map(|entry| Some((suits(entry)?, entry)));
        // Of several that suit equally, the first counts.
        match suited.rev().max_by_key(|(score, _)| *score) {
            Some((_, entry)) => Ok(entry),
            None => {
                let platforms = self
                    .manifests
                    .iter()
                    .filter(is_image)
                    .filter_map(|entry| entry.platform.as_ref());
                let list: Vec<String> = platforms.map(ToString::to_string).collect();
                let wrong = Error::not_found(format!("there is no image for platform `{wanted}`"));
                Err(if list.is_empty() {
                    wrong
                } else {
                    wrong.hint(format!("there are ones for {}", list.join(", ")))
                })
            }
        }
    }
}

/// Reads a JSON object, as [`parse_json`] does. A list would be taken for its fields in their order.
pub fn parse_object<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        parse_json(bytes, what)
    } else {
        Err(is_not(what, Error::invalid("it is not a JSON object")))
    }
}

/// Reads JSON. An error says what this is not, or which field is wrong; which document it is says who has asked for it.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    let no_json = |error: &serde_json::Error| is_not(what, Error::invalid(error).doing("it is not JSON"));
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        match error.inner() {
            wrong if !wrong.is_data() => no_json(wrong),
            wrong if path == "." || path == "?" => Error::invalid(wrong),
            wrong => Error::invalid(wrong).doing(format!("field `{path}`")),
        }
    })?;
    reader.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

/// An error about a document that is not what it was taken for.
fn is_not(what: &str, why: Error) -> Error {
    let article = if what.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    why.doing(format!("is not {article} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn manifest(config: &str, layer: &str) -> String {
        let descriptor = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"sha256:{HEX}","size":3}}"#);
        format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            descriptor(config),
            descriptor(layer)
        )
    }

    #[test]
    fn both_families_of_types_are_read() {
        for (config, layer) in [
            (media::CONFIG, media::LAYER_ZSTD),
            (media::DOCKER_CONFIG, media::DOCKER_LAYER_GZIP),
        ] {
            let read = Document::parse(manifest(config, layer).as_bytes()).unwrap();
            assert!(matches!(read, Document::Manifest(manifest) if manifest.layers.len() == 1));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, wrong) in [
            ("{", "is not a manifest: it is not JSON: EOF while parsing"),
            ("{}{}", "is not a manifest: it is not JSON: trailing characters"),
            ("<html>", "is not a manifest: it is not a JSON object"),
            ("", "is not a manifest: it is not a JSON object"),
            ("[2,null,null,null]", "is not a manifest: it is not a JSON object"),
            ("{}", "missing field"),
            (r#"{"schemaVersion":1}"#, "`schemaVersion`"),
            (&manifest("application/wasm", media::LAYER), "`config.mediaType`"),
            (&manifest(media::CONFIG, "text/plain"), "`layers[0].mediaType`"),
            (
                &manifest(media::CONFIG, media::LAYER).replacen(HEX, "zz", 1),
                "`config.digest`",
            ),
            (
                &manifest(media::CONFIG, media::LAYER).replacen(":3", ":-3", 1),
                "`config.size`",
            ),
            (r#"{"schemaVersion":2,"manifests":[{}]}"#, "`manifests[0]"),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "both"),
        ] {
            let error = Document::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_best_platform_is_selected() {
        let entry = |platform: Option<&str>, size| {
            let mut entry = Descriptor::new(media::MANIFEST, Digest::parse(&format!("sha256:{HEX}")).unwrap(), size);
            entry.platform = platform.map(|text| Platform::parse(text).unwrap());
            entry
        };
        let index = Index::new(vec![
            entry(Some("linux/arm/v5"), 5),
            entry(Some("linux/arm/v6"), 6),
            entry(Some("linux/amd64"), 1),
            entry(Some("linux/amd64"), 2),
        ]);
        let select = |text: &str| index.select(&Platform::parse(text).unwrap()).map(|entry| entry.size);
        assert_eq!(select("linux/arm/v7"), Ok(6));
        assert_eq!(select("linux/arm/v5"), Ok(5));
        assert_eq!(select("linux/amd64"), Ok(1));
        let error = select("linux/riscv64").unwrap_err().to_string();
        assert!(error.contains("linux/arm/v5, "), "{error}");
    }
}
