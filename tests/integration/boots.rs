//! What is found after the host went down with containers that ran.

use std::fs;
use std::path::Path;

use crate::host::{Host, until};

const SLEEP: [&str; 3] = ["busybox", "sleep", "1000"];

/// Starts a container that writes to a volume of its own, is removed when it ends, and is called `lost`, and another one, and leaves
/// what a boot leaves of them: the records, and no run directory.
fn boot() -> (Host, [String; 2]) {
    let host = Host::new();
    let start = |arguments: &[&str]| host.start(&[&["--network", "none"], arguments, &SLEEP].concat());
    let ids = [
        start(&["--rm", "-v", "/anonymous", "--name", "lost"]),
        start(&["--name", "kept"]),
    ];
    for id in &ids {
        let init = host.init_of(id);
        host.sh(&format!("kill -9 $(ps -o ppid= -p {init})")).ok();
        until("it has died with its monitor", || {
            !Path::new(&format!("/proc/{init}")).exists()
        });
    }
    fs::remove_dir_all(host.root().join("run")).expect("forget the run");
    (host, ids)
}

#[track_caller]
fn only_the_other_is_left(host: &Host, [lost, kept]: &[String; 2]) {
    assert_eq!(host.status("kept"), "exited (137)");
    assert!(host.root().join("container").join(kept).join("exit").exists());
    assert!(!host.root().join("container").join(lost).exists());
    assert_eq!(host.run("volume ls -q").ok(), "");
}

#[test]
fn a_name_is_free_whose_container_went_down_with_the_host() {
    let (host, ids) = boot();
    host.tinydock(
        &[
            &["run", "--rm", "--network", "none", "--name", "lost"],
            &["busybox", "true"][..],
        ]
        .concat(),
    )
    .ok();
    only_the_other_is_left(&host, &ids);
}

#[test]
fn what_ran_has_ended_also_when_another_container_is_run_first() {
    let (host, ids) = boot();
    host.run("run --rm --network none busybox true").ok();
    only_the_other_is_left(&host, &ids);
}

#[test]
fn whoever_comes_after_the_first_command_does_what_that_has_not_come_to() {
    let (host, ids) = boot();
    // What a first command has made that is killed then.
    fs::create_dir_all(host.root().join("run/container")).expect("make the run directory");
    only_the_other_is_left(&host, &ids);
}
