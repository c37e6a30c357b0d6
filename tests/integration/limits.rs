//! Limits hold before the command runs, and what they did to it is told.

use crate::host::{Host, until};

/// The value of a cgroup file as the container sees it, in whichever version the host has.
const READ: &str = "cat /sys/fs/cgroup/$0 2>/dev/null || cat /sys/fs/cgroup/$1";

#[test]
fn limits_are_set() {
    let host = Host::new();
    let limits = [
        "run",
        "--rm",
        "--network",
        "none",
        "-m",
        "32m",
        "-c",
        "0.5",
        "--pids-limit",
        "20",
        "busybox",
        "sh",
        "-c",
    ];
    let read = |v2: &str, v1: &str| host.tinydock(&[&limits[..], &[READ, v2, v1]].concat()).ok();
    assert_eq!(read("memory.max", "memory/memory.limit_in_bytes").trim(), "33554432");
    assert_eq!(read("pids.max", "pids/pids.max").trim(), "20");
    assert!(read("cpu.max", "cpu/cpu.cfs_quota_us").starts_with("50000"));
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    let host = Host::new();
    let script = "for i in $(seq 1 30); do sleep 2 & done; wait";
    let done = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--pids-limit",
        "10",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert!(done.stderr.contains("can't fork"), "{done:?}");
}

#[test]
fn an_oom_kill_is_recorded_and_shown() {
    let host = Host::new();
    let script = "head -c 100m /dev/zero | tail -c 90m > /dev/null";
    host.tinydock(&[
        "run",
        "--name",
        "greedy",
        "--network",
        "none",
        "-m",
        "16m",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert!(
        host.status("greedy").contains("OOM") || host.status("greedy").contains("out of memory"),
        "{}",
        host.status("greedy")
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let host = Host::new();
    let cores = std::thread::available_parallelism().expect("a count of cores").get();
    let asked = (cores + 1).to_string();
    let message = host.tinydock(&["run", "--rm", "-c", &asked, "busybox", "true"]).fails(125);
    assert!(
        message.contains(&format!("specified CPU limit ({asked}.00) exceeds available cores ({cores})")),
        "{message}"
    );
    for bad in ["-m=lots", "-m=1k", "-c=-1", "-c=x", "--pids-limit=x"] {
        let message = host.tinydock(&["run", "--rm", bad, "busybox", "true"]).fails(125);
        assert!(message.contains(bad.split_once('=').expect("a value").1), "{bad}: {message}");
    }
}

#[test]
fn exec_is_limited_too() {
    let host = Host::new();
    host.start(&[
        "--name",
        "small",
        "--network",
        "none",
        "--pids-limit",
        "7",
        "busybox",
        "sleep",
        "100",
    ]);
    let done = host
        .tinydock(&["exec", "small", "sh", "-c", READ, "pids.current", "pids/pids.current"])
        .ok();
    assert!(done.trim().parse::<u32>().expect("a number") >= 2, "{done}");
    until("the command is gone", || {
        host.tinydock(&["exec", "small", "cat", "/proc/1/comm"]).stdout == "sleep\n"
    });
}
