//! Containers that are created, started, renamed, killed, and started again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::host::{Host, until};

const SLEEP: [&str; 3] = ["busybox", "sleep", "100"];

fn create(host: &Host, arguments: &[&str]) -> String {
    let words = [&["create", "--network", "none"], arguments].concat();
    host.tinydock(&words).ok().trim().to_string()
}

#[test]
fn a_created_container_runs_when_it_is_started() {
    let host = Host::new();
    let id = create(&host, &["--name", "later", "busybox", "sh", "-c", "echo once; exit 4"]);
    assert_eq!((id.len(), host.status("later").as_str()), (64, "created"));
    let done = host.run("start -a later");
    assert_eq!((done.code, done.stdout.as_str()), (4, "once\n"));
    assert_eq!(host.status("later"), "exited (4)");
    assert_eq!(host.run("start later").ok(), "later\n");
    until("it has ended again", || host.run("logs later").stdout == "once\nonce\n");
    until("it is known", || host.status("later") == "exited (4)");
    assert!(host.run("start nosuch later").fails(1).contains("nosuch"));
}

#[test]
fn what_a_container_has_written_is_there_when_it_is_started_again() {
    let host = Host::new();
    let script = "cat /note 2>/dev/null; echo more >> /note";
    create(&host, &["--name", "writer", "busybox", "sh", "-c", script]);
    assert_eq!(host.run("start -a writer").ok(), "");
    assert_eq!(host.run("start -a writer").ok(), "more\n");
    assert_eq!(host.run("start -a writer").ok(), "more\nmore\n");
}

#[test]
fn a_container_that_is_removed_when_it_ends_can_be_created_first() {
    let host = Host::new();
    create(&host, &["--rm", "--name", "brief", "busybox", "echo", "here"]);
    host.run("ls").ok();
    assert_eq!(host.status("brief"), "created");
    assert_eq!(host.run("start -a brief").ok(), "here\n");
    assert_eq!(host.run("ls -aq").ok(), "");
}

#[test]
fn restart_keeps_the_container() {
    let host = Host::new();
    let id = host.start(&[&["--rm", "--name", "kept", "-p", "8080:80"][..], &SLEEP].concat());
    let first = host.init("kept");
    assert_eq!(host.run("restart -t 0 kept").ok(), "kept\n");
    assert_ne!(host.init("kept"), first);
    assert!(host.run("ls --no-trunc -q").ok().contains(&id));
    assert!(host.run("ls").ok().contains("8080"));
    host.run("stop -t 0 kept").ok();
    assert_eq!(host.run("ls -aq").ok(), "");
}

#[test]
fn a_container_that_cannot_be_started_stays_as_it_was() {
    let host = Host::new();
    assert!(host.run("run --name wrong busybox nosuch").fails(127).contains("nosuch"));
    assert_eq!(host.status("wrong"), "created");
    for _ in 0..3 {
        assert!(host.run("start wrong").fails(1).contains("nosuch"));
    }
    host.run("rm wrong").ok();
    host.run("run --rm busybox nosuch").fails(127);
    assert_eq!(host.run("ls -aq").ok(), "");
}

#[test]
fn names_change_and_the_old_ones_are_free() {
    let host = Host::new();
    host.start(&[&["--network", "none", "--name", "old"][..], &SLEEP].concat());
    create(&host, &["--name", "other", "busybox"]);
    assert!(host.run("rename old other").fails(1).contains("`other` is already in use"));
    assert!(host.run("rename old o/ld").fails(1).contains("o/ld"));
    assert!(host.run("rename old old").fails(1).contains("already"));
    host.run("rename old new").ok();
    assert_eq!(host.status("new"), "running");
    assert!(host.run("kill old").fails(1).contains("no such container: `old`"));
    create(&host, &["--name", "old", "busybox"]);
    host.run("rm -f new old other").ok();
}

#[test]
fn kill_sends_any_signal() {
    let host = Host::new();
    let script = "trap 'echo got' USR1; echo ready; while :; do sleep 0.1; done";
    host.start(&["--network", "none", "--name", "target", "busybox", "sh", "-c", script]);
    until("it is ready", || host.run("logs target").stdout == "ready\n");
    assert_eq!(host.run("kill -s USR1 target").ok(), "target\n");
    until("it got the signal", || host.run("logs target").stdout == "ready\ngot\n");
    assert!(host.run("kill -s NOSUCH target").fails(1).contains("NOSUCH"));
    host.run("kill target").ok();
    assert_eq!(host.status("target"), "exited (137)");
    assert!(host.run("kill target").fails(1).contains("not running"));
}

