//! Registries that nobody should trust: what they send is not what was asked for, too much, too little, or somewhere else.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::image::{Image, digest, noise};
use super::server::{Answer, Asked, Server};
use crate::host::Host;
use crate::oci_images::is_sound;

/// The names of all files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into()).collect()
}

/// All blobs, and all layers.
fn all_parts(host: &Host) -> Vec<String> {
    let root = host.root();
    let mut parts = [files(&root.join("image/blobs/sha256")), files(&root.join("layer/sha256"))].concat();
    parts.sort();
    parts
}

/// Pulls what must not be pulled, and checks that nothing of it is there. Returns the message.
#[track_caller]
fn refused(host: &Host, image: &str) -> String {
    let message = host.tinydock(&["pull", image]).fails(1);
    assert!(message.contains(&format!("pull `{image}")), "{message}");
    let listed = host.run("images").ok();
    assert!(!listed.contains(image.split('/').next().expect("an address")), "{listed}");
    assert_eq!(files(&host.root().join("layer/draft")), [""; 0]);
    message
}

/// A server of an image, where `twist` may answer in its place.
pub fn twisted(image: Image, twist: impl Fn(&Image, &Asked) -> Option<Answer> + Send + Sync + 'static) -> Server {
    Server::start("127.0.0.1", move |asked| {
        twist(&image, asked).unwrap_or_else(|| Answer::of(&image, asked))
    })
}

pub fn is_layer(image: &Image, asked: &Asked) -> bool {
    asked.path.ends_with(&digest(&image.layers[0]))
}

#[test]
fn a_manifest_has_the_digest_that_was_asked_for() {
    let host = Host::new();
    let server = twisted(Image::new("x", 0, 0), |_, _| None);
    let other = digest(b"other");
    let message = refused(&host, &server.image(&format!("x@{other}")));
    assert!(message.contains(&format!("instead of `{other}`")), "{message}");
    // So it is if only the registry says which digest it has.
    let server = twisted(Image::new("x", 0, 0), move |image, asked| {
        let wrong = Answer::of(image, asked).header("Docker-Content-Digest", other.clone());
        asked.path.contains("/manifests/").then_some(wrong)
    });
    assert!(refused(&host, &server.image("x:1")).contains("instead of"));
}

#[test]
fn what_is_no_manifest_is_named() {
    let host = Host::new();
    for (body, wrong) in [
        ("<html>Welcome", "is not a manifest: it is not a JSON object"),
        ("{\"schemaVersion\":2", "is not a manifest: it is not JSON: EOF"),
        ("{}", "missing field `schemaVersion`"),
    ] {
        let server = twisted(Image::new("x", 0, 0), move |_, asked| {
            asked.path.contains("/manifests/").then(|| Answer::new(200, body))
        });
        let message = refused(&host, &server.image("x:1"));
        let named = format!("x:1`: registry `{}`: manifest `1`: {wrong}", server.address);
        assert!(message.contains(&named), "{message}");
    }
    let mut image = Image::new("x", 0, 0);
    let before = (digest(&image.config), image.config.len());
    image.config = b"hello".to_vec();
    let after = (digest(&image.config), image.config.len());
    let manifest = String::from_utf8(image.manifest).expect("text").replace(&before.0, &after.0);
    let size = |length| format!("\"size\":{length}");
    image.manifest = manifest.replacen(&size(before.1), &size(after.1), 1).into_bytes();
    let message = refused(&host, &twisted(image, |_, _| None).image("x:1"));
    assert!(
        message.contains(&format!("image config `{}`: is not an image config", after.0)),
        "{message}"
    );
    let server = twisted(Image::new("x", 0, 0), |_, asked| {
        asked.path.contains("/tags/").then(|| Answer::new(200, "hello"))
    });
    let message = host.tinydock(&["pull", "-a", &server.image("x")]).fails(1);
    assert!(message.contains("tags: is not a list of tags"), "{message}");
}

