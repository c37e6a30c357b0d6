//! What only Podman asks of a runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::engine::Engine;

#[test]
fn users_are_mapped() {
    let engine = Engine::podman();
    let flags = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:3000"];
    let script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; touch /root/mine && stat -c %u:%g /root/mine /proc/self/";
    let done = engine.inside(&flags, script).ok();
    let words: Vec<&str> = done.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "2000", "0", "200000", "3000", "0", "0:0", "0:0"]);
    engine.start("web", &flags, "sleep 1000");
    let pid = engine.inspect("web", ".State.Pid");
    assert_eq!(engine.host.sh(&format!("stat -c %u:%g /proc/{pid}")).ok(), "100000:200000\n");
    assert_eq!(
        engine
            .ask(&[
                "exec",
                "-u",
                "1000",
                "web",
                "sh",
                "-c",
                "id -u; cat /proc/self/uid_map | wc -l"
            ])
            .ok(),
        "1000\n1\n"
    );
    let done = engine
        .host
        .at_terminal(&engine.shell_words("exec", "-it web sh"), "tty; exit 4\n");
    assert!(done.code == 4 && done.stdout.contains("/dev/pts/"), "{done:?}");
}

#[test]
fn a_privileged_container_may_do_much() {
    let engine = Engine::podman();
    let script = "mount -t tmpfs tmpfs /mnt && echo mounted; grep Seccomp: /proc/self/status; ls /dev | wc -l";
    let done = engine.inside(&["--privileged", "-v", "/mnt"], script);
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    assert_eq!(words[..3], ["mounted", "Seccomp:", "0"], "{done:?}");
    assert!(words[3].parse::<u32>().expect("a count") > 16, "{done:?}");
}

#[test]
fn hooks_are_called() {
    let engine = Engine::podman();
    let hook = engine.host.path("hook");
    fs::write(&hook, format!("#!/bin/sh\ncat > {}-$1\n", hook.display())).expect("write the hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("make it executable");
    fs::create_dir(engine.host.path("hooks")).expect("make a directory");
    for stage in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        let text = format!(
            r#"{{"version": "1.0.0", "hook": {{"path": "{0}", "args": ["{0}", "{stage}"]}}, "when": {{"always": true}},
            "stages": ["{stage}"]}}"#,
            hook.display()
        );
        fs::write(engine.host.path(&format!("hooks/{stage}.json")), text).expect("describe the hook");
    }
    let hooks = engine.host.place("hooks");
    let line = format!(
        "--hooks-dir {hooks} {}",
        engine.shell_words("run", "--rm --network none busybox true")
    );
    let words = line.split_once("podman ").expect("the name");
    engine.host.sh(&format!("podman {}{}", words.0, words.1)).ok();
    for (stage, status) in [
        ("prestart", "creat"),
        ("createRuntime", "creat"),
        ("createContainer", "creat"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ] {
        let state = fs::read_to_string(format!("{}-{stage}", hook.display())).expect(stage);
        let state: serde_json::Value = serde_json::from_str(&state).expect("a state");
        assert!(
            state["status"].as_str().is_some_and(|text| text.starts_with(status)),
            "{stage}: {state}"
        );
        assert!(
            state["bundle"].as_str().is_some_and(|text| text.starts_with('/')),
            "{stage}: {state}"
        );
        assert_eq!(state["id"].as_str().map(str::len), Some(64), "{stage}: {state}");
    }
}

#[test]
fn descriptors_are_passed_on() {
    let engine = Engine::podman();
    let run = engine.shell_words("run", "--rm --network none --preserve-fds 1 busybox cat /proc/self/fd/3");
    assert_eq!(
        engine.host.sh(&format!("echo passed > file; exec 3<file; {run}")).ok(),
        "passed\n"
    );
}

#[test]
fn a_pod_shares_its_namespaces() {
    let engine = Engine::podman();
    let flags = format!("--cgroup-parent /{} --network none", engine.host.label());
    engine.line(&format!("pod create --name pod --infra-image wait {flags}")).ok();
    for name in ["one", "two"] {
        engine
            .ask(&["run", "-d", "--pod", "pod", "--name", name, "busybox", "sleep", "1000"])
            .ok();
    }
    let read = |name: &str, namespaces: &str| {
        let script = format!("for n in {namespaces}; do readlink /proc/self/ns/$n; done");
        engine.exec(name, &script).ok()
    };
    assert_eq!(read("one", "ipc net uts"), read("two", "ipc net uts"));
    assert_ne!(read("one", "pid"), read("two", "pid"));
    engine.line("pod stop -t 1 pod").ok();
    engine.line("pod start pod").ok();
    assert_eq!(engine.exec("two", "echo again").ok(), "again\n");
    engine.line("pod rm -f -t 0 pod").ok();
    // Podman makes the pod's own cgroup in every hierarchy, and leaves it in those without a controller.
    let leave = format!("rmdir /sys/fs/cgroup/*/{}/* 2>/dev/null || true", engine.host.label());
    engine.host.sh(&leave).ok();
}
