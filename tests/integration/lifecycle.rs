//! From `run` to `rm`.

use std::io::{Read, Write};
use std::path::Path;

use crate::host::{Host, until};

#[test]
fn a_detached_container_runs_ends_and_is_removed() {
    let host = Host::new();
    let id = host.start(&[
        "--name",
        "web",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 5",
    ]);
    assert_eq!((id.len(), id.bytes().all(|byte| byte.is_ascii_hexdigit())), (64, true));
    until("it has ended", || host.status("web").contains("exited (5)"));
    let logs = host.run("logs web");
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(host.tinydock(&["rm", &id[..6]]).ok().trim(), &id[..6]);
    assert!(host.run("rm web").fails(1).contains("web"));
}

#[test]
fn stop_sends_the_signal_and_then_kills() {
    let host = Host::new();
    let trap = "trap 'exit 9' TERM; trap 'exit 10' USR1; echo ready; while :; do sleep 0.1; done";
    for (name, arguments, code) in [
        ("aa", &["stop", "aa"][..], 9),
        ("bb", &["stop", "-s", "USR1", "bb"], 10),
        ("cc", &["stop", "-s", "SIGUSR1", "cc"], 10),
        ("dd", &["stop", "-s", "10", "dd"], 10),
    ] {
        host.start(&["--name", name, "--network", "none", "busybox", "sh", "-c", trap]);
        until("it is ready", || host.tinydock(&["logs", name]).stdout == "ready\n");
        host.tinydock(arguments).ok();
        assert_eq!(host.status(name), format!("exited ({code})"));
    }
    host.start(&["--name", "deaf", "--network", "none", "busybox", "sleep", "100"]);
    host.run("stop -t 0 deaf").ok();
    assert_eq!(host.status("deaf"), "exited (137)");
    assert!(host.run("stop -s NOSUCH deaf").fails(1).contains("NOSUCH"));
    host.run("stop deaf").ok();
}

#[test]
fn a_running_container_is_removed_only_by_force() {
    let host = Host::new();
    host.start(&["--name", "busy", "--network", "none", "busybox", "sleep", "100"]);
    assert!(host.run("rm busy").fails(1).contains("running"));
    host.run("rm -f busy").ok();
    assert_eq!(host.run("ls -aq").ok(), "");
}

#[test]
fn exec_runs_in_the_container() {
    let host = Host::new();
    host.start(&["--name", "cc", "--network", "none", "-e", "A=1", "busybox", "sleep", "100"]);
    assert_eq!(
        host.tinydock(&[
            "exec",
            "-e",
            "B=2",
            "-w",
            "/tmp",
            "cc",
            "sh",
            "-c",
            "echo $A$B $PWD; cat /proc/1/comm"
        ])
        .ok(),
        "12 /tmp\nsleep\n"
    );
    host.tinydock(&["exec", "cc", "sh", "-c", "exit 3"]).fails(3);
    host.run("exec cc nope").fails(127);
    host.run("exec nobody true").fails(125);
    let error = host.run("exec -w /nope/deep cc true").fails(126);
    assert!(
        error.contains("enter the working directory `/nope/deep`: no such file or directory"),
        "{error}"
    );
    host.run("exec -w /etc/passwd cc true").fails(126);
    let mut cat = host.spawn(&["exec", "-i", "cc", "cat"]);
    cat.stdin.take().expect("a pipe").write_all(b"through").expect("write");
    assert_eq!(
        String::from_utf8_lossy(&cat.wait_with_output().expect("wait").stdout),
        "through"
    );
    assert_eq!(
        host.run("exec cc grep -E CapEff|CapBnd /proc/self/status").ok(),
        "CapBnd:\t00000000a80425fb\n".replace("CapBnd", "CapEff") + "CapBnd:\t00000000a80425fb\n"
    );
}

#[test]
fn standard_input_is_passed_on_when_asked() {
    let host = Host::new();
    assert_eq!(
        host.sh("printf 'a\\nb' | $TINYDOCK run --rm -i --network none busybox cat")
            .ok(),
        "a\nb"
    );
    assert_eq!(host.sh("echo a | $TINYDOCK run --rm --network none busybox cat").ok(), "");
    assert_eq!(
        host.sh("head -c 3000000 /dev/zero | $TINYDOCK run --rm -i --network none busybox wc -c")
            .ok(),
        "3000000\n"
    );
    assert_eq!(
        host.sh("$TINYDOCK run --rm --network none busybox head -c 5000000 /dev/zero | wc -c")
            .ok(),
        "5000000\n"
    );
}

#[test]
fn a_terminal_is_a_terminal() {
    let host = Host::new();
    let script = "python3 -c 'import pty,sys,os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' $TINYDOCK run --rm -it --network none busybox sh -c 'tty; test -t 0 && test -t 1 && echo yes; ls -l /dev/console | cut -c1; exit 6'";
    let done = host.sh(script);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(done.stdout.contains("/dev/") && done.stdout.contains("yes\r\n"), "{done:?}");
}

