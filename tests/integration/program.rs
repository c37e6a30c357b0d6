//! What `explain` prints is what init does.

use crate::host::{Host, TINYDOCK};

/// The names of the calls that `explain --json` lists for init, in order.
fn explained(host: &Host) -> Vec<String> {
    let json = host.run("explain --json run --rm --network none busybox true").ok();
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let steps = value.as_array().expect("a list").iter().filter(|step| step["by"] == "init");
    steps.map(|step| step["call"].as_str().expect("a call").to_string()).collect()
}

#[test]
fn init_makes_the_explained_calls() {
    let host = Host::new();
    host.run("run --rm --network none busybox true").ok();
    let expected = explained(&host);
    let trace = host.path("trace");
    host.sh(&format!(
        "strace -f -o {} {TINYDOCK} run --rm --network none busybox true",
        trace.display()
    ))
    .ok();
    let text = std::fs::read_to_string(trace).expect("a trace");
    // Init is the process that calls chroot.
    let pid = text
        .lines()
        .find(|line| line.contains(" chroot("))
        .and_then(|line| line.split_whitespace().next())
        .expect("an init");
    let calls: Vec<&str> = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(pid))
        .filter(|line| !line.contains("resumed>"))
        .collect();
    let names: Vec<&str> = calls
        .iter()
        .filter_map(|line| line[pid.len()..].trim_start().split_once('('))
        .map(|(name, _)| name)
        .collect();
    let first = names.iter().position(|name| *name == expected[0]).expect("the first step");
    let seen: Vec<&str> = names[first..].to_vec();
    let shared = seen
        .iter()
        .zip(&expected)
        .take_while(|(seen, expected)| seen == expected)
        .count();
    // The last steps try the command along PATH; what follows is the command itself.
    let tried = seen[..shared].iter().filter(|name| **name == "execve").count();
    assert!(
        shared == expected.len() || tried > 0,
        "step {}: {} instead of {}",
        shared + 1,
        seen[shared],
        expected[shared]
    );
}

#[test]
fn explaining_changes_nothing() {
    let host = Host::new();
    let text = host.run("explain run --name xx -p 80:80 -m 10m busybox true").ok();
    for concept in [
        "process isolation",
        "resource limits",
        "file system layering",
        "bridge networking",
    ] {
        assert!(text.to_lowercase().contains(concept), "{concept}");
    }
    assert_eq!(host.run("ls -aq").ok(), "");
    assert!(host.traces().is_empty());
}

#[test]
fn a_traced_run_shows_times() {
    let host = Host::new();
    let done = host.run("run --rm --trace --network none busybox echo hello");
    assert!(
        (done.stdout.clone() + &done.stderr).contains("µs") && done.stdout.contains("hello"),
        "{done:?}"
    );
}

#[test]
fn a_failing_step_is_named() {
    let host = Host::new();
    let done = host.run("run --rm --network none -w /etc/passwd busybox true").fails(125);
    assert!(done.contains("/etc/passwd") || done.contains("passwd"), "{done}");
}
