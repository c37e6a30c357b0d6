//! All tags of a repository at once.

use super::image::{Image, MANIFEST};
use super::real::Registry;
use super::server::{Answer, Server};
use crate::host::Host;

#[test]
fn all_tags_are_pushed_and_pulled() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    registry.fill(&host, &Image::new("first", 2, 1000), "me/app:1", "");
    registry.fill(&host, &Image::new("second", 2, 1000), "me/app:latest", "");
    let app = registry.image("me/app");
    let told = host.tinydock(&["pull", "-a", &app]).ok();
    for line in ["1: Pulling from me/app", "latest: Pulling from me/app"] {
        assert!(told.lines().any(|other| other == line), "{told}");
    }
    assert!(told.ends_with(&format!("{app}\n")), "{told}");
    assert_eq!(host.inside(&[], &format!("{app}:1"), &[]).ok(), "first\n");
    assert_eq!(host.inside(&[], &app, &[]).ok(), "second\n");

    let copy = registry.image("you/copy");
    for tag in ["1", "latest"] {
        host.tinydock(&["tag", &format!("{app}:{tag}"), &format!("{copy}:{tag}")])
            .ok();
    }
    let told = host.tinydock(&["image", "push", "--all-tags", &copy]).ok();
    assert_eq!(told.matches(": digest: sha256:").count(), 2, "{told}");
    let listed = host.sh(&format!("skopeo list-tags --tls-verify=false docker://{copy}")).ok();
    assert!(listed.contains("\"1\"") && listed.contains("\"latest\""), "{listed}");
    assert_eq!(host.tinydock(&["push", "-q", "-a", &copy]).ok(), format!("{copy}\n"));

    for command in ["pull", "push"] {
        let message = host.tinydock(&[command, "-a", &format!("{app}:1")]).fails(1);
        assert!(message.contains("not all tags but one image"), "{message}");
        host.tinydock(&[command, "-a", &registry.image("nothing")]).fails(1);
    }
}

#[test]
fn tags_that_are_no_image_are_passed_over() {
    let host = Host::new();
    let image = Image::new("hello", 0, 0);
    let signature = String::from_utf8(image.manifest.clone()).expect("text").replace(
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.dev.cosign.simplesigning.v1+json",
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":9,"platform":{{"os":"linux","architecture":"s390x"}}}}]}}"#,
        image.digest()
    );
    let server = Server::start("127.0.0.1", move |asked| match asked.path.as_str() {
        "/v2/some/tags/list" => Answer::new(200, r#"{"tags":["sig","a","s390x","b"]}"#),
        "/v2/none/tags/list" => Answer::new(200, r#"{"tags":["sig","s390x"]}"#),
        "/v2/shut/tags/list" => Answer::new(200, r#"{"tags":["shut","a"]}"#),
        path if path.ends_with("/manifests/sig") => Answer::new(200, signature.clone()),
        path if path.ends_with("/manifests/s390x") => Answer::new(200, index.clone()),
        path if path.ends_with("/manifests/shut") => Answer::new(403, "{}"),
        _ => Answer::of(&image, asked),
    });
    let some = server.image("some");
    let done = host.tinydock(&["pull", "-a", &some]);
    let warnings: Vec<&str> = done.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert!(warnings.len() == 2, "{done:?}");
    assert!(warnings[0].contains(&format!("`{some}:sig`")) && warnings[0].contains("simplesigning"));
    assert!(warnings[1].contains(&format!("`{some}:s390x`")) && warnings[1].contains("no image for platform"));
    let told = done.ok();
    let end = format!("Status: Downloaded newer image for {some}\n{some}\n");
    assert!(told.ends_with(&end) && told.matches("Status:").count() == 1, "{told}");
    assert_eq!(host.run(&format!("images -q {some}:a")).ok().lines().count(), 1);
    let again = host.tinydock(&["pull", "-a", &some]).ok();
    assert!(
        again.contains(&format!("Status: Image is up to date for {some}\n")),
        "{again}"
    );
    assert_eq!(host.tinydock(&["pull", "-aq", &some]).ok(), format!("{some}\n"));

    let message = host.tinydock(&["pull", "-a", &server.image("none")]).fails(1);
    assert!(message.contains("no tag is of an image for this platform"), "{message}");
    // What is wrong with the registry is wrong with all tags.
    let message = host.tinydock(&["pull", "-a", &server.image("shut")]).fails(1);
    assert!(message.contains("403"), "{message}");
    assert_eq!(host.run(&format!("images -q {}", server.image("shut:a"))).ok(), "");
}

#[test]
fn tags_are_listed_in_several_answers_but_not_forever() {
    let host = Host::new();
    let image = Image::new("hello", 1, 1000);
    let server = Server::start("127.0.0.1", move |asked| match asked.path.as_str() {
        "/v2/app/tags/list" => {
            Answer::new(200, r#"{"tags":["a","../b",""]}"#).header("Link", "</v2/app/tags/list?last=a>; rel=\"next\"")
        }
        "/v2/app/tags/list?last=a" => Answer::new(200, r#"{"tags":["c"]}"#),
        "/v2/none/tags/list" => Answer::new(200, r#"{"tags":null}"#),
        path if path.starts_with("/v2/endless/tags/list") => {
            Answer::new(200, r#"{"tags":["a"]}"#).header("Link", "<list?again>; rel=\"next\"")
        }
        _ => Answer::of(&image, asked),
    });
    host.tinydock(&["pull", "-aq", &server.image("app")]).ok();
    let listed = host.run("images --format {{.Tag}}").ok();
    assert!(listed.contains("a\n") && listed.contains("c\n"), "{listed}");
    assert!(server.asked().iter().all(|asked| !asked.path.contains("..")));
    let message = host.tinydock(&["pull", "-a", &server.image("none")]).fails(1);
    assert!(message.contains("has no tags"), "{message}");
    let message = host.tinydock(&["pull", "-a", &server.image("endless")]).fails(1);
    assert!(message.contains("in more than 1000 answers"), "{message}");
}
