//! Images made here, byte by byte.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of busybox, and of layers that each have one large file.
pub struct Image {
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Bytes that do not repeat.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, name, *data).expect("append to memory");
    }
    tar.into_inner().expect("finish in memory")
}

impl Image {
    /// An image whose command prints `says`, with as many more layers of a length.
    pub fn new(says: &str, more: u32, length: usize) -> Image {
        let busybox = fs::read("/bin/busybox").expect("read busybox");
        let mut layers = vec![tarball(&[("bin/sh", &busybox), ("bin/cat", &busybox)])];
        layers.extend((0..more).map(|n| tarball(&[(&format!("file{n}"), &noise(length, n + 1))])));
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/bin/sh", "-c", format!("echo {says}")] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = config.to_string().into_bytes();
        let listed: Vec<Value> = layers.iter().map(|layer| describe(LAYER, layer)).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": describe(CONFIG, &config), "layers": listed });
        Image {
            manifest: manifest.to_string().into_bytes(),
            config,
            layers,
        }
    }

    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// The blob that a digest names.
    pub fn blob(&self, wanted: &str) -> Option<&[u8]> {
        let all = self.layers.iter().chain([&self.config, &self.manifest]);
        all.map(Vec::as_slice).find(|bytes| digest(bytes) == wanted)
    }

    /// Writes an OCI layout, for tools that read one.
    pub fn write(&self, directory: &Path) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("make a layout");
        for bytes in self.layers.iter().chain([&self.config, &self.manifest]) {
            fs::write(blobs.join(&digest(bytes)[7..]), bytes).expect("write a blob");
        }
        let mut entry = describe(MANIFEST, &self.manifest);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "it" });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        fs::write(directory.join("index.json"), index.to_string()).expect("write the index");
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write the version");
    }
}

fn describe(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}
