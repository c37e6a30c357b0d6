//! Removing images that have a digest in a registry beside their tags.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::image::Image;
use super::server::{Answer, Server};
use crate::host::Host;
use crate::oci_images::is_sound;

/// Runs a command, in whose output the image's digest and id are shortened.
struct Shop {
    host: Host,
    name: String,
    digest: String,
    id: String,
}

impl Shop {
    fn open() -> Shop {
        let host = Host::new();
        let image = Image::new("x", 0, 0);
        let (digest, id) = (image.digest(), super::image::digest(&image.config));
        let server = Server::start("127.0.0.1", move |asked| Answer::of(&image, asked));
        Shop {
            name: server.image("app"),
            host,
            digest,
            id,
        }
    }

    /// `APP`, `#` and `ID` in a command's words, and in what it prints, are the repository, the digest and the image's id.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let pairs = [("APP", &self.name), ("#", &self.digest), ("ID", &self.id)];
        let line = pairs
            .iter()
            .fold(line.to_string(), |line, (short, long)| line.replace(short, long));
        let told = self.host.run(&line).ok();
        pairs
            .iter()
            .fold(told, |told, (short, long)| told.replace(long.as_str(), short))
    }
}

#[test]
fn a_tag_goes_with_the_digests_of_its_repository() {
    let shop = Shop::open();
    shop.run("pull -q APP:1");
    assert_eq!(shop.run("rmi APP:1"), "Untagged: APP:1\nUntagged: APP@#\nDeleted: ID\n");
    shop.run("pull -q APP:1");
    shop.run("tag APP:1 APP:2");
    shop.run("tag APP:1 other:x");
    assert_eq!(shop.run("rmi APP:1"), "Untagged: APP:1\n");
    assert_eq!(shop.run("rmi APP:2"), "Untagged: APP:2\nUntagged: APP@#\n");
    assert_eq!(shop.run("rmi other:x"), "Untagged: other:x\nDeleted: ID\n");
    is_sound(&shop.host);
}

#[test]
fn a_digest_goes_without_the_tag() {
    let shop = Shop::open();
    shop.run("pull -q APP:1");
    assert_eq!(shop.run("rmi APP:1@#"), "Untagged: APP:1@#\n");
    assert_eq!(
        shop.run("image inspect -f {{.RepoTags}}{{.RepoDigests}} APP:1"),
        "[APP:1][]\n"
    );
    // To say it again must not remove more.
    let again = format!("{}@{}", shop.name, shop.digest);
    let message = shop.host.tinydock(&["rmi", &again]).fails(1);
    assert!(message.contains("no such reference"), "{message}");
    assert_eq!(shop.run("rmi APP:1"), "Untagged: APP:1\nDeleted: ID\n");
    for name in ["APP@#", "APP:1@#"] {
        shop.run(&format!("pull -q {name}"));
        assert_eq!(shop.run(&format!("rmi {name}")), format!("Untagged: {name}\nDeleted: ID\n"));
    }
    shop.run("pull -q APP@#");
    shop.run("tag APP@# other:x");
    assert_eq!(shop.run("rmi APP@#"), "Untagged: APP@#\n");
    assert_eq!(shop.run("images --format {{.Repository}}:{{.Tag}} other"), "other:x\n");
    assert_eq!(shop.run("images -q APP"), "");
    assert_eq!(shop.run("rmi other:x"), "Untagged: other:x\nDeleted: ID\n");
    is_sound(&shop.host);
}

#[test]
fn an_id_and_a_prune_take_digests_along() {
    let shop = Shop::open();
    shop.run("pull -q APP@#");
    assert_eq!(shop.run("rmi ID"), "Untagged: APP@#\nDeleted: ID\n");
    shop.run("pull -q APP:1");
    assert_eq!(shop.run("rmi ID"), "Untagged: APP:1\nUntagged: APP@#\nDeleted: ID\n");
    shop.run("pull -q APP:1");
    let told = shop.run("image prune -af");
    assert!(
        told.starts_with("Deleted Images:\nuntagged: APP:1\nuntagged: APP@#\ndeleted: ID\n"),
        "{told}"
    );
    is_sound(&shop.host);
}

#[test]
fn a_push_takes_no_name_back() {
    let host = Host::new();
    let image = Image::new("x", 0, 0);
    let ((tell, arrived), (go, wait)) = (channel(), channel::<()>());
    let (tell, wait) = (Mutex::new(tell), Mutex::new(wait));
    let server = Server::start("127.0.0.1", move |asked| match asked.method.as_str() {
        "PUT" => {
            let _ = tell.lock().expect("a sender").send(());
            let _ = wait.lock().expect("a receiver").recv();
            Answer::new(201, "")
        }
        _ => Answer::of(&image, asked),
    });
    let name = server.image("app:1");
    host.run(&format!("pull -q {name}")).ok();
    let ids = || host.run(&format!("images -q {name}")).ok();
    let push_while = |meanwhile: &str| {
        let mut push = host.command(&["push", "-q", &name]);
        let mut push = push.stdout(Stdio::null()).spawn().expect("run tinydock");
        arrived.recv().expect("a manifest");
        host.run(meanwhile).ok();
        let before = ids();
        go.send(()).expect("the server waits");
        assert!(push.wait().expect("its end").success());
        assert_eq!(ids(), before, "{meanwhile}");
    };
    push_while(&format!("tag busybox {name}"));
    host.run(&format!("pull -q {name}")).ok();
    push_while(&format!("rmi {name}"));
    host.run("image prune -af").ok();
    is_sound(&host);
}
