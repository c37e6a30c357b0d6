//! Containers that several stop or remove at once, or that somebody begins to remove.

use std::fs::{self, File};
use std::process::Stdio;

use crate::host::Host;
use crate::tracer::{self, Hold, Kill, Role};

/// One command knows the container already when the other one removes it.
#[test]
fn a_container_that_somebody_else_removes_is_removed() {
    let host = Host::new();
    let cases: [(&[&str], &str); 2] = [(&[], "/lock"), (&["--restart", "always"], "/.stopped.")];
    for (flags, at) in cases {
        let run = [
            &["--name", "victim", "--network", "none"],
            flags,
            &["busybox", "sleep", "1000"],
        ]
        .concat();
        let id = host.start(&run);
        let (told, out) = (host.path("told"), host.path("out"));
        let mut command = host.command(&["rm", "-f", "victim"]);
        command
            .stderr(File::create(&told).expect("make a file"))
            .stdout(File::create(&out).expect("make a file"));
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Command,
                at: &|call| call.number == libc::SYS_openat && call.path(1).contains(&format!("{id}{at}")),
                until: &mut |_| host.run("rm -f victim").ok() == "victim\n",
            },
        );
        assert!(was_held, "{flags:?}");
        let read = |path| fs::read_to_string(path).expect("read");
        assert_eq!((read(told), read(out)), (String::new(), "victim\n".into()), "{flags:?}");
        host.until_nothing_is_left();
    }
}

#[test]
fn several_may_stop_a_container_at_once() {
    let host = Host::new();
    host.start(&["--name", "victim", "--network", "none", "busybox", "sleep", "1000"]);
    let told = host.path("told");
    let mut command = host.command(&["stop", "-t", "0", "victim"]);
    command
        .stdout(Stdio::null())
        .stderr(File::create(&told).expect("make a file"));
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Command,
            at: &|call| call.number == libc::SYS_rename && call.path(1).ends_with("/stopped"),
            until: &mut |_| host.run("stop -t 0 victim").ok() == "victim\n",
        },
    );
    assert!(was_held);
    assert_eq!(fs::read_to_string(told).expect("read"), "");
    assert_eq!(host.run("inspect -f {{.State.Status}} victim").ok(), "exited\n");
}

/// Of a container that is gone everybody is told once, whoever has removed it in the end.
#[test]
fn the_end_of_a_container_is_told_once_if_a_removal_is_killed() {
    let host = Host::new();
    for call in 0.. {
        let id = host
            .run("create --name victim --label colour=red --network none busybox true")
            .ok();
        host.run("rename victim renamed").ok();
        let mut command = host.command(&["rm", "renamed"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let role = Role::Command;
        let was_killed = tracer::run(&mut command, &[], Kill { role, call });
        if !host.run("ls -aq").ok().is_empty() {
            host.run("rm renamed").ok();
        }
        let events = host.run("events --since 10m --until 0s -f event=destroy").ok();
        let told: Vec<&str> = events.lines().filter(|line| line.contains(id.trim())).collect();
        let is_whole = |line: &&str| line.contains("colour=red") && line.contains("name=renamed");
        assert!(
            told.len() == 1 && told.iter().all(is_whole),
            "killed at call {call}: {told:?}"
        );
        if !was_killed {
            assert!(call > 50, "it makes only {call} calls");
            break;
        }
    }
}