#[test]
fn a_blob_of_another_content_or_length_is_thrown_away() {
    let host = Host::new();
    let server = twisted(Image::new("x", 0, 0), |image, asked| {
        is_layer(image, asked).then(|| Answer::new(200, noise(image.layers[0].len(), 9)))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("another digest"), "{message}");
    // A tarball that is right but for its last byte is unpacked, and thrown away as well.
    let server = twisted(Image::new("x", 0, 0), |image, asked| {
        let mut layer = image.layers[0].clone();
        *layer.last_mut().expect("a byte") = 1;
        is_layer(image, asked).then(|| Answer::new(200, layer))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("another digest"), "{message}");
    assert_eq!(files(&host.root().join("image/draft")), [""; 0]);
    assert_eq!(files(&host.root().join("layer/sha256")), [""; 0]);
    let server = twisted(Image::new("x", 0, 0), |image, asked| {
        is_layer(image, asked).then(|| Answer::new(200, [&image.layers[0][..], b"more"].concat()))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("bytes instead of"), "{message}");
}

#[test]
fn of_what_can_never_be_an_image_nothing_is_left() {
    let host = Host::new();
    let good = twisted(Image::new("good", 0, 0), |_, _| None);
    host.tinydock(&["pull", "-q", &good.image("x:1")]).ok();
    let before = all_parts(&host);
    // The first layer is the other image's as well; the last comes when all others are there.
    let server = twisted(Image::new("x", 3, 1000), |image, asked| {
        let last = image.layers.last().expect("a layer");
        let wrong = || {
            std::thread::sleep(Duration::from_millis(300));
            Answer::new(200, noise(last.len(), 9))
        };
        asked.path.ends_with(&digest(last)).then(wrong)
    });
    assert!(refused(&host, &server.image("x:1")).contains("another digest"));
    assert_eq!(all_parts(&host), before);
    assert_eq!(host.inside(&[], &good.image("x:1"), &[]).ok(), "good\n");
    is_sound(&host);
    // What was only interrupted goes on with what is there.
    let server = twisted(Image::new("x", 3, 1000), |image, asked| {
        asked.path.ends_with(&digest(&image.layers[3])).then(|| Answer::new(404, ""))
    });
    refused(&host, &server.image("x:1"));
    refused(&host, &server.image("x:1"));
    let config = digest(&Image::new("x", 3, 1000).config);
    assert_eq!(server.asked_for(&config).len(), 1, "{:#?}", server.asked());
}

#[test]
fn a_diff_id_that_is_not_the_layers_is_refused() {
    let host = Host::new();
    let mut image = Image::new("x", 0, 0);
    let right = digest(&image.layers[0]);
    let before = (digest(&image.config), image.config.len());
    image.config = String::from_utf8(image.config)
        .expect("text")
        .replace(&right, &digest(b"other"))
        .into_bytes();
    assert_eq!(before.1, image.config.len());
    image.manifest = String::from_utf8(image.manifest)
        .expect("text")
        .replace(&before.0, &digest(&image.config))
        .into_bytes();
    let server = twisted(image, |_, _| None);
    assert!(refused(&host, &server.image("x:1")).contains("instead of"));
}

#[test]
fn what_never_ends_is_cut_off() {
    let host = Host::new();
    let endless = |body: &[u8]| Answer {
        endless: true,
        ..Answer::new(200, body)
    };
    let server = twisted(Image::new("x", 0, 0), move |_, asked| {
        asked.path.contains("/manifests/").then(|| endless(b"{"))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("longer than"), "{message}");
    let server = twisted(Image::new("x", 0, 0), move |image, asked| {
        is_layer(image, asked).then(|| endless(b""))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("another digest"), "{message}");
    // What is right up to where it should end will do.
    let server = twisted(Image::new("enough", 0, 0), move |image, asked| {
        is_layer(image, asked).then(|| endless(&image.layers[0]))
    });
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "enough\n");
}

#[test]
fn a_huge_configuration_is_not_asked_for() {
    let host = Host::new();
    let mut image = Image::new("x", 0, 0);
    let size = format!("\"size\":{}", image.config.len());
    let manifest = String::from_utf8(image.manifest).expect("text");
    image.manifest = manifest.replacen(&size, "\"size\":99999999999", 1).into_bytes();
    let server = twisted(image, |_, _| None);
    assert!(refused(&host, &server.image("x:1")).contains("documents have at most"));
    assert!(server.asked_for("/blobs/").is_empty());
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let host = Host::new();
    let broken = AtomicU32::new(0);
    let server = twisted(Image::new("whole", 0, 0), move |image, asked| {
        let whole = Answer::of(image, asked);
        (is_layer(image, asked) && broken.fetch_add(1, Ordering::Relaxed) < 2).then(|| Answer {
            length: Some(whole.body.len()),
            body: whole.body[..whole.body.len() / 2].to_vec(),
            ..whole
        })
    });
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "whole\n");
    let ranges: Vec<bool> = server
        .asked()
        .iter()
        .map(|asked| asked.headers.contains_key("range"))
        .collect();
    assert_eq!(ranges.iter().filter(|range| **range).count(), 2, "{:#?}", server.asked());
}

#[test]
fn a_registry_without_ranges_is_read_from_the_beginning() {
    let host = Host::new();
    let broken = AtomicU32::new(0);
    let server = twisted(Image::new("whole", 0, 0), move |image, asked| {
        let layer = &image.layers[0];
        is_layer(image, asked).then(|| Answer {
            length: Some(layer.len()),
            ..Answer::new(
                200,
                if broken.fetch_add(1, Ordering::Relaxed) == 0 {
                    &layer[..99_999]
                } else {
                    layer
                },
            )
        })
    });
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "whole\n");
}

#[test]
fn a_body_that_always_ends_too_early_is_given_up_and_kept_for_later() {
    let host = Host::new();
    let healthy = std::sync::Arc::new(AtomicU32::new(0));
    let state = healthy.clone();
    let server = twisted(Image::new("later", 0, 0), move |image, asked| {
        let whole = Answer::of(image, asked);
        (is_layer(image, asked) && state.load(Ordering::Relaxed) == 0).then(|| Answer {
            length: Some(whole.body.len()),
            body: whole.body[..1000].to_vec(),
            ..whole
        })
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("ends too early"), "{message}");
    healthy.store(1, Ordering::Relaxed);
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "later\n");
    let last = server.asked_for("/blobs/").pop().expect("a request");
    assert_eq!(last.headers.get("range").map(String::as_str), Some("bytes=5000-"));
    assert_eq!(files(&host.root().join("image/draft")), [""; 0]);
}

#[test]
fn a_damaged_part_of_an_earlier_pull_is_fetched_again() {
    let host = Host::new();
    let image = Image::new("fresh", 0, 0);
    let draft = host.root().join("image/draft");
    fs::create_dir_all(&draft).expect("make the folder");
    fs::write(draft.join(&digest(&image.layers[0])[7..]), noise(5000, 3)).expect("write a part");
    let server = twisted(image, |_, _| None);
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "fresh\n");
}

#[test]
fn who_is_asked_to_wait_waits() {
    let host = Host::new();
    let count = AtomicU32::new(0);
    let server = twisted(Image::new("patient", 0, 0), move |_, asked| {
        let counted = |asked: &Asked| {
            asked
                .path
                .contains("/manifests/")
                .then(|| count.fetch_add(1, Ordering::Relaxed))
        };
        match counted(asked)? {
            0 => Some(Answer::new(429, "").header("Retry-After", "2")),
            1 => Some(Answer::new(503, "")),
            _ => None,
        }
    });
    let start = Instant::now();
    assert_eq!(host.inside(&["-q"], &server.image("x:1"), &[]).ok(), "patient\n");
    assert!(start.elapsed() > Duration::from_secs(2));
    host.tinydock(&["rmi", "-f", &server.image("x:1")]).ok();
    let server = twisted(Image::new("x", 0, 0), |_, asked| {
        let answer = Answer::new(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#);
        asked
            .path
            .contains("/manifests/")
            .then(|| answer.header("Retry-After", "3600"))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(
        message.contains("429 Too Many Requests: slow down") && message.contains("3600 seconds"),
        "{message}"
    );
}

#[test]
fn who_refers_in_circles_is_left() {
    let host = Host::new();
    let server = twisted(Image::new("x", 0, 0), |_, asked| {
        (asked.path != "/v2/").then(|| Answer::new(302, "").header("Location", asked.path.clone()))
    });
    let message = refused(&host, &server.image("x:1"));
    assert!(message.contains("more than 10 redirects"), "{message}");
    let server = twisted(Image::new("x", 0, 0), |_, asked| {
        (asked.path != "/v2/").then(|| Answer::new(302, "").header("Location", "file:///etc/shadow"))
    });
    assert!(refused(&host, &server.image("x:1")).contains("is referred to `file:///etc/shadow`"));
}
