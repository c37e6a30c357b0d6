//! Why containers ended.

use crate::host::{Host, until};

#[test]
fn why_tells_how_a_container_ended() {
    let host = Host::new();
    let run = |name: &str, script: &str| {
        host.tinydock(&["run", "--network", "none", "--name", name, "busybox", "sh", "-c", script]);
        host.tinydock(&["why", name]).ok()
    };
    let told = run("fails", "echo one; echo two >&2; exit 3");
    assert!(
        told.contains("with exit status 3: it failed") && told.ends_with("Its last lines:\n  one\n! two\n"),
        "{told}"
    );
    assert!(run("works", "true").contains("all was well"));
    assert!(run("missing", "nosuch").contains("did not find a command"));
    let told = run("suicide", "kill -SEGV $$");
    assert!(told.contains("SIGSEGV") || told.contains("by itself"), "{told}");
    host.tinydock(&["run", "--network", "none", "--name", "wrong", "busybox", "nosuch"])
        .fails(127);
    assert!(host.run("why wrong").ok().contains("could not be started: execute `nosuch`"));
    host.run("create --network none --name new busybox").ok();
    assert!(host.run("why new").ok().contains("created and not started"));
}

#[test]
fn why_tells_who_wanted_it() {
    let host = Host::new();
    host.start(&["--network", "none", "--name", "deaf", "busybox", "sleep", "100"]);
    assert!(host.run("why deaf").ok().contains("it runs since"));
    host.run("stop -t 0 deaf").ok();
    let told = host.run("why deaf").ok();
    assert!(
        told.contains("`tinydock stop` sent it SIGTERM") && told.contains("it was killed"),
        "{told}"
    );
    host.run("start deaf").ok();
    host.sh(&format!("kill -9 {}", host.init("deaf"))).ok();
    until("it has ended", || host.status("deaf") == "exited (137)");
    let told = host.run("why deaf").ok();
    assert!(
        told.contains("killed by SIGKILL") && told.contains("no command of tinydock sent that signal"),
        "{told}"
    );
    host.run("start deaf").ok();
    host.sh(&format!("kill -9 $(ps -o ppid= -p {})", host.init("deaf"))).ok();
    until("it is known", || host.status("deaf") == "exited (137)");
    assert!(host.run("why deaf").ok().contains("killed with its monitor"));
}

#[test]
fn why_tells_of_memory_that_was_not_to_be_had() {
    let host = Host::new();
    let script = "tail -c 200m /dev/zero";
    host.tinydock(&[
        "run",
        "--network",
        "none",
        "-m",
        "16m",
        "--name",
        "hungry",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let told = host.run("why hungry").ok();
    assert!(told.contains("for want of memory: it may use 16.0 MiB"), "{told}");
}

#[test]
fn why_tells_that_the_host_went_down() {
    let host = Host::new();
    let id = host.start(&["--network", "none", "--name", "up", "busybox", "sleep", "100"]);
    host.sh(&format!("kill -9 $(ps -o ppid= -p {})", host.init("up"))).ok();
    until("its monitor is gone", || {
        !host.is_running(&id) || host.status("up") == "exited (137)"
    });
    // What a boot leaves: the records, and no run directory.
    let directory = host.root().join("container").join(&id);
    std::fs::remove_file(directory.join("exit")).expect("forget the end");
    std::fs::remove_dir_all(host.root().join("run")).expect("forget the run");
    assert!(host.run("why up").ok().contains("ended with the host"));
    assert_eq!(host.status("up"), "exited (137)");
}
