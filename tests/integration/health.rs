//! The first process that reaps, and checks of a container's health.

use std::fs;

use crate::host::{Host, until};

#[test]
fn our_init_passes_on_signals_and_reaps() {
    let host = Host::new();
    let run = |script: &str| host.tinydock(&["run", "--rm", "--init", "--network", "none", "busybox", "sh", "-c", script]);
    let orphan = "echo $$; (sleep 0.05 &); sleep 0.4; ps -o stat,comm | grep -c '^Z'";
    assert_eq!(run(orphan).stdout, "2\n0\n");
    assert_eq!(run("exit 7").code, 7);
    assert_eq!(run("kill -9 $$").code, 137);
    host.run("run --rm --init --network none busybox nosuch").fails(127);
    // Without it the command, which has no handler, would not get the signal at all.
    host.start(&["--init", "--network", "none", "--name", "deaf", "busybox", "sleep", "100"]);
    host.run("stop -t 60 deaf").ok();
    assert_eq!(host.status("deaf"), "exited (143)");
}

#[test]
fn our_init_has_no_more_power_than_the_command() {
    let host = Host::new();
    host.start(&[
        "--init",
        "--network",
        "none",
        "-u",
        "7",
        "--name",
        "weak",
        "busybox",
        "sleep",
        "100",
    ]);
    let of = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
        let wanted = ["Uid:", "Gid:", "CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"];
        let lines = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.map(str::to_string).collect::<Vec<_>>()
    };
    let init = host.init("weak");
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("its children");
    assert_eq!(of(init), of(children.trim().parse().expect("one child")));
    assert_eq!(fs::read_dir(format!("/proc/{init}/fd")).expect("its descriptors").count(), 0);
}

fn health(host: &Host, id: &str) -> String {
    fs::read_to_string(host.root().join("container").join(id).join("health")).unwrap_or_default()
}

#[test]
fn a_check_tells_whether_all_is_well() {
    let host = Host::new();
    let check = [
        "--health-cmd",
        "echo looked; test -e /ok",
        "--health-interval",
        "50ms",
        "--health-retries",
        "2",
    ];
    let id = host.start(
        &[
            &["--network", "none", "--name", "sick"],
            &check[..],
            &["busybox", "sleep", "100"],
        ]
        .concat(),
    );
    until("it is unhealthy", || health(&host, &id).contains(r#""status":"unhealthy""#));
    assert!(health(&host, &id).contains(r#""code":1,"output":"looked\n""#));
    host.run("exec sick touch /ok").ok();
    until("it is healthy", || {
        health(&host, &id).contains(r#""status":"healthy","failing":0"#)
    });
    host.run("rm -f sick").ok();
}

#[test]
fn a_check_that_takes_too_long_has_failed_and_is_gone() {
    let host = Host::new();
    let check = [
        "--health-cmd",
        "sleep 60",
        "--health-interval",
        "50ms",
        "--health-timeout",
        "50ms",
        "--health-retries",
        "1",
    ];
    let id = host.start(
        &[
            &["--network", "none", "--name", "slow"],
            &check[..],
            &["busybox", "sleep", "100"],
        ]
        .concat(),
    );
    until("it is unhealthy", || health(&host, &id).contains(r#""status":"unhealthy""#));
    assert!(health(&host, &id).contains("exceeded timeout"));
    host.run("rm -f slow").ok();
    let error = host.run("run --rm --health-interval 5 busybox").fails(125);
    assert!(error.contains("--health-interval") && error.contains("`5`"), "{error}");
    let error = host.run("run --rm --no-healthcheck --health-cmd true busybox").fails(125);
    assert!(error.contains("--no-healthcheck"), "{error}");
}
