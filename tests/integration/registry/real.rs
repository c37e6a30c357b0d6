//! Debian's docker-registry, filled and emptied by others as well.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::image::{Image, digest};
use super::server::{Answer, Server};
use crate::host::{Done, Host, until};

/// A registry that runs until this is dropped.
pub struct Registry {
    process: Child,
    pub address: String,
}

impl Registry {
    /// Starts a registry on this host; `more` is added to its section `http`, or follows it.
    pub fn start(host: &Host, address: &str, more: &str) -> Registry {
        let folder = host.path(&format!("registry-{}", address.replace(':', "-")));
        fs::create_dir_all(&folder).expect("make the registry's folder");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {address}\n{more}",
            folder.display()
        );
        fs::write(folder.join("config.yml"), config).expect("write the configuration");
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().expect("start docker-registry");
        until("the registry listens", || TcpStream::connect(address).is_ok());
        Registry {
            process,
            address: address.into(),
        }
    }

    pub fn image(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Fills the registry with an image, by skopeo.
    pub fn fill(&self, host: &Host, image: &Image, name: &str, flags: &str) {
        image.write(&host.path("layout"));
        let copy = format!(
            "skopeo copy --preserve-digests -q --dest-tls-verify=false {flags} oci:layout:it docker://{}",
            self.image(name)
        );
        host.sh(&copy).ok();
        fs::remove_dir_all(host.path("layout")).expect("remove the layout");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_image_is_pulled_as_docker_tells_it() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    let image = Image::new("hello", 2, 300_000);
    registry.fill(&host, &image, "me/app:latest", "");
    let name = registry.image("me/app");
    let told = host.tinydock(&["pull", &name]).ok();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["Using default tag: latest", "latest: Pulling from me/app"]);
    for layer in &image.layers {
        let short = &digest(layer)[7..19];
        for step in ["Pulling fs layer", "Download complete", "Pull complete"] {
            assert!(lines.contains(&format!("{short}: {step}").as_str()), "{told}");
        }
    }
    assert_eq!(
        lines[lines.len() - 3..],
        [
            format!("Digest: {}", image.digest()),
            format!("Status: Downloaded newer image for {name}:latest"),
            format!("{name}:latest")
        ]
    );
    let again = host.tinydock(&["pull", &format!("{name}:latest")]).ok();
    assert_eq!(
        again,
        format!(
            "latest: Pulling from me/app\nDigest: {}\nStatus: Image is up to date for {name}:latest\n{name}:latest\n",
            image.digest()
        )
    );
    assert_eq!(host.tinydock(&["pull", "-q", &name]).ok(), format!("{name}:latest\n"));
    assert_eq!(host.inside(&[], &name, &[]).ok(), "hello\n");
    let by_digest = format!("{name}@{}", image.digest());
    assert_eq!(host.tinydock(&["pull", "-q", &by_digest]).ok(), format!("{by_digest}\n"));
    assert_eq!(host.inside(&["--pull", "never"], &by_digest, &[]).ok(), "hello\n");
}

#[test]
fn run_pulls_what_is_missing() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    registry.fill(&host, &Image::new("one", 0, 0), "app:1", "");
    let name = registry.image("app:1");
    let message = host.inside(&["--pull", "never"], &name, &[]).fails(125);
    assert!(message.contains(&format!("no such image: `{name}`")), "{message}");
    let run = host.inside(&[], &name, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "one\n"), "{run:?}");
    assert!(
        run.stderr
            .starts_with(&format!("Unable to find image '{name}' locally\n1: Pulling from app\n")),
        "{run:?}"
    );
    registry.fill(&host, &Image::new("two", 0, 0), "app:1", "");
    let run = host.inside(&[], &name, &[]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("one\n", ""));
    let run = host.inside(&["--pull", "always", "-q"], &name, &[]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("two\n", ""));
    let message = host.inside(&[], &registry.image("app:3"), &[]).fails(125);
    assert!(
        message.contains("registry `127.0.0.1:5000`: manifest `3`: 404 Not Found: manifest unknown"),
        "{message}"
    );
    let message = host.inside(&["--pull", "sometimes"], &name, &[]).fails(125);
    assert!(message.contains("hint: it is `always`, `missing` or `never`"), "{message}");
    // Images that are there need no registry.
    drop(registry);
    assert_eq!(host.inside(&[], &name, &[]).ok(), "two\n");
    let message = host.inside(&["--pull", "always"], &name, &[]).fails(125);
    assert!(message.contains("connection refused"), "{message}");
}

