//! The process of a container, and those that join it.

use crate::engine::{Engine, for_both};
use crate::host::until;

for_both!(
    a_process_is_as_it_was_asked_for,
    a_process_joins_a_container,
    health_is_asked_again_and_again,
);

fn a_process_is_as_it_was_asked_for(engine: &Engine) {
    let flags = [
        "-e",
        "A=b c",
        "-u",
        "1000:2000",
        "-w",
        "/tmp",
        "-h",
        "box",
        "--group-add",
        "3000",
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "core=0:0",
        "--ulimit",
        "nproc=1024:1024",
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=99",
        "--oom-score-adj",
        "500",
    ];
    let script = "id -u; id -g; id -G; pwd; hostname; echo $A; ulimit -n; ulimit -Hn; ulimit -c
        cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj; echo $HOME; umask";
    let expected = "1000\n2000\n2000 3000\n/tmp\nbox\nb c\n100\n200\n0\n99\n500\n/home/user\n0022\n";
    assert_eq!(engine.inside(&flags, script).ok(), expected);
    assert_eq!(
        engine.inside(&["-u", "user"], "id -u; id -g; id -G").ok(),
        "1000\n1000\n1000 2000\n"
    );
    let namespaces = "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done";
    let inside = engine.inside(&[], namespaces).ok();
    let outside = engine.host.sh(namespaces).ok();
    let shared: Vec<&str> = inside
        .lines()
        .filter(|line| outside.lines().any(|other| other == *line))
        .collect();
    assert!(shared.iter().all(|line| line.starts_with("cgroup")), "{shared:?}");
}

fn a_process_joins_a_container(engine: &Engine) {
    engine.start(
        "web",
        &["-e", "A=first", "-m", "64m"],
        "touch /tmp/mine; echo up; exec sleep 1000",
    );
    engine.until_logged("web", "up");
    until("its command", || engine.exec("web", "cat /proc/1/comm").stdout == "sleep\n");
    let done = engine.exec("web", "echo out; echo wrong >&2; exit 7");
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (7, "out\n", "wrong\n")
    );
    assert_eq!(
        engine.exec("web", "echo $A; pwd; ls /tmp; id -u; cat /proc/1/comm").ok(),
        "first\n/\nmine\n0\nsleep\n"
    );
    let flags = ["exec", "-e", "A=second", "-u", "user", "-w", "/home/user"];
    let command = ["web", "sh", "-c", "echo $A; pwd; id -u; id -g"];
    assert_eq!(
        engine.ask(&[&flags[..], &command].concat()).ok(),
        "second\n/home/user\n1000\n1000\n"
    );
    assert_eq!(engine.fed(&["exec", "-i", "web", "tr", "a-z", "A-Z"], "hello").ok(), "HELLO");
    // What holds for the container holds for it.
    let read = |process: &str| {
        let files = format!("grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/{process}/status; cat /proc/{process}/cgroup");
        let namespaces = format!("for n in cgroup ipc mnt net pid uts; do readlink /proc/{process}/ns/$n; done");
        engine.exec("web", &format!("{files}; {namespaces}")).ok()
    };
    assert_eq!(read("self"), read("1"));
    engine
        .ask(&["exec", "-d", "web", "sh", "-c", "echo late > /tmp/late; sleep 1004"])
        .ok();
    until("what it wrote", || engine.exec("web", "cat /tmp/late").stdout == "late\n");
    let top = engine.line("top web").ok();
    assert!(top.contains("sleep 1000") && top.contains("sleep 1004"), "{top}");
    engine.line("rm -f web").ok();
    until("its end", || engine.host.sh("pgrep -f 'sleep 100[4]'").code == 1);
}

fn health_is_asked_again_and_again(engine: &Engine) {
    let flags = [
        "--health-cmd",
        "test -e /tmp/well",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
    ];
    // Podman leaves the time between to systemd.
    let flags = if engine.is_podman() {
        &["--health-cmd", "test -e /tmp/well"]
    } else {
        &flags[..]
    };
    engine.start("web", flags, "sleep 1000");
    let is = |status: &str| {
        if engine.is_podman() {
            let done = engine.line("healthcheck run web");
            return done.code == if status == "healthy" { 0 } else { 1 };
        }
        engine.inspect("web", ".State.Health.Status") == status
    };
    until("bad health", || is("unhealthy"));
    engine.exec("web", "touch /tmp/well").ok();
    until("good health", || is("healthy"));
}
