//! What is told of containers, and why they ended.

use std::fs::{self, File};
use std::process::Stdio;

use serde_json::json;

use crate::bundle::{Bundle, runtime};
use crate::host::{Host, until};
use crate::tracer::{self, Hold, Role};

/// The actions of the events that `words` select, in order.
fn actions(host: &Host, words: &str) -> Vec<String> {
    let events = host.run(&format!("events --since 10m --until 0s {words}")).ok();
    events
        .lines()
        .map(|line| line.split(' ').nth(2).expect("an action").to_string())
        .collect()
}

#[test]
fn events_tell_a_containers_life() {
    let host = Host::new();
    host.run("create --network none --name aa -l colour=red busybox sleep 100")
        .ok();
    host.run("start aa").ok();
    host.run("restart -t 0 aa").ok();
    host.run("kill -s USR1 aa").ok();
    host.run("rename aa bb").ok();
    host.run("rm -f bb").ok();
    let all = [
        "create", "start", "kill", "die", "stop", "start", "restart", "kill", "rename", "kill", "die", "destroy",
    ];
    assert_eq!(actions(&host, ""), all);
    assert_eq!(
        actions(&host, "-f event=die -f event=start"),
        ["start", "die", "start", "die"]
    );
    assert_eq!(actions(&host, "-f container=bb"), ["rename", "kill", "die", "destroy"]);
    assert_eq!(actions(&host, "-f label=colour=red -f event=create"), ["create"]);
    assert_eq!(actions(&host, "-f label=colour=blue"), [""; 0]);
    let json = host.run("events --since 10m --until 0s -f event=die --format json").ok();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["Type"], &first["Actor"]["Attributes"]["exitCode"]),
        (&"container".into(), &"137".into())
    );
    assert!(host.run("events --filter colour=red").fails(1).contains("colour"));
    assert!(host.run("events --since yesterday").fails(1).contains("yesterday"));
}

#[test]
fn events_come_as_they_happen() {
    let host = Host::new();
    let mut events = host.command(&["events", "-f", "event=die"]);
    let mut events = events.stdout(Stdio::piped()).spawn().expect("start events");
    let out = events.stdout.take().expect("a pipe");
    until("it watches", || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", events.id())).expect("its descriptors");
        links
            .flatten()
            .any(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.ends_with("anon_inode:inotify")))
    });
    for code in [3, 4] {
        host.tinydock(&[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            &format!("exit {code}"),
        ])
        .fails(code);
    }
    let lines = std::io::BufRead::lines(std::io::BufReader::new(out));
    let codes: Vec<String> = lines.take(2).map(|line| line.expect("a line")).collect();
    assert!(
        codes[0].contains("exitCode=3,") && codes[1].contains("exitCode=4,"),
        "{codes:?}"
    );
    events.kill().and_then(|()| events.wait()).expect("end it");
}

/// Whoever watches a container of the runtime's may come to look at its cgroup when that is gone.
#[test]
fn a_kill_for_want_of_memory_is_told_although_the_cgroup_is_gone() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "bundle");
    bundle.script("until [ -e /go ]; do sleep 0.01; done; exec tail /dev/zero");
    let limit = 16 << 20;
    bundle.config["linux"]["resources"]["memory"] = json!({ "limit": limit, "swap": limit });
    bundle.create_and_start("greedy");
    let told = host.path("told");
    let mut command = runtime(&host, &["events", "greedy"]);
    command.stdout(File::create(&told).expect("make a file"));
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Command,
            // It waits for the end of init, and for the kernel to kill.
            at: &|call| call.number == libc::SYS_ppoll && call.arguments[1] == 2,
            until: &mut |_| {
                fs::write(bundle.rootfs("go"), "").expect("let it go");
                until("its end", || bundle.status("greedy") == "stopped");
                bundle.tell(&["delete", "greedy"]).ok();
                true
            },
        },
    );
    assert!(was_held);
    assert_eq!(
        fs::read_to_string(told).expect("read"),
        "{\"type\":\"oom\",\"id\":\"greedy\"}\n"
    );
}
