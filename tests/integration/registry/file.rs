//! Tarballs that are imported from web servers.

use super::image::{Image, digest};
use super::server::{Answer, Server};
use crate::host::Host;
use crate::oci_images::is_sound;

#[test]
fn a_tarball_is_imported_from_a_web_server() {
    let host = Host::new();
    let tarball = Image::new("", 0, 0).layers.remove(0);
    let expected = digest(&tarball);
    let server = Server::start("127.0.0.1", move |asked| match asked.path.as_str() {
        "/tree.tar?v=1" => Answer::new(200, tarball.clone()),
        "/moved" => Answer::new(302, "").header("Location", "tree.tar?v=1"),
        "/around" => Answer::new(302, "").header("Location", "/around"),
        "/cut" => Answer {
            length: Some(tarball.len() + 512),
            ..Answer::new(200, tarball.clone())
        },
        "/endless" => Answer {
            endless: true,
            ..Answer::new(200, tarball.clone())
        },
        _ => Answer::new(404, ""),
    });
    let url = |path: &str| format!("http://{}/{path}", server.address);
    for (n, path) in ["tree.tar?v=1", "moved"].iter().enumerate() {
        let name = format!("brought:{n}");
        let id = host
            .tinydock(&["import", "-c", "CMD [\"sh\", \"-c\", \"echo in\"]", &url(path), &name])
            .ok();
        assert!(id.starts_with("sha256:"), "{id}");
        assert_eq!(host.inside(&[], &name, &[]).ok(), "in\n");
        let layers = host
            .tinydock(&["image", "inspect", "-f", "{{index .RootFS.Layers 0}}", &name])
            .ok();
        assert_eq!(layers, format!("{expected}\n"));
    }
    for (path, wrong) in [
        ("nothing", "404 Not Found"),
        ("around", "more than 10 redirects"),
        ("cut", "import the tarball"),
        ("endless", "TINYDOCK_LAYER_BYTES"),
    ] {
        let line = format!("TINYDOCK_LAYER_BYTES=20000000 $TINYDOCK import '{}' wrong", url(path));
        let message = host.sh(&line).fails(1);
        assert!(message.contains(wrong), "{path}: {message}");
    }
    let asked = server.asked().len();
    for (change, url) in [
        ("-c FOO", url("tree.tar?v=1")),
        ("", "http://a b/".into()),
        ("", "https://user@h/x".into()),
    ] {
        host.sh(&format!("$TINYDOCK import {change} '{url}'")).fails(1);
    }
    assert_eq!(
        server.asked().len(),
        asked,
        "what is wrong is told before anything is fetched"
    );
    assert_eq!(host.run("images -q wrong").ok(), "");
    host.run("image prune -f").ok();
    is_sound(&host);
}
