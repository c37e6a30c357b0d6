//! `debug`: a shell in a container that has none.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::host::{Done, Host, until};
use crate::tracer::{self, Kill, Role};

/// Does nothing but be there, and tell what it sees of its own mounts when it is asked to.
const APP: &str = r#"
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        char line[4096];
        if (argc == 1) for (;;) pause();
        FILE *file = fopen("/proc/1/mountinfo", "r");
        while (fgets(line, sizeof line, file)) fputs(line, stdout);
        return 0;
    }"#;

/// An image that has a single file, which needs nothing.
fn single(host: &Host) {
    host.compile("app", APP);
    let done = host.sh("tar -C tools -c app | \"$TINYDOCK\" import -c 'CMD [\"/app\"]' - single");
    done.ok();
}

fn start(host: &Host, flags: &[&str]) {
    single(host);
    host.start(&[&["--name", "one", "--network", "none"], flags, &["single"]].concat());
}

/// Runs a script of the shell in the container.
fn debug(host: &Host, flags: &[&str], script: &str) -> Done {
    host.tinydock(&[&["debug"], flags, &["one", "sh", "-c", script]].concat())
}

#[test]
fn a_container_with_a_single_file_has_a_shell() {
    let host = Host::new();
    start(&host, &["--hostname", "bare", "-e", "NAME=value", "-v", "vol:/data"]);
    host.run("exec one sh").fails(127);
    assert_eq!(
        debug(&host, &[], "hostname; echo $NAME; id -u; pwd; ls /").ok(),
        "bare\nvalue\n0\n/\napp\ndata\ndev\netc\nproc\nsys\n"
    );
    // Its processes, and its files, which can be written to.
    assert_eq!(debug(&host, &[], "tr '\\0' ' ' < /proc/1/cmdline").ok(), "/app ");
    debug(&host, &[], "echo here > /written; echo kept > /data/file").ok();
    assert_eq!(debug(&host, &[], "cat /written /data/file").ok(), "here\nkept\n");
    assert_eq!(host.run("diff one").ok(), "A /data\nA /written\n");
    // What is typed reaches the shell, which is what runs if nothing is named.
    let mut child = host.spawn(&["debug", "one"]);
    child.stdin.take().unwrap().write_all(b"echo typed; exit 7\n").unwrap();
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!((done.code, done.stdout.as_str()), (7, "typed\n"));
    let shown = host.sh("script -qec \"$TINYDOCK debug one tty\" /dev/null").ok();
    assert!(shown.contains("/dev/pts/"), "{shown}");
}

#[test]
fn the_containers_processes_see_nothing_of_the_tools() {
    let host = Host::new();
    start(&host, &[]);
    let before = host.run("exec one /app mounts").ok();
    let mut child = host.spawn(&["debug", "one", "sh", "-c", "ls /sys/firmware; echo ready; cat"]);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let seen: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| line != "ready")
        .collect();
    assert!(seen.contains(&"bin".into()), "{seen:?}");
    assert_eq!(host.run("exec one /app mounts").ok(), before);
    let init = host.init("one");
    assert_eq!(fs::read_dir(format!("/proc/{init}/root/sys/firmware")).unwrap().count(), 0);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(host.run("diff one").ok(), "");
}

#[test]
fn a_shell_is_confined_as_the_container_is() {
    let host = Host::new();
    start(&host, &["--read-only", "--cap-drop", "CHOWN", "-m", "64m"]);
    let look = "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status | tr -d '\\n'; cat /proc/self/cgroup | md5sum";
    let own = debug(&host, &[], look).ok();
    let as_privileged = debug(&host, &["--privileged"], look).ok();
    assert!(
        own.contains("Seccomp:\t2") && as_privileged.contains("Seccomp:\t0"),
        "{own} {as_privileged}"
    );
    assert_ne!(own, as_privileged);
    // The root is read-only, and so are the tools, which others share.
    for path in ["/x", "/sys/firmware/bin/x"] {
        let wrong = debug(&host, &[], &format!("touch {path}")).fails(1);
        assert!(wrong.contains("Read-only file system"), "{wrong}");
    }
    assert!(debug(&host, &[], "chown 1 /dev/shm").code != 0);
    assert!(debug(&host, &[], "mount -t tmpfs x /sys").code != 0);
    debug(&host, &["--privileged"], "mount -t tmpfs x /sys/kernel; chown 1 /dev/shm").ok();
    assert!(!host.run("exec one /app mounts").ok().contains("/sys/kernel"));
    assert_eq!(debug(&host, &["-u", "7:8"], "id -u; id -g").ok(), "7\n8\n");
    assert_eq!(debug(&host, &["-w", "/dev", "-e", "A=b"], "pwd; echo $A").ok(), "/dev\nb\n");
    // The same for a command that the container has.
    assert_eq!(host.run("exec --privileged one /app mounts").code, 0);
}

#[test]
fn a_shell_is_had_with_users_of_the_containers_own() {
    let host = Host::new();
    start(&host, &["--userns", "auto"]);
    assert_eq!(
        debug(&host, &[], "id -u; touch /x; ls -n /x | awk '{print $3}'").ok(),
        "0\n0\n"
    );
    assert!(debug(&host, &[], "touch /sys/firmware/bin/x").fails(1).contains("Read-only"));
}

#[test]
fn only_what_runs_can_be_debugged() {
    let host = Host::new();
    start(&host, &[]);
    host.run("pause one").ok();
    assert!(host.run("debug one").fails(125).contains("paused"));
    host.run("unpause one").ok();
    host.run("stop -t 0 one").ok();
    assert!(host.run("debug one").fails(125).contains("container `one` is not running"));
    assert!(host.run("debug nobody").fails(125).contains("no such container"));
}

#[test]
fn a_killed_debug_leaves_nothing() {
    let host = Host::new();
    start(&host, &[]);
    let init = host.init("one");
    let namespace = fs::read_link(format!("/proc/{init}/ns/pid")).unwrap();
    let beside = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter(|entry| fs::read_link(entry.path().join("ns/pid")).is_ok_and(|link| link == namespace))
            .count()
    };
    for role in [Role::Command, Role::Monitor] {
        for call in (0..).step_by(7) {
            let mut command: Command = host.command(&["debug", "one", "sleep", "0.01"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if !tracer::run(&mut command, &[], Kill { role, call }) {
                break;
            }
            until(
                &format!("the end of a debug whose {role:?} was killed at call {call}"),
                || beside() == 1,
            );
        }
    }
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    assert!(!mounts.contains(&host.root().display().to_string()), "{mounts}");
    assert_eq!(debug(&host, &[], "echo well").ok(), "well\n");
}

/// The layer is one that other containers have as well. A mount that is only read-only could be made writable again.
#[test]
fn a_privileged_command_cannot_write_to_the_tools() {
    let host = Host::new();
    start(&host, &[]);
    let script = "mount -o remount,bind,rw /sys/firmware; mount -o remount,rw /sys/firmware; touch /sys/firmware/bin/evil";
    let done = debug(&host, &["--privileged"], &format!("{script} 2>/dev/null; echo $?"));
    assert_eq!(done.ok(), "1\n");
    assert_eq!(host.inside(&[], "busybox", &["ls", "/bin/evil"]).code, 1);
}
