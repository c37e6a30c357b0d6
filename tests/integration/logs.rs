//! What containers write, how it is kept, and who is shown it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::host::{Host, until};
use crate::tracer::{self, Kill, Role};

/// Writes the lines `1` to `N`.
fn count_to(last: u32) -> String {
    format!("i=1; while [ $i -le {last} ]; do echo $i; i=$((i+1)); done")
}

fn numbers(text: &str) -> Vec<u32> {
    text.lines()
        .map(|line| line.parse().unwrap_or_else(|_| panic!("{line:?}")))
        .collect()
}

/// The files of a container's log, newest first.
fn files(host: &Host, id: &str) -> Vec<PathBuf> {
    let names = (0..).map(|n| if n == 0 { "log".into() } else { format!("log.{n}") });
    let paths = names.map(|name| host.root().join("container").join(id).join(name));
    paths.take_while(|path| path.exists()).collect()
}

#[test]
fn s5_12_a_log_is_lines_of_json_as_docker_writes_them() {
    let host = Host::new();
    let id = host.start(&[
        "--name",
        "web",
        "--network",
        "none",
        "-l",
        "team=blue",
        "-e",
        "LEVEL=3",
        "--log-opt",
        "tag={{.Name}}",
        "--log-opt",
        "labels=team,none",
        "--log-opt",
        "env=LEVEL",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x",
    ]);
    assert_eq!(host.run("wait web").ok(), "0\n");
    let path = &files(&host, &id)[0];
    let text = fs::read_to_string(path).expect("read the log");
    let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata().expect("the log"));
    assert_eq!(mode & 0o777, 0o640);
    let attrs = r#""attrs":{"LEVEL":"3","tag":"web","team":"blue"}"#;
    for line in text.lines() {
        // The keys are in this order.
        let (head, time) = line.split_once(",\"time\":\"").expect("a time");
        assert!(head.starts_with("{\"log\":\"") && head.ends_with(attrs), "{line:.100}");
        assert!(time.ends_with("Z\"}") && time.len() == 32, "{time}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let logs: Vec<usize> = lines.iter().map(|line| line["log"].as_str().expect("text").len()).collect();
    assert_eq!(logs.iter().sum::<usize>(), 4 + 4 + 20000);
    assert_eq!(logs.iter().max(), Some(&((16 << 10) - 1)), "a long line is split");
    let logs = host.run("logs web");
    assert_eq!((logs.stdout.len(), logs.stderr.as_str()), (4 + 20000, "err\n"));
    let details = host.run("logs --details web").ok();
    assert!(details.starts_with("LEVEL=3,tag=web,team=blue out\n"), "{details:.100}");
}

#[test]
fn a_log_is_rotated_and_read_in_order() {
    let host = Host::new();
    for (most, kept) in [("1", 1), ("3", 3)] {
        let (size, file) = ("max-size=2k", format!("max-file={most}"));
        let id = host.start(&[
            "--network",
            "none",
            "--log-opt",
            size,
            "--log-opt",
            &file,
            "busybox",
            "sh",
            "-c",
            &count_to(200),
        ]);
        assert_eq!(host.tinydock(&["wait", &id]).ok(), "0\n");
        let files = files(&host, &id);
        assert_eq!(files.len(), kept);
        for file in &files {
            let text = fs::read_to_string(file).expect("read a file");
            assert!(text.len() <= 2000 && text.ends_with('\n'), "{}", text.len());
            text.lines()
                .for_each(|line| drop(serde_json::from_str::<Value>(line).expect("a whole line")));
        }
        let shown = numbers(&host.tinydock(&["logs", &id]).ok());
        assert_eq!(shown, (201 - shown.len() as u32..=200).collect::<Vec<_>>());
        for (tail, count) in [
            ("0", 0),
            ("5", 5),
            ("30", 30.min(shown.len())),
            ("all", shown.len()),
            ("-1", shown.len()),
        ] {
            assert_eq!(
                numbers(&host.tinydock(&["logs", "-n", tail, &id]).ok()),
                shown[shown.len() - count..],
                "{tail}"
            );
        }
    }
    let id = host.start(&["--network", "none", "busybox", "true"]);
    let spec = fs::read_to_string(host.root().join("container").join(id).join("spec")).expect("read the spec");
    assert!(spec.contains(r#""log":{"driver":"json-file","options":{}}"#), "{spec}");
}

#[test]
fn unknown_ways_to_log_are_refused_by_name() {
    let host = Host::new();
    for (flags, wrong) in [
        (["--log-driver", "journald"], "log driver `journald` is not available"),
        (["--log-opt", "max-lines=3"], "unknown log option `max-lines`"),
        (["--log-opt", "max-size=big"], "log option `max-size=big`"),
    ] {
        let message = host
            .tinydock(&[&["run"], &flags[..], &["busybox", "true"]].concat())
            .fails(125);
        assert!(message.contains(wrong), "{message}");
    }
    for driver in ["local", "json-file"] {
        let flags = ["--log-driver", driver, "--name", driver];
        assert_eq!(host.inside_kept(&flags, &["echo", "kept"]), "kept\n");
        assert_eq!(host.tinydock(&["logs", driver]).ok(), "kept\n");
    }
    assert_eq!(
        host.inside_kept(&["--log-driver", "none", "--name", "mute"], &["echo", "shown"]),
        "shown\n"
    );
    assert!(host.run("logs mute").fails(1).contains("`mute` keeps no log"));
}

#[test]
fn lines_are_found_by_their_time() {
    let host = Host::new();
    let script = "for i in 1 2 3 4; do echo $i; sleep 0.3; done";
    let id = host.start(&["--network", "none", "busybox", "sh", "-c", script]);
    assert_eq!(host.tinydock(&["wait", &id]).ok(), "0\n");
    let stamped = host.tinydock(&["logs", "-t", &id]).ok();
    let lines: Vec<(&str, &str)> = stamped.lines().map(|line| line.split_once(' ').expect("a time")).collect();
    let text = |arguments: &[&str]| host.tinydock(&[&["logs"], arguments, &[&id]].concat()).ok();
    assert_eq!(text(&["--since", lines[2].0]), "3\n4\n");
    assert_eq!(text(&["--until", lines[1].0]), "1\n2\n");
    assert_eq!(text(&["--since", lines[1].0, "--until", lines[2].0]), "2\n3\n");
    assert_eq!(text(&["--since", lines[0].0, "--tail", "1"]), "4\n");
    assert_eq!(text(&["--since", "1h", "--until", "1m"]), "");
    assert_eq!(text(&["--since", "1000000000.5", "-n", "2"]), "3\n4\n");
    assert_eq!(text(&["--since", "2001-09-09T01:46:40+02:00"]).lines().count(), 4);
    assert!(host.tinydock(&["logs", "--since", "then", &id]).fails(1).contains("`then`"));
    assert!(host.tinydock(&["logs", "--tail", "few", &id]).fails(1).contains("`few`"));
}

/// How many bytes a command reads from a container's log.
fn bytes_read(host: &Host, id: &str, arguments: &[&str]) -> (u64, String) {
    let trace = host.path("trace");
    let mut strace = Command::new("strace");
    let file = host.root().join("container").join(id).join("log");
    strace
        .args(["-f", "-P"])
        .arg(file)
        .args(["-e", "trace=read,pread64", "-o"])
        .arg(&trace);
    strace
        .arg(crate::host::TINYDOCK)
        .args(arguments)
        .arg(id)
        .env("TINYDOCK_ROOT", host.root());
    let output = strace.output().expect("run strace");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(trace).expect("read the trace");
    let results = text.lines().filter_map(|line| line.rsplit_once("= ")?.1.parse::<u64>().ok());
    (results.sum(), String::from_utf8_lossy(&output.stdout).into())
}

/// moby#31968, for-linux#972: both took as long as reading the whole log does.
#[test]
fn the_end_of_a_long_log_is_found_without_reading_it() {
    let host = Host::new();
    let id = host.start(&["--network", "none", "--log-opt", "max-size=-1", "busybox", "true"]);
    host.tinydock(&["wait", &id]).ok();
    let mut text = String::new();
    for n in 0..200_000 {
        let (hour, minute, second) = (n / 3600, n / 60 % 60, n % 60);
        let (day, hour) = (1 + hour / 24, hour % 24);
        text += &format!(
            "{{\"log\":\"{n}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.000000000Z\"}}\n"
        );
    }
    fs::write(&files(&host, &id)[0], &text).expect("write a log");
    let (read, shown) = bytes_read(&host, &id, &["logs", "--tail", "3"]);
    assert_eq!(shown, "199997\n199998\n199999\n");
    assert!(read < 100_000, "{read} bytes of {}", text.len());
    let (read, shown) = bytes_read(&host, &id, &["logs", "--since", "2026-01-03T07:33:18Z"]);
    assert_eq!(shown, "199998\n199999\n");
    assert!(read < 100_000, "{read} bytes of {}", text.len());
    let (read, shown) = bytes_read(
        &host,
        &id,
        &["logs", "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-02T00:00:01Z"],
    );
    assert_eq!(shown, "86400\n86401\n");
    assert!(read < 300_000, "{read} bytes of {}", text.len());
}

/// moby#37646, #39235: a follower lost its place when the log was rotated.
#[test]
fn a_follower_sees_each_line_once_whatever_is_rotated() {
    let host = Host::new();
    let script = format!(
        "read go; {}; sleep 0.5",
        count_to(3000).replace("echo $i", "echo $i; [ $((i % 20)) = 0 ] && sleep 0.01")
    );
    let mut run = host.spawn(&[
        "run",
        "-i",
        "--name",
        "many",
        "--network",
        "none",
        "--log-opt",
        "max-size=4k",
        "--log-opt",
        "max-file=3",
        "busybox",
        "sh",
        "-c",
        &script,
    ]);
    until("it runs", || host.run("ls -q").stdout.len() > 10);
    let mut follower = host.spawn(&["logs", "-f", "many"]);
    thread::sleep(Duration::from_millis(300));
    std::io::Write::write_all(run.stdin.as_mut().expect("a pipe"), b"go\n").expect("let it go");
    let mut shown = String::new();
    follower
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut shown)
        .expect("read");
    assert!(follower.wait().expect("its end").success());
    assert_eq!(numbers(&shown), (1..=3000).collect::<Vec<_>>());
    run.wait_with_output().expect("its end");
}

#[test]
fn a_follower_goes_on_when_a_container_is_started_again() {
    let host = Host::new();
    host.start(&[
        "--name",
        "again",
        "--network",
        "none",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo turn; sleep 0.3; exit 3",
    ]);
    assert_eq!(host.run("logs -f again").ok(), "turn\nturn\nturn\n");
}

#[test]
fn following_ends_at_a_time() {
    let host = Host::new();
    host.start(&[
        "--name",
        "long",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo here; sleep 1000",
    ]);
    until("it has said so", || host.run("logs long").stdout == "here\n");
    let end = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        + Duration::from_secs(1);
    let end = format!("{}.{:09}", end.as_secs(), end.subsec_nanos());
    assert_eq!(host.tinydock(&["logs", "-f", "--until", &end, "long"]).ok(), "here\n");
}

/// Whoever is killed while a log is rotated leaves whole lines in their order, and the next start goes on in a new line.
#[test]
fn a_monitor_is_killed_while_it_rotates() {
    let host = Host::new();
    let script = count_to(25);
    let flags = [
        "run",
        "--name",
        "torn",
        "--network",
        "none",
        "--log-opt",
        "max-size=300",
        "--log-opt",
        "max-file=9",
    ];
    let run = [&flags[..], &["busybox", "sh", "-c", &script]].concat();
    let mut torn = 0;
    for call in 0.. {
        let mut command = host.command(&run);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if !tracer::run(
            &mut command,
            &[],
            Kill {
                role: Role::Monitor,
                call,
            },
        ) {
            break;
        }
        let logs = host.run("logs torn");
        if logs.code != 0 {
            // It was killed before there was a container.
            host.run("rm -f torn");
            continue;
        }
        let shown = numbers(&logs.stdout);
        assert_eq!(shown, (1..=shown.len() as u32).collect::<Vec<_>>(), "killed at call {call}");
        let id = host.run("ls -aq --no-trunc").ok();
        if let Some(file) = files(&host, id.trim()).first() {
            let mut text = fs::read_to_string(file).expect("read the log");
            if call % 3 == 0 && !text.is_empty() {
                text += "{\"log\":\"never fin";
                fs::write(file, text).expect("tear a line");
                torn += 1;
            }
            host.run("start -a torn").ok();
            let all = numbers(&host.run("logs torn").ok());
            assert_eq!(
                all[all.len() - 25..],
                (1..=25).collect::<Vec<_>>(),
                "started after it was killed at call {call}"
            );
        }
        host.run("rm -f torn").ok();
    }
    assert!(torn > 5, "only {torn} lines were torn");
}

#[test]
fn a_full_disk_loses_lines_and_tears_none() {
    let host = Host::new();
    host.sh("mkdir -p root && mount -t tmpfs -o size=8m tmpfs root").ok();
    let flags = ["--name", "full", "--network", "none", "-i", "--log-opt", "max-size=-1"];
    let script = "echo first; read go; yes 0123456789 | head -n 3000; read go; echo last";
    let mut run = host.spawn(&[&["run"], &flags[..], &["busybox", "sh", "-c", script]].concat());
    let mut lines = BufReader::new(run.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "first");
    host.sh("dd if=/dev/zero of=root/filler bs=4k 2>/dev/null || true").ok();
    let mut go = run.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut go, b"go\n").expect("let it go");
    assert_eq!(lines.by_ref().take(3000).count(), 3000);
    host.sh("rm root/filler").ok();
    std::io::Write::write_all(&mut go, b"go\n").expect("let it go");
    assert_eq!(lines.next().expect("a line").expect("text"), "last");
    run.wait().expect("its end");
    let logs = host.run("logs full").ok();
    assert!(logs.starts_with("first\n") && logs.ends_with("\nlast\n"), "{:.200}", logs);
    assert!(logs.lines().count() < 3000, "the disk was full");
    host.run("rm full").ok();
    host.sh("umount root").ok();
}