#[test]
fn what_is_pushed_is_what_others_read() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    let image = Image::new("pushed", 2, 200_000);
    registry.fill(&host, &image, "me/app:1", "");
    let (name, other) = (registry.image("me/app:1"), registry.image("you/copy:2"));
    host.tinydock(&["pull", "-q", &name]).ok();
    host.tinydock(&["tag", &name, &other]).ok();
    let told = host.tinydock(&["push", &other]).ok();
    assert!(
        told.starts_with("The push refers to repository [127.0.0.1:5000/you/copy]\n"),
        "{told}"
    );
    assert_eq!(told.matches("Mounted from another repository").count(), 3, "{told}");
    let size = image.manifest.len();
    assert!(
        told.ends_with(&format!("2: digest: {} size: {size}\n", image.digest())),
        "{told}"
    );
    let told = host.tinydock(&["push", &other]).ok();
    assert_eq!(told.matches("Layer already exists").count(), 3, "{told}");
    assert_eq!(host.tinydock(&["push", "-q", &other]).ok(), format!("{other}\n"));
    // To another registry everything is sent.
    let second = Registry::start(&host, "127.0.0.1:5001", "");
    let far = second.image("app:3");
    host.tinydock(&["tag", &name, &far]).ok();
    assert_eq!(host.tinydock(&["push", &far]).ok().matches(": Pushed\n").count(), 3);
    host.sh(&format!(
        "skopeo copy --preserve-digests -q --src-tls-verify=false docker://{far} oci:read:it"
    ))
    .ok();
    assert_eq!(
        fs::read(host.path("read/blobs/sha256").join(&image.digest()[7..])).expect("the manifest"),
        image.manifest
    );
    host.sh("umoci unpack --image read:it bundle && test $(stat -c %s bundle/rootfs/file1) = 200000")
        .ok();
    let message = host.tinydock(&["push", &registry.image("nothing")]).fails(1);
    assert!(message.contains("no such image"), "{message}");
}

#[test]
fn buildah_and_umoci_fill_a_registry() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    let buildah = "buildah --root $PWD/storage --runroot $PWD/storage-run --storage-driver vfs";
    let script = format!(
        "c=$({buildah} from scratch) && {buildah} copy -q $c /bin/busybox /bin/sh && \
         {buildah} config --cmd '/bin/sh -c \"echo built\"' $c && {buildah} commit -q $c it && \
         {buildah} push -q --tls-verify=false it docker://{0} && {buildah} rm -a && {buildah} rmi -a",
        registry.image("built:1")
    );
    host.sh(&script).ok();
    assert_eq!(host.inside(&["-q"], &registry.image("built:1"), &[]).ok(), "built\n");
    let script = format!(
        "umoci init --layout oci && umoci new --image oci:it && umoci unpack --image oci:it b && mkdir b/rootfs/bin && \
         cp /bin/busybox b/rootfs/bin/sh && umoci repack --image oci:it b && rm -r b && \
         umoci config --image oci:it --config.cmd /bin/sh --config.cmd -c --config.cmd 'echo packed' && \
         skopeo copy --preserve-digests -q --dest-tls-verify=false oci:oci:it docker://{}",
        registry.image("packed:1")
    );
    host.sh(&script).ok();
    assert_eq!(host.inside(&["-q"], &registry.image("packed:1"), &[]).ok(), "packed\n");
}

/// Runs tinydock with something on its standard input.
fn with_input(host: &Host, arguments: &[&str], input: &str) -> Done {
    let mut child = host.spawn(arguments);
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes())
        .expect("write");
    child.wait_with_output().expect("wait").into()
}