#[test]
fn a_stop_signal_and_its_time_belong_to_the_container() {
    let host = Host::new();
    let script = "trap 'exit 9' USR2; echo ready; while :; do sleep 0.1; done";
    let words = [
        "--network",
        "none",
        "--name",
        "own",
        "--stop-signal",
        "USR2",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    host.start(&words);
    until("it is ready", || host.run("logs own").stdout == "ready\n");
    host.run("stop own").ok();
    assert_eq!(host.status("own"), "exited (9)");
    host.start(&[&["--network", "none", "--name", "quick", "--stop-timeout", "0"][..], &SLEEP].concat());
    host.run("stop quick").ok();
    assert_eq!(host.status("quick"), "exited (137)");
}

#[test]
fn an_entry_point_has_the_command_as_arguments() {
    let host = Host::new();
    let run = |words: &str| host.run(&format!("run --rm --network none {words}"));
    assert_eq!(run("--entrypoint echo busybox a b").ok(), "a b\n");
    assert_eq!(run("--entrypoint= busybox echo c").ok(), "c\n");
    assert!(run("--entrypoint= busybox").fails(125).contains("no command"));
}

#[test]
fn s5_6_files_give_variables_labels_and_take_the_id() {
    let host = Host::new();
    let file = |name: &str| host.path(name).display().to_string();
    fs::write(host.path("variables"), "# a comment\nA=from file\n\n  B=2\nHOME_OF_NOBODY\n").expect("write");
    let (variables, id) = (file("variables"), file("id"));
    let words = [
        "run",
        "--rm",
        "--network",
        "none",
        "--env-file",
        &variables,
        "-e",
        "B=3",
        "--cidfile",
        &id,
        "busybox",
        "sh",
        "-c",
        "echo $A-$B",
    ];
    assert_eq!(host.tinydock(&words).ok(), "from file-3\n");
    assert_eq!(fs::read_to_string(host.path("id")).expect("the id").len(), 64);
    assert!(host.tinydock(&words).fails(125).contains(&id));
    fs::write(host.path("variables"), "A B=1\n").expect("write");
    fs::remove_file(host.path("id")).expect("remove");
    let error = host.tinydock(&words).fails(125);
    assert!(error.contains("line 1") && error.contains("`A B`"), "{error}");
    assert!(!host.path("id").exists());
    let fails = [
        "run",
        "--network",
        "none",
        "--name",
        "fails",
        "--cidfile",
        &id,
        "busybox",
        "nosuch",
    ];
    host.tinydock(&fails).fails(127);
    assert_eq!(host.status("fails"), "created");
    let id = fs::read_to_string(host.path("id")).expect("the id of what was created");
    assert_eq!(host.run(&format!("rm {id}")).ok().trim(), id);
}

#[test]
fn what_is_empty_is_made_up_and_a_slash_belongs_to_no_name() {
    let host = Host::new();
    let id = create(&host, &["--name", "", "-h", "", "busybox", "hostname"]);
    assert_eq!(host.run(&format!("start -a {id}")).ok().trim(), &id[..12]);
    create(&host, &["--name", "/web", "busybox", "true"]);
    assert_eq!(host.run("rename web /other").ok(), "");
    assert_eq!(host.status("other"), "created");
}

#[test]
fn whoever_starts_what_runs_is_connected_with_it() {
    let host = Host::new();
    let script = "until [ -e /go ]; do echo waits; sleep 0.1; done; exit 3";
    host.start(&["--network", "none", "--name", "runs", "busybox", "sh", "-c", script]);
    let connected = host.command(&["start", "-a", "runs"]).stdout(Stdio::piped()).spawn();
    let mut connected = connected.expect("run tinydock");
    let mut shown = BufReader::new(connected.stdout.take().expect("a pipe")).lines();
    assert_eq!(shown.next().expect("a line").expect("text"), "waits");
    host.run("exec runs touch /go").ok();
    shown.for_each(drop);
    assert_eq!(connected.wait().expect("wait for it").code(), Some(3));
}

#[test]
fn further_groups_are_the_images() {
    let host = Host::new();
    let done = host.run("run --rm --network none --group-add 77 --domainname example.org busybox id -G");
    assert_eq!(done.ok(), "0 77\n");
    assert!(
        host.run("run --rm --group-add nosuch busybox")
            .fails(125)
            .contains("`nosuch`")
    );
}

#[test]
fn what_fails_is_started_again_so_many_times() {
    let host = Host::new();
    host.start(&[
        "--network",
        "none",
        "--name",
        "fails",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo try; exit 3",
    ]);
    until("it has given up", || {
        host.status("fails") == "exited (3)" && host.run("logs fails").stdout == "try\n".repeat(3)
    });
    host.start(&[
        "--network",
        "none",
        "--name",
        "works",
        "--restart",
        "on-failure",
        "busybox",
        "true",
    ]);
    until("it has ended", || host.status("works") == "exited (0)");
    assert!(host.run("run --rm --restart always busybox").fails(125).contains("--restart"));
    assert!(host.run("run --restart sometimes busybox").fails(125).contains("sometimes"));
}

#[test]
fn what_somebody_stops_is_not_started_again() {
    let host = Host::new();
    for (name, end) in [("stopped", "stop -t 0 stopped"), ("killed", "kill killed")] {
        host.start(&[&["--network", "none", "--name", name, "--restart", "always"][..], &SLEEP].concat());
        host.run(end).ok();
        assert_eq!(host.status(name), "exited (137)");
    }
    // One that waits to be started again is stopped, too.
    host.start(&[
        "--network",
        "none",
        "--name",
        "waits",
        "--restart",
        "always",
        "busybox",
        "false",
    ]);
    until("it waits", || host.status("waits") == "restarting (1)");
    assert!(host.run("rm waits").fails(1).contains("restarting"));
    host.run("stop waits").ok();
    assert_eq!(host.status("waits"), "exited (1)");
    host.run("start waits").ok();
    until("it waits again", || host.status("waits") == "restarting (1)");
    host.run("rm -f waits").ok();
    let others = host.run("ls -aq").ok();
    assert_eq!(others.lines().count(), 2);
}

#[test]
fn a_container_that_is_started_again_has_its_network() {
    let host = Host::new();
    let script = "ip -4 addr show eth0 | grep -c inet; exit 1";
    host.start(&[
        "--name",
        "net",
        "--restart",
        "on-failure:3",
        "-p",
        "8080:80",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    until("it has given up", || {
        host.status("net") == "exited (1)" && host.run("logs net").stdout == "1\n".repeat(4)
    });
}

#[test]
fn a_container_whose_process_was_killed_is_started_again() {
    let host = Host::new();
    let script = "echo up; exec sleep 100";
    host.start(&[
        "--network",
        "none",
        "--name",
        "back",
        "--restart",
        "unless-stopped",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    until("it runs", || host.run("logs back").stdout == "up\n");
    host.sh(&format!("kill -9 {}", host.init("back"))).ok();
    until("it runs again", || host.run("logs back").stdout == "up\nup\n");
    assert_eq!(host.status("back"), "running");
    host.run("rm -f back").ok();
}

#[test]
fn containers_are_started_with_the_host_as_their_policies_say() {
    let host = Host::new();
    for (name, policy) in [
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("gone", "unless-stopped"),
        ("never", "no"),
    ] {
        host.start(
            &[
                &[
                    "--network",
                    "none",
                    "--name",
                    name,
                    "--restart",
                    policy,
                    "--stop-timeout",
                    "0",
                ][..],
                &SLEEP,
            ]
            .concat(),
        );
    }
    host.run("stop gone").ok();
    let stopped = host.run("system stop").ok();
    let mut names: Vec<&str> = stopped.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["always", "never", "unless"]);
    assert_eq!(host.run("ls -q").ok(), "");
    let started = host.run("system start").ok();
    let mut names: Vec<&str> = started.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["always", "unless"]);
    assert_eq!(host.status("gone"), "exited (137)");
    let unit = host.run("system enable --print").ok();
    assert!(
        unit.contains("system start\n") && unit.contains(&host.root().display().to_string()),
        "{unit}"
    );
    host.run("rm -f always unless gone never").ok();
}
