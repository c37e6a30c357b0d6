//! What only Docker asks of a runtime, and what it shares with tinydock: images in a registry.

use std::fs;
use std::net::TcpStream;

use crate::engine::Engine;
use crate::host::until;

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

#[test]
fn what_docker_pushes_is_pulled_and_the_other_way_round() {
    let engine = Engine::docker();
    let host = &engine.host;
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:5000}}\n",
        host.place("registry")
    );
    fs::write(host.path("registry.yml"), config).expect("configure the registry");
    let mut registry = host.serve("docker-registry", &["serve", "registry.yml"]);
    until("the registry listens", || TcpStream::connect("127.0.0.1:5000").is_ok());
    let root = host.place("tinydock");
    let tinydock = |line: &str| {
        let mut command = host.command(env!("CARGO_BIN_EXE_tinydock"));
        command.args(["--root", &root]).args(line.split_whitespace());
        crate::host::Done::from(command.output().expect("run tinydock")).ok()
    };
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
    registry.kill().expect("end the registry");
    registry.wait().expect("its end");
    // The directory above all containers of a root stays for its next one, but there will be none.
    let label = tinydock::store::Store::find(Some(root.into()))
        .expect("open the store")
        .label();
    host.sh(&format!(
        "rmdir /sys/fs/cgroup/{label} /sys/fs/cgroup/*/{label} 2>/dev/null || true"
    ))
    .ok();
}