#[test]
fn a_registry_with_passwords_wants_a_login() {
    let host = Host::new();
    host.sh("htpasswd -Bbn me secret > passwords").ok();
    let auth = format!(
        "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        host.path("passwords").display()
    );
    let registry = Registry::start(&host, "127.0.0.1:5000", &auth);
    registry.fill(&host, &Image::new("private", 0, 0), "me/app:1", "--dest-creds me:secret");
    let (name, address) = (registry.image("me/app:1"), registry.address.as_str());
    let message = host.tinydock(&["pull", &name]).fails(1);
    assert!(message.contains("401 Unauthorized: authentication required"), "{message}");
    assert!(
        message.contains("hint: there may be no such repository, or it needs `tinydock login 127.0.0.1:5000`"),
        "{message}"
    );
    let login = ["login", "-u", "me", "--password-stdin", address];
    let message = with_input(&host, &login, "wrong\n").fails(1);
    assert!(
        message.contains("log in to `127.0.0.1:5000`") && message.contains("401 Unauthorized"),
        "{message}"
    );
    assert!(!host.path("docker/config.json").exists());
    assert_eq!(with_input(&host, &login, "secret\n").ok(), "Login Succeeded\n");
    assert_eq!(host.tinydock(&["pull", "-q", &name]).ok(), format!("{name}\n"));
    let copy = registry.image("you/app:1");
    host.tinydock(&["tag", &name, &copy]).ok();
    host.tinydock(&["push", "-q", &copy]).ok();
    // What is written there is Docker's form, which others read.
    host.sh(&format!(
        "skopeo inspect --authfile docker/config.json --tls-verify=false docker://{copy}"
    ))
    .ok();
    assert_eq!(
        host.tinydock(&["logout", address]).ok(),
        format!("Removing login credentials for {address}\n")
    );
    assert_eq!(
        host.tinydock(&["logout", address]).ok(),
        format!("Not logged in to {address}\n")
    );
    host.tinydock(&["pull", &name]).fails(1);
}

#[test]
fn a_helper_keeps_logins_out_of_the_file() {
    let host = Host::new();
    host.sh("htpasswd -Bbn me secret > passwords && mkdir helpers docker").ok();
    let auth = format!(
        "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        host.path("passwords").display()
    );
    let registry = Registry::start(&host, "127.0.0.1:5000", &auth);
    registry.fill(&host, &Image::new("private", 0, 0), "app:1", "--dest-creds me:secret");
    let helper = "#!/bin/sh\ncd $(dirname $0)\ncase $1 in store) cat > kept;; erase) cat > erased; rm kept;;\n\
        get) cat > asked; [ -e kept ] || { echo credentials not found in native keychain; exit 1; }; cat kept;; esac\n";
    fs::write(host.path("helpers/docker-credential-test"), helper).expect("write the helper");
    host.sh("chmod +x helpers/docker-credential-test && echo '{\"credsStore\":\"test\"}' > docker/config.json")
        .ok();
    let with_helper = |arguments: &[&str]| -> Done {
        let mut command = host.command(arguments);
        let path = format!(
            "{}:{}",
            host.path("helpers").display(),
            std::env::var("PATH").expect("a PATH")
        );
        command.env("PATH", path).output().expect("run tinydock").into()
    };
    let address = registry.address.as_str();
    with_helper(&["pull", &registry.image("app:1")]).fails(1);
    let told = with_helper(&["login", "-u", "me", "-p", "secret", address]);
    assert!(
        told.stderr.contains("can be seen by others") && !told.stderr.contains("not encrypted"),
        "{told:?}"
    );
    assert_eq!(told.ok(), "Login Succeeded\n");
    assert!(
        !fs::read_to_string(host.path("docker/config.json"))
            .expect("read")
            .contains("\"auth\"")
    );
    with_helper(&["pull", "-q", &registry.image("app:1")]).ok();
    with_helper(&["logout", address]).ok();
    assert_eq!(fs::read_to_string(host.path("helpers/erased")).expect("read"), address);
    // A helper that is not there is named.
    let message = host.tinydock(&["pull", &registry.image("app:1")]).fails(1);
    assert!(
        message.contains("`docker-credential-test get`: no such file or directory"),
        "{message}"
    );
}

