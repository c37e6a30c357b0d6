//! Limits hold, and change while a container runs.

use crate::engine::{Engine, for_both};
use crate::host::until;

for_both!(limits_hold, too_much_memory_ends_a_container, limits_change);

const LIMITS: [&str; 8] = ["-m", "32m", "--memory-swap", "32m", "--cpus", "0.5", "--pids-limit", "20"];

/// The value of a file of the container's cgroup, in whichever version the host has.
fn limit(engine: &Engine, name: &str, v1: &str, v2: &str) -> String {
    let pid = engine.inspect(name, ".State.Pid");
    let controller = v1.split('/').next().expect("a controller");
    let script = format!(
        "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat /sys/fs/cgroup$(cut -d: -f3 /proc/{pid}/cgroup)/{v2}
        else cat /sys/fs/cgroup/{controller}$(grep :{controller}: /proc/{pid}/cgroup | cut -d: -f3)/{}; fi",
        &v1[controller.len() + 1..]
    );
    engine.host.sh(&script).ok().trim().into()
}

fn limits_hold(engine: &Engine) {
    engine.start("web", &LIMITS, "sleep 1000");
    assert_eq!(limit(engine, "web", "memory/memory.limit_in_bytes", "memory.max"), "33554432");
    assert_eq!(limit(engine, "web", "pids/pids.max", "pids.max"), "20");
    assert!(limit(engine, "web", "cpu/cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    let message = engine.exec("web", "for i in $(seq 1 30); do sleep 2 & done; wait").stderr;
    assert!(message.contains("can't fork"), "{message}");
    let statistics = engine.line("stats --no-stream web").ok();
    assert!(statistics.contains("32MiB") || statistics.contains("33.55MB"), "{statistics}");
    let weights = ["--cpu-shares", "512", "--cpuset-cpus", "0", "--memory-reservation", "16m"];
    engine.start("light", &weights, "sleep 1000");
    assert_eq!(limit(engine, "light", "cpuset/cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(
        limit(engine, "light", "memory/memory.soft_limit_in_bytes", "memory.low"),
        "16777216"
    );
    assert_eq!(engine.exec("light", "nproc").ok(), "1\n");
}

fn too_much_memory_ends_a_container(engine: &Engine) {
    engine.start("greedy", &LIMITS, "sleep 0.5; exec tail -c 90m /dev/zero");
    until("its end", || engine.inspect("greedy", ".State.Status") == "exited");
    assert_eq!(engine.inspect("greedy", ".State.ExitCode"), "137");
    // Podman's monitor is not always told of the reason before it is told of the end.
    if !engine.is_podman() {
        assert_eq!(engine.inspect("greedy", ".State.OOMKilled"), "true");
    }
}

fn limits_change(engine: &Engine) {
    engine.start("web", &LIMITS, "sleep 1000");
    engine.line("update -m 64m --memory-swap 64m --cpus 0.2 web").ok();
    assert_eq!(limit(engine, "web", "memory/memory.limit_in_bytes", "memory.max"), "67108864");
    assert!(limit(engine, "web", "cpu/cpu.cfs_quota_us", "cpu.max").starts_with("20000"));
    assert_eq!(limit(engine, "web", "pids/pids.max", "pids.max"), "20");
}
