//! Namespaces that a container shares with the host or with another container.

use std::fs;

use crate::host::{Host, until};

#[track_caller]
fn inside(host: &Host, flags: &[&str], script: &str) -> String {
    host.inside(flags, "busybox", &["sh", "-c", script]).ok()
}

fn namespace(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/thread-self/ns/{kind}")).expect("our namespace");
    format!("{}\n", link.display())
}

#[test]
fn the_hosts_namespaces_can_be_shared() {
    let host = Host::new();
    for (flags, kind) in [
        (["--pid", "host"], "pid"),
        (["--ipc", "host"], "ipc"),
        (["--uts", "host"], "uts"),
        (["--cgroupns", "host"], "cgroup"),
    ] {
        for other in ["pid", "ipc", "uts", "cgroup", "mnt", "net"] {
            let found = inside(&host, &flags, &format!("readlink /proc/self/ns/{other}"));
            assert_eq!(found == namespace(other), other == kind, "{flags:?} {other}");
        }
    }
    let ours = std::process::id().to_string();
    assert_eq!(
        inside(&host, &["--pid", "host"], &format!("test -d /proc/{ours} && echo seen")),
        "seen\n"
    );
    assert_eq!(inside(&host, &["--uts", "host"], "hostname"), host.sh("hostname").ok());
    let shown = inside(&host, &["--network", "host"], "hostname; cat /etc/hosts");
    assert_eq!(shown, host.sh("hostname; cat /etc/hosts").ok());
    assert_eq!(inside(&host, &["--network", "host", "-h", "own"], "hostname"), "own\n");
    assert_eq!(
        inside(&host, &["--uts", "host"], "cat /etc/hostname"),
        host.sh("hostname").ok()
    );
    let memory = host
        .sh("mount -t tmpfs shm /dev/shm && echo shared > /dev/shm/file && cat /dev/shm/file")
        .ok();
    assert_eq!(inside(&host, &["--ipc", "host"], "cat /dev/shm/file"), memory);
    let own = inside(
        &host,
        &["--cgroupns", "host"],
        "grep -c tinydock /proc/self/cgroup; ls -d /sys/fs/cgroup/*/tinydock* /sys/fs/cgroup/tinydock* 2>/dev/null | wc -l",
    );
    assert!(own.split_whitespace().all(|number| number != "0"), "{own}");
    assert_eq!(inside(&host, &["--ipc", "none"], "test -e /dev/shm || echo none"), "none\n");
    for (line, what) in [
        ("--uts host --hostname web", "no `--hostname` of its own"),
        ("--ipc host --sysctl kernel.shmmni=17", "no settings of it to change"),
        ("--pid container:nobody", "`--pid`: no such container: `nobody`"),
        ("--ipc all", "unknown mode `all`"),
    ] {
        let error = host.run(&format!("run --rm {line} busybox true")).fails(125);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn another_containers_processes_and_memory_can_be_shared() {
    let host = Host::new();
    let sleep = ["--network", "none", "busybox", "sleep", "1000"];
    host.start(&[&["--name", "giver", "--ipc", "shareable"], &sleep[..]].concat());
    host.start(&[&["--name", "alone"], &sleep[..]].concat());
    let flags = ["--pid", "container:giver", "--ipc", "container:giver"];
    let script =
        "echo here > /dev/shm/file; kill -0 1 && readlink /proc/1/exe; ls -d /proc/[0-9]* | wc -l; readlink /proc/self/ns/ipc";
    let shared = inside(&host, &flags, script);
    assert!(shared.starts_with("/bin/sleep\n"), "{shared}");
    let look = "cat /dev/shm/file; readlink /proc/self/ns/ipc";
    let given = host.tinydock(&["exec", "giver", "sh", "-c", look]).ok();
    assert_eq!(given, format!("here\n{}\n", shared.lines().last().unwrap()));
    let error = host.run("run --rm --ipc container:alone busybox true").fails(125);
    assert!(
        error.contains("`--ipc`: the IPC namespace of container `alone` is its own"),
        "{error}"
    );

    host.start(&[&["--name", "guest"], &flags[..], &sleep[..]].concat());
    let exec = host
        .tinydock(&["exec", "guest", "sh", "-c", "cat /dev/shm/file; pidof sleep | wc -w"])
        .ok();
    assert_eq!(exec, "here\n2\n");
    assert_eq!(host.run("stop -t 0 giver").ok(), "giver\n");
    until("the guest ends with the first process of its namespace", || {
        host.status("guest") == "exited (137)"
    });
    let error = host.run("run --rm --pid container:giver busybox true").fails(125);
    assert!(error.contains("container `giver` is not running"), "{error}");
}

/// Nothing but its cgroup says that a process belongs to the container.
#[test]
fn the_processes_of_a_container_without_a_process_namespace_end_with_it() {
    let host = Host::new();
    let script = "sleep 4711 & exec sleep 1000";
    host.start(&[
        "--name",
        "web",
        "--network",
        "none",
        "--pid",
        "host",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let count = || host.sh("pgrep -cf '^sleep 4711$' || true").ok();
    until("it runs", || count() == "1\n");
    host.run("rm -f web").ok();
    assert_eq!(count(), "0\n");
}