#[test]
fn mirrors_are_asked_first() {
    let host = Host::new();
    let mirror = Registry::start(&host, "127.0.0.1:5000", "");
    mirror.fill(&host, &Image::new("mirrored", 1, 1000), "hub/library/app:latest", "");
    let settings = "[[registry]]\nlocation = 'docker.io'\n[[registry.mirror]]\nlocation = '127.0.0.1:1/none'\n\
        [[registry.mirror]]\nlocation = '127.0.0.1:5000/hub'\n";
    fs::write(host.path("registries.conf"), settings).expect("write");
    let told = host.tinydock(&["pull", "app"]).ok();
    assert!(told.ends_with("docker.io/library/app:latest\n"), "{told}");
    assert_eq!(host.inside(&["--pull", "never"], "app", &[]).ok(), "mirrored\n");
    fs::write(host.path("registries.conf"), "[[registry]\n").expect("write");
    // What is wrong there is no matter to who needs no registry.
    assert_eq!(host.inside(&[], "app", &[]).ok(), "mirrored\n");
    assert!(host.tinydock(&["pull", "app"]).fails(1).contains("registries in `"));
}

/// Forwards connections to a registry, and cuts the one that first carries a part of a blob.
fn cutter(to: String, after: u64) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address").to_string();
    let has_cut = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&has_cut);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (mut server, state) = (TcpStream::connect(&to).expect("connect"), Arc::clone(&state));
            let (mut from_server, mut to_client) = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
            thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            thread::spawn(move || {
                let (mut client, carried, mut buffer) = (client, AtomicU64::new(0), vec![0; 16 << 10]);
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    let sum = carried.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
                    if server.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                    if sum > after && !state.swap(true, Ordering::Relaxed) {
                        let _ = client.shutdown(Shutdown::Both);
                        break;
                    }
                }
                let _ = server.shutdown(Shutdown::Write);
            });
        }
    });
    (address, has_cut)
}

#[test]
fn a_push_that_is_cut_off_goes_on() {
    let host = Host::new();
    let registry = Registry::start(&host, "127.0.0.1:5000", "");
    let image = Image::new("whole", 1, 3_000_000);
    registry.fill(&host, &image, "app:1", "");
    host.tinydock(&["pull", "-q", &registry.image("app:1")]).ok();
    let second = Registry::start(&host, "127.0.0.1:5001", "");
    let (address, has_cut) = cutter(second.address.clone(), 1_500_000);
    let name = format!("{address}/app:1");
    host.tinydock(&["tag", &registry.image("app:1"), &name]).ok();
    host.tinydock(&["push", &name]).ok();
    assert!(has_cut.load(Ordering::Relaxed));
    let far = second.image("app:1");
    assert_eq!(host.inside(&["-q"], &far, &[]).ok(), "whole\n");
    host.sh(&format!(
        "skopeo copy --preserve-digests -q --src-tls-verify=false docker://{far} oci:read:it"
    ))
    .ok();
}

#[test]
fn a_pull_that_is_killed_has_pulled_nothing_and_the_next_goes_on() {
    let host = Host::new();
    let image = Image::new("alive", 5, 2_000_000);
    let slow = |asked: &super::server::Asked, image: &Image| Answer {
        pace: Some(Duration::from_millis(4)),
        ..Answer::of(image, asked)
    };
    let server = Server::start("127.0.0.1", move |asked| slow(asked, &image));
    let name = server.image("app:1");
    let mut killed = 0;
    for n in 0..40_u64 {
        let mut pull = host.spawn(&["pull", &name]);
        // Some before anything has come, some after.
        thread::sleep(Duration::from_millis(5 + n * 17));
        let finished = pull.try_wait().expect("look").is_some();
        pull.kill().expect("kill");
        pull.wait().expect("wait");
        if finished {
            break;
        }
        killed += 1;
        let listed = host.run("images").ok();
        assert!(!listed.contains("app"), "{listed}");
        let message = host.inside(&["--pull", "never"], &name, &[]).fails(125);
        assert!(message.contains("no such image"), "{message}");
    }
    assert!(killed > 3, "pulls were too fast to be killed");
    assert_eq!(host.inside(&["-q"], &name, &[]).ok(), "alive\n");
    let resumed = server
        .asked()
        .iter()
        .filter(|asked| asked.headers.contains_key("range"))
        .count();
    assert!(resumed > 0, "nothing was resumed");
    for folder in ["image/draft", "layer/draft"] {
        let left: Vec<_> = fs::read_dir(host.root().join(folder)).expect("read").flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let counted = host.inside(
        &[],
        &name,
        &["/bin/sh", "-c", "cat /file0 /file1 /file2 /file3 /file4 | busybox wc -c"],
    );
    assert_eq!(counted.stdout.trim(), "10000000", "{counted:?}");
}
