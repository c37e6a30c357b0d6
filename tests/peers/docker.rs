//! What only Docker asks of a runtime, and what it shares with tinydock: images in a registry.

use std::fs;
use std::net::TcpStream;
use std::process::Child;

use crate::engine::Engine;
use crate::host::{Done, until};

#[test]
fn containers_start_again_by_themselves() {
    let engine = Engine::docker();
    engine.start("web", &["--restart", "on-failure:2"], "echo up; sleep 0.2; exit 1");
    until("its end", || {
        engine.inspect("web", ".RestartCount") == "2" && engine.inspect("web", ".State.Status") == "exited"
    });
    assert_eq!(engine.line("logs web").ok(), "up\nup\nup\n");
}

#[test]
fn containers_outlive_the_daemon() {
    let mut engine = Engine::docker();
    engine.start("web", &[], "trap 'exit 3' TERM; while :; do sleep 0.05; done");
    let pid = engine.inspect("web", ".State.Pid");
    engine.replace_daemon();
    assert_eq!(engine.inspect("web", ".State.Status"), "running");
    assert_eq!(engine.inspect("web", ".State.Pid"), pid);
    assert_eq!(engine.exec("web", "echo still").ok(), "still\n");
    engine.line("stop web").ok();
    assert_eq!(engine.inspect("web", ".State.ExitCode"), "3");
}

/// A registry that both engines can reach, and tinydock as an engine beside Docker.
struct Beside<'a> {
    engine: &'a Engine,
    registry: Child,
    root: String,
}

impl Beside<'_> {
    fn start(engine: &Engine) -> Beside<'_> {
        let host = &engine.host;
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:5000}}\n",
            host.place("registry")
        );
        fs::write(host.path("registry.yml"), config).expect("configure the registry");
        let registry = host.serve("docker-registry", &["serve", "registry.yml"]);
        until("the registry listens", || TcpStream::connect("127.0.0.1:5000").is_ok());
        Beside {
            engine,
            registry,
            root: host.place("tinydock"),
        }
    }

    #[track_caller]
    fn tinydock(&self, line: &str) -> String {
        let mut command = self.engine.host.command(env!("CARGO_BIN_EXE_tinydock"));
        command.args(["--root", &self.root]).args(line.split_whitespace());
        Done::from(command.output().expect("run tinydock")).ok()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        // The directory above all containers of a root stays for its next one, but there will be none.
        let store = tinydock::store::Store::find(Some((&self.root).into()));
        let label = store.expect("open the store").label();
        let groups = format!("/sys/fs/cgroup/{label} /sys/fs/cgroup/*/{label}");
        self.engine.host.sh(&format!("rmdir {groups} 2>/dev/null || true"));
    }
}

#[test]
fn what_docker_pushes_is_pulled_and_the_other_way_round() {
    let engine = Engine::docker();
    let beside = Beside::start(&engine);
    let (host, tinydock) = (&engine.host, |line: &str| beside.tinydock(line));
    engine.line("tag busybox localhost:5000/one:1").ok();
    engine.line("push -q localhost:5000/one:1").ok();
    assert_eq!(
        tinydock("run --rm --network none -q localhost:5000/one:1 echo pulled"),
        "pulled\n"
    );
    tinydock("tag localhost:5000/one:1 localhost:5000/two:1");
    tinydock("push -q localhost:5000/two:1");
    engine.line("pull -q localhost:5000/two:1").ok();
    let run = engine.line("run --rm --network none --pull never localhost:5000/two:1 echo back");
    assert_eq!(run.ok(), "back\n");
    // The built-in image is one that Docker reads as well, from a registry and from an archive.
    tinydock("tag busybox localhost:5000/three:1");
    tinydock("push -q localhost:5000/three:1");
    engine.line("pull -q localhost:5000/three:1").ok();
    tinydock(&format!("save -o {} localhost:5000/three", host.place("three.tar")));
    engine.line("rmi localhost:5000/three:1").ok();
    engine.line(&format!("load -i {}", host.place("three.tar"))).ok();
    let run = engine.line("run --rm --network none --pull never localhost:5000/three:1 echo three");
    assert_eq!(run.ok(), "three\n");
}

#[test]
fn removing_an_image_tells_of_the_same_names() {
    let engine = Engine::docker();
    let beside = Beside::start(&engine);
    for line in ["tag busybox APP:1", "push -q APP:1", "image prune -af"] {
        engine.line(&line.replace("APP", "localhost:5000/app")).ok();
    }
    beside.tinydock("pull -q localhost:5000/app:1");
    let digest = beside.tinydock("images --digests --format {{.Digest}} localhost:5000/app");
    beside.tinydock("rmi localhost:5000/app:1");
    for line in REMOVALS {
        let line = line.replace("APP", "localhost:5000/app").replace('#', digest.trim());
        let (docker, ours) = (engine.line(&line).ok(), beside.tinydock(&line));
        assert_eq!(named(&ours), named(&docker), "{line}");
    }
}

#[test]
fn pulling_all_tags_tells_the_same() {
    let engine = Engine::docker();
    let beside = Beside::start(&engine);
    for line in ["tag busybox APP:1", "tag busybox APP:2", "push -q -a APP", "image prune -af"] {
        engine.line(&line.replace("APP", "localhost:5000/app")).ok();
    }
    for _ in 0..2 {
        let line = "pull -a localhost:5000/app";
        let (docker, ours) = (engine.line(line).ok(), beside.tinydock(line));
        assert_eq!(without_layers(&ours), without_layers(&docker));
    }
}

/// What is told of a pull, but for how its layers got on, in any order: registries list tags in theirs.
fn without_layers(told: &str) -> Vec<&str> {
    let is_layer = |line: &&str| line.split_once(": ").is_some_and(|(name, _)| name.len() == 12);
    let mut lines: Vec<&str> = told.lines().filter(|line| !is_layer(line)).collect();
    lines.sort_unstable();
    lines
}

/// Ways to an image, and ways to remove it. `APP` is a repository and `#` a digest.
const REMOVALS: [&str; 24] = [
    "pull -q APP:1",
    "rmi APP:1",
    "pull -q APP:1",
    "rmi APP:1@#",
    "rmi APP:1",
    "pull -q APP@#",
    "rmi APP@#",
    "pull -q APP:1@#",
    "rmi APP:1@#",
    "pull -q APP:1",
    "tag APP:1 APP:2",
    "tag APP:1 other:x",
    "rmi APP:1",
    "rmi APP:2",
    "rmi other:x",
    "pull -q APP@#",
    "tag APP@# other:x",
    "rmi APP@#",
    "rmi other:x",
    "pull -q APP:1",
    "image prune -af",
    "pull -q APP@#",
    "tag APP@# other:x",
    "rmi other:x APP@#",
];

/// The names and the id in what is told of a removal. Docker goes on with the layers.
fn named(told: &str) -> Vec<&str> {
    let is_deleted = |line: &&str| line.to_lowercase().starts_with("deleted: ");
    let untagged = told.lines().filter(|line| line.to_lowercase().starts_with("untagged: "));
    untagged.chain(told.lines().find(is_deleted)).collect()
}
