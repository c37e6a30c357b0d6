//! Whatever bytes are in a manifest, a configuration, a name or a tarball: there is a result or an error, never a panic, and what was
//! read can be written and read again.

use std::fs;
use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::layer::{self, Limits};

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn manifest() -> String {
    let blob = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"sha256:{HEX}","size":3,"annotations":{{"a":"b"}}}}"#);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{},{}]}}"#,
        media::MANIFEST,
        blob(media::CONFIG),
        blob(media::LAYER_GZIP),
        blob(media::LAYER)
    )
}

fn config() -> String {
    format!(
        r#"{{"created":"2024-01-02T03:04:05Z","architecture":"amd64","os":"linux","config":{{"Env":["A=b"],"Cmd":["x"],
        "Healthcheck":{{"Test":["CMD","x"],"Interval":1}},"Volumes":{{"/a":{{}}}}}},"rootfs":{{"type":"layers",
        "diff_ids":["sha256:{HEX}"]}},"history":[{{"created_by":"x","empty_layer":true}}]}}"#
    )
}

fn index() -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"sha256:{HEX}","size":3,
        "platform":{{"os":"linux","architecture":"arm","variant":"v7"}}}}]}}"#,
        media::MANIFEST
    )
}

/// A text of which some bytes are replaced, left out or there twice.
fn broken(text: String) -> impl Strategy<Value = Vec<u8>> {
    let length = text.len();
    vec((0..length, any::<u8>(), 0..3u8), 1..8).prop_map(move |changes| {
        let mut bytes = text.clone().into_bytes();
        for (at, byte, how) in changes {
            let at = at % bytes.len().max(1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), byte),
            }
        }
        bytes
    })
}

/// A tarball with the names and links that hostile ones have, perhaps cut off or changed.
fn tarball() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "a",
        "a/b",
        "a/b/c",
        "../x",
        "/etc/passwd",
        ".wh.a",
        "a/.wh..wh..opq",
        ".wh...",
        ".wh.",
        "a/.wh.b",
        "./",
        "b",
        "a/../b",
    ];
    let name = prop::sample::select(names.to_vec());
    let entry = (
        name.clone(),
        prop::sample::select(b"0123456gxLKS7".to_vec()),
        name,
        vec(any::<u8>(), 0..40),
    );
    (
        vec(entry, 0..8),
        prop::option::of((0..4096usize, any::<u8>())),
        prop::option::of(0..4096usize),
    )
        .prop_map(|(entries, flip, cut)| {
            let mut tar = tar::Builder::new(Vec::new());
            for (name, kind, target, data) in entries {
                let mut header = tar::Header::new_gnu();
                let old = header.as_old_mut();
                old.name[..name.len()].copy_from_slice(name.as_bytes());
                old.linkname[..target.len()].copy_from_slice(target.as_bytes());
                header.set_entry_type(tar::EntryType::new(kind));
                header.set_size(data.len() as u64);
                header.set_mode(0o7777);
                header.set_mtime(1);
                header.set_uid(0);
                header.set_gid(0);
                header.set_cksum();
                tar.append(&header, data.as_slice()).expect("memory");
            }
            let mut bytes = tar.into_inner().expect("memory");
            if let Some((at, byte)) = flip {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| bytes.len() - cut.min(bytes.len())));
            bytes
        })
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(bytes in prop_oneof![broken(manifest()), broken(index()), vec(any::<u8>(), 0..200)]) {
        if let Ok(Document::Manifest(manifest)) = Document::parse(&bytes) {
            let again = serde_json::to_vec(&manifest).unwrap();
            prop_assert_eq!(Document::parse(&again).unwrap(), Document::Manifest(manifest));
        }
    }

    #[test]
    fn any_config_is_read_or_refused(bytes in prop_oneof![broken(config()), vec(any::<u8>(), 0..200)]) {
        if let Ok(config) = Config::parse(&bytes) {
            let _ = (config.platform(), config.created_seconds());
            prop_assert_eq!(Config::parse(&config.to_bytes().unwrap()).unwrap(), config);
        }
    }

    #[test]
    fn any_name_is_read_or_refused(text in prop_oneof!["[a-zA-Z0-9./:@_\\[\\]-]{0,40}", ".{0,40}"]) {
        let _ = (Platform::parse(&text), Name::parse(&text));
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
            prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            prop_assert!(!reference.to_string().contains(".."));
        }
    }

    #[test]
    fn any_change_is_applied_or_refused(word in "CMD|ENV|LABEL|EXPOSE|VOLUME|HEALTHCHECK|SHELL|X", rest in ".{0,40}") {
        let mut execution = Execution::default();
        let _ = execution.change_all(&[format!("{word} {rest}")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing beside the layer's directory is touched. This makes files of all kinds, so only root sees all of it.
    #[test]
    fn any_tarball_is_unpacked_or_refused(bytes in tarball(), how in 0..3u8) {
        let bytes = match how {
            0 => bytes,
            1 => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&bytes).unwrap();
                gzip.finish().unwrap()
            }
            _ => zstd::encode_all(bytes.as_slice(), 1).unwrap(),
        };
        let directory = std::env::temp_dir().join(format!("tinydock-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("layer")).unwrap();
        let limits = Limits { bytes: 1 << 20, entries: 100 };
        let _ = layer::unpack(bytes.as_slice(), &directory.join("layer"), &limits);
        let beside = fs::read_dir(&directory).unwrap().count();
        fs::remove_dir_all(&directory).unwrap();
        prop_assert_eq!(beside, 1);
    }

    /// An image of a layer is the tree that unpacking makes, or there is none and unpacking decides.
    #[test]
    #[ignore = "it mounts, which only root may: `make test` runs it"]
    fn any_tarball_is_the_same_tree_in_both_forms(bytes in tarball()) {
        let limits = Limits { bytes: 1 << 20, entries: 100 };
        let (tree, image) = layer::both_forms("fuzz", &bytes, &limits);
        match (tree, image) {
            (Ok(tree), Some(image)) => prop_assert_eq!(image.unwrap(), tree),
            // Of two things that are wrong, each may tell another one.
            (Err(_), Some(image)) => prop_assert!(image.is_err()),
            (tree, None) => prop_assert!(tree.is_ok()),
        }
    }
}