#[test]
fn following_logs_ends_with_the_container() {
    let host = Host::new();
    host.start(&[
        "--name",
        "talker",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.2; done",
    ]);
    assert_eq!(host.run("logs -f talker").ok(), "1\n2\n3\n");
}

#[test]
fn signals_reach_a_container_in_the_foreground() {
    let host = Host::new();
    let mut run = host.spawn(&[
        "run",
        "--rm",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "trap 'echo got; exit 4' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    let mut ready = [0; 6];
    run.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("read");
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal");
    let output = run.wait_with_output().expect("wait");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(4), "got\n")
    );
}

#[test]
fn s5_5_names_are_unique_and_prefixes_may_be_ambiguous() {
    let host = Host::new();
    host.start(&["--name", "nn", "--network", "none", "busybox", "sleep", "100"]);
    assert!(
        host.run("run -d --name nn --network none busybox true")
            .fails(125)
            .contains("`nn`")
    );
    assert!(
        host.run("run -d --name bad/name busybox true")
            .fails(125)
            .contains("bad/name")
    );
    assert!(host.run("rm zz").fails(1).contains("zz"));
    host.run("run --rm -name=other -network=none busybox true").ok();
}

#[test]
fn a_name_is_free_when_its_container_is_gone() {
    let host = Host::new();
    for _ in 0..20 {
        host.start(&["--rm", "--network", "none", "--name", "same", "busybox", "sleep", "100"]);
        host.run("stop -t 0 same").ok();
        assert_eq!(host.run("ls -aq").ok(), "");
    }
}

#[test]
fn the_next_run_cleans_up_after_a_killed_monitor() {
    let host = Host::new();
    host.start(&["--rm", "--name", "lost", "-p", "8080:80", "busybox", "sleep", "100"]);
    let init = host.init("lost");
    host.sh(&format!("kill -9 $(ps -o ppid= -p {init})")).ok();
    until("the container dies with its monitor", || {
        !Path::new(&format!("/proc/{init}/ns/pid")).exists()
    });
    host.run("run --rm --network none busybox true").ok();
    host.until_nothing_is_left();
}

/// Each level of a tree that is removed may take a descriptor, of which a process has not as many as a container can nest directories.
#[test]
fn a_container_with_very_deep_directories_is_removed() {
    let host = Host::new();
    let dig = "i=0; while [ $i -lt 1800 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done";
    host.tinydock(&["run", "--name", "deep", "--network", "none", "busybox", "sh", "-c", dig])
        .ok();
    host.run("rm deep").ok();
    host.until_nothing_is_left();
}

/// What a container writes may be what fills the disk, on which its end is to be recorded.
#[test]
fn the_end_is_known_of_a_container_that_has_filled_the_disk() {
    let host = Host::new();
    host.sh("mkdir root && mount -t tmpfs -o size=8m tmpfs root").ok();
    let fill = "cat /dev/zero > /full; echo > /more; exit 7";
    host.tinydock(&["run", "--name", "full", "--network", "none", "busybox", "sh", "-c", fill])
        .fails(7);
    assert_eq!(host.run("inspect -f {{.State.ExitCode}} full").ok(), "7\n");
    host.run("ps -a").ok();
    host.run("rm full").ok();
    host.sh("umount -l root").ok();
}

/// Whoever starts a container may find that it has ended before it could be looked at.
#[test]
fn a_container_without_mounts_is_cleaned_up_after() {
    let host = Host::new();
    host.start(&["--rm", "--name", "one", "--network", "none", "busybox", "sleep", "1000"]);
    let monitor = host.sh(&format!("ps -o ppid= -p {}", host.init("one"))).ok();
    host.sh(&format!("kill -9 {}", monitor.trim())).ok();
    let id = host.run("ps -aq --no-trunc").stdout;
    assert!(id.len() < 66, "{id}");
    // The last argument is what a monitor says that has no mounts to keep.
    let lock = format!("root/run/container/{}/lock", "0".repeat(64));
    host.sh(&format!("mkdir -p $(dirname {lock}) && exec 7> {lock} && export TINYDOCK_RUN=$PWD/root/run && bash -c \"exec -a tinydock-finish $TINYDOCK {} 7 -1\" 2>&1", "0".repeat(64)))
        .ok();
    host.until_nothing_is_left();
}

/// Whoever starts a container that is being removed is refused, or comes first; the removal ends.
#[test]
fn a_container_that_is_removed_and_started_at_once_is_gone() {
    let host = Host::new();
    for n in 0..12_u64 {
        host.run("run -d --name both --network none busybox sleep 1000").ok();
        let mut removal = host.spawn(&["rm", "-f", "both"]);
        std::thread::sleep(std::time::Duration::from_millis(n));
        host.run("start both");
        until("the removal has ended", || removal.try_wait().expect("look").is_some());
        assert_eq!(host.run("ls -aq").ok(), "", "{n}");
        // The monitor ends a moment after the removal.
        host.until_nothing_is_left();
    }
}
