//! What containers use, and what runs in them.

use std::io::{BufRead, BufReader};
use std::thread::sleep;
use std::time::Duration;

use crate::host::{Host, until};

const HEADING: &str = "CONTAINER ID   NAME";

fn column(host: &Host, line: &str, name: &str) -> String {
    let json = host.run(&format!("stats --no-stream --format json {line}")).ok();
    let value: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    value[name].as_str().expect(name).to_string()
}

#[test]
fn s5_16_stats_tell_what_a_container_uses() {
    let host = Host::new();
    let script = "head -c 20m /dev/zero > /dev/shm/used; sleep 100 & sleep 100 & while :; do :; done";
    let words = [
        "--name",
        "busy",
        "--network",
        "none",
        "-m",
        "64m",
        "-c",
        "0.5",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    let id = host.start(&words);
    until("its memory is used", || {
        let used = column(&host, "busy", "MemUsage");
        used.ends_with("MiB / 64MiB") && used[..2].parse::<u32>().is_ok_and(|used| (20..30).contains(&used))
    });
    until("its processes are there", || column(&host, "busy", "PIDs") == "3");
    let percent: f64 = column(&host, "busy", "CPUPerc")
        .trim_end_matches('%')
        .parse()
        .expect("a number");
    assert!((1.0..75.0).contains(&percent), "{percent}");
    let table = host.run("stats --no-stream").ok();
    assert!(table.starts_with(HEADING) && table.contains(&id[..12]), "{table}");
    assert!(host.run("stats --no-stream --no-trunc busy").ok().contains(&id));
    host.run("kill busy").ok();
    until("it has ended", || host.status("busy") == "exited (137)");
    assert_eq!(host.run("stats --no-stream").ok().lines().count(), 1);
    assert!(host.run("stats -a --no-stream").ok().contains("0B / 0B"));
    assert!(host.run("stats --no-stream nosuch").fails(1).contains("no such container"));
}

#[test]
fn stats_count_what_goes_through_a_containers_interface() {
    let host = Host::new();
    let script = "ping -c 3 -i 0.1 -s 1000 172.26.0.1 > /dev/null; echo sent; sleep 100";
    host.start(&["--name", "talks", "busybox", "sh", "-c", script]);
    until("it has talked", || host.run("logs talks").stdout == "sent\n");
    let traffic = column(&host, "talks", "NetIO");
    let (received, sent) = traffic.split_once(" / ").expect("two");
    assert!(received.ends_with("kB") && sent.ends_with("kB"), "{traffic}");
}

#[test]
fn stats_go_on_each_second_until_nobody_reads_them() {
    let host = Host::new();
    host.start(&["--name", "watched", "--network", "none", "busybox", "sleep", "100"]);
    let mut stats = host.spawn(&["stats", "watched"]);
    let mut lines = BufReader::new(stats.stdout.take().expect("its output")).lines();
    for _ in 0..2 {
        let heading = lines.next().expect("a line").expect("text");
        assert!(
            heading.starts_with(HEADING),
            "no escapes where there is no terminal: {heading:?}"
        );
        assert!(lines.next().expect("a line").expect("text").contains("watched"));
    }
    drop(lines);
    until("it ends", || stats.try_wait().expect("wait").is_some());
}

#[test]
fn top_lists_the_processes_of_a_container() {
    let host = Host::new();
    host.start(&[
        "--name",
        "many",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "sleep 321 & sleep 322; true",
    ]);
    until("all are there", || host.run("top many").ok().contains("sleep 322"));
    let list = host.run("top many").ok();
    assert_eq!(list.lines().count(), 4, "{list}");
    for word in ["UID", "PID", "PPID", "STIME", "TTY", "TIME", "CMD", "sleep 321", "root"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    let pids = host.run("container top many -o pid,args").ok();
    assert!(
        pids.contains(&host.init("many").to_string()) && !pids.contains("TTY"),
        "{pids}"
    );
    assert!(host.run("top many -o args").fails(1).contains("couldn't find PID field"));
    // A host without ps: the same columns.
    let mut alone = host.command(&["top", "many"]);
    let alone = alone.env("PATH", "/nowhere").output().expect("run it");
    let own = String::from_utf8(alone.stdout).expect("text");
    let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
    assert_eq!(
        words(own.lines().next().expect("a head")),
        words(list.lines().next().expect("a head"))
    );
    assert_eq!(own.lines().count(), 4, "{own}");
    assert!(own.contains("sleep 321"), "{own}");
    host.run("kill many").ok();
    sleep(Duration::from_millis(10));
    assert!(host.run("top many").fails(1).contains("container `many` is not running"));
}

#[test]
fn an_interface_may_have_a_name_that_is_no_text() {
    let host = Host::new();
    let rename = "ping -c 1 -w 5 $(ip route | cut -d ' ' -f 3 | head -n 1) > /dev/null
        ip link set eth0 down && ip link set eth0 name $(printf 'x\\377') && ip link set $(printf 'x\\377') up && echo renamed
        sleep 100";
    host.start(&["--name", "named", "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", rename]);
    until("it has another name", || host.run("logs named").ok() == "renamed\n");
    let used = column(&host, "named", "NetIO");
    assert!(!used.starts_with("0B"), "{used}");
}
