//! Limits that change while a container runs, and stay when it is started again.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::host::{Host, until};
use crate::tracer::{self, Call, Hold, Role};

/// The value of a cgroup file as the container sees it, in whichever version the host has.
fn inside(host: &Host, name: &str, v2: &str, v1: &str) -> String {
    let script = "cat /sys/fs/cgroup/$0 2>/dev/null || cat /sys/fs/cgroup/$1";
    host.tinydock(&["exec", name, "sh", "-c", script, v2, v1]).ok().trim().into()
}

fn three(host: &Host, name: &str) -> [String; 3] {
    [
        inside(host, name, "memory.max", "memory/memory.limit_in_bytes"),
        inside(host, name, "pids.max", "pids/pids.max"),
        inside(host, name, "cpu.max", "cpu/cpu.cfs_quota_us"),
    ]
}

#[test]
fn update_changes_the_limits_of_a_container_that_runs_and_they_stay() {
    let host = Host::new();
    for name in ["one", "two"] {
        host.start(&["--name", name, "--network", "none", "-m", "64m", "busybox", "sleep", "100"]);
    }
    host.run("pause two").ok();
    let asked = ["update", "-m", "32m", "--pids-limit", "9", "--cpus", "0.5", "one", "two"];
    assert_eq!(host.tinydock(&asked).ok(), "one\ntwo\n");
    host.run("unpause two").ok();
    let limits = |memory: &str, pids: &str, cpu: &str| {
        let quota = |full: &str| full.split(' ').next() == Some(cpu);
        for name in ["one", "two"] {
            let [bytes, number, time] = three(&host, name);
            assert_eq!((bytes.as_str(), number.as_str()), (memory, pids), "{name}");
            assert!(quota(&time), "{name}: {time}");
        }
    };
    limits("33554432", "9", "50000");
    // More memory than memory and swap together before: what was not said follows.
    host.run("update -m 128m one two").ok();
    limits("134217728", "9", "50000");
    host.run("restart -t 0 one two").ok();
    limits("134217728", "9", "50000");
    host.run("stop -t 0 one").ok();
    host.run("update --pids-limit 11 one two").ok();
    host.run("start one").ok();
    limits("134217728", "11", "50000");
    host.run("rename one uno").ok();
    host.run("update --pids-limit -1 uno").ok();
    assert_eq!(three(&host, "uno")[1], "max");
    assert!(host.run("events --since 10m --until 0s").ok().contains("container update "));
}

#[test]
fn update_takes_back_all_if_the_kernel_refuses_one() {
    let host = Host::new();
    let shared = "head -c 40m /dev/zero > /dev/shm/full; echo full; sleep 100";
    let words = [
        "--name",
        "full",
        "--network",
        "none",
        "-m",
        "64m",
        "--memory-swap",
        "64m",
        "busybox",
        "sh",
        "-c",
    ];
    host.start(&[&words[..], &[shared]].concat());
    until("it is full", || host.run("logs full").stdout == "full\n");
    let record = || {
        let id = host.run("ls -q --no-trunc").ok();
        fs::read_to_string(host.root().join("container").join(id.trim()).join("spec")).expect("read the record")
    };
    let (limits, recorded) = (three(&host, "full"), record());
    let refused = host.run("update -m 16m --memory-swap 16m --pids-limit 7 full").fails(1);
    assert!(refused.contains("update container `full`: `--memory`"), "{refused}");
    assert!(refused.contains("in use"), "{refused}");
    assert_eq!((three(&host, "full"), record()), (limits, recorded));
    for (line, wrong) in [
        ("update full", "you must provide one or more flags"),
        (
            "update --memory-swap 32m full",
            "`--memory-swap`: minimum memoryswap limit should be larger",
        ),
        (
            "update -m 128m full",
            "`--memory-swap`: minimum memoryswap limit should be larger",
        ),
        (
            "update --cpuset-cpus 9999 full",
            "`--cpuset-cpus`: requested CPUs are not available",
        ),
        ("update --restart sometimes full", "invalid restart policy `sometimes`"),
        ("update --pids-limit 5 nosuch", "no such container: `nosuch`"),
    ] {
        let message = host.run(line).fails(1);
        assert!(message.contains(wrong), "{line}: {message}");
    }
}

/// In version 1, processors are a tree of their own, in which the container was not before.
#[test]
fn update_moves_a_container_to_other_processors() {
    let host = Host::new();
    let script = "while :; do sleep 0.01; done";
    host.start(&["--name", "moved", "--network", "none", "busybox", "sh", "-c", script]);
    let last = fs::read_to_string("/sys/devices/system/cpu/online").expect("the processors");
    let last = last.trim().rsplit(['-', ',']).next().expect("one").to_string();
    host.tinydock(&["update", "--cpuset-cpus", &last, "moved"]).ok();
    let script = "sed -n 's/Cpus_allowed_list:.//p' /proc/1/status /proc/self/status";
    let allowed = || host.tinydock(&["exec", "moved", "sh", "-c", script]).ok();
    assert_eq!(allowed(), format!("{last}\n{last}\n"));
    host.run("restart -t 0 moved").ok();
    assert_eq!(allowed(), format!("{last}\n{last}\n"));
}

/// Who starts a container has read its limits, and its first process comes into its cgroups after it counts as running.
#[test]
fn limits_that_change_while_a_container_is_started_count() {
    let host = Host::with_separate_cgroups();
    // Its monitor goes on alone when it knows the container.
    let is_alone = |call: &Call| call.number == libc::SYS_unshare && call.arguments[0] == libc::CLONE_FILES as u64;
    change_while_started(&host, Role::Monitor, &is_alone);
    change_while_started(&host, Role::Init, &|call| call.number == libc::SYS_sethostname);
}

/// Changes a container's limits while a process of its start is about to make a call.
fn change_while_started(host: &Host, role: Role, at: &dyn Fn(&Call) -> bool) {
    let mut command = host.start_command("begun", &[]);
    let is_there = || match role {
        Role::Init => host.status("begun").starts_with("running"),
        _ => host.status("begun") == "created",
    };
    let mut updating = None;
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role,
            at,
            until: &mut |_| {
                if updating.is_none() && !is_there() {
                    return false;
                }
                let begin = || {
                    let update = host.begin(&["update", "--cpuset-cpus", "0", "-m", "32m", "begun"]);
                    (Instant::now(), update)
                };
                let (since, _) = updating.get_or_insert_with(begin);
                since.elapsed() > Duration::from_millis(300)
            },
        },
    );
    assert!(was_held, "{role:?}");
    updating.expect("it has begun").1.join().expect("update").ok();
    let script = "sed -n 's/Cpus_allowed_list:.//p' /proc/1/status";
    assert_eq!(host.tinydock(&["exec", "begun", "sh", "-c", script]).ok(), "0\n", "{role:?}");
    assert_eq!(
        inside(host, "begun", "memory.max", "memory/memory.limit_in_bytes"),
        "33554432",
        "{role:?}"
    );
    host.run("rm -f begun").ok();
}

/// In version 1 it makes a directory. What is made for a container that is gone already nobody else would remove.
#[test]
fn nothing_is_left_of_an_update_of_a_container_that_ends() {
    let host = Host::with_separate_cgroups();
    for parent in ["", "/tinydock-test-above"] {
        let flags = ["--rm", "--name", "ending", "--network", "none", "--cgroup-parent", parent];
        let id = host.start(&[&flags[..], &["busybox", "sleep", "1000"]].concat());
        let mut command = host.command(&["update", "--cpuset-cpus", "0", "ending"]);
        command.stderr(Stdio::null());
        let mut is_asked = false;
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Command,
                at: &|call| call.number == libc::SYS_mkdir && call.path(0).contains("/cpuset/"),
                until: &mut |_| {
                    if !is_asked {
                        host.run("kill ending").ok();
                        is_asked = true;
                    }
                    host.run("ls -aq").ok().is_empty()
                },
            },
        );
        assert_eq!(was_held, Path::new("/sys/fs/cgroup/cpuset").exists());
        host.run("rm -f ending");
        let left = host.sh(&format!("find /sys/fs/cgroup -name {id}"));
        assert_eq!(left.ok(), "", "below `{parent}`");
    }
    host.sh("rmdir /sys/fs/cgroup/*/tinydock-test-above");
}

#[test]
fn s5_11_update_changes_the_restart_policy() {
    let host = Host::new();
    let script = "echo began; sleep 0.2; exit 3";
    host.start(&["--name", "policy", "--network", "none", "busybox", "sh", "-c", script]);
    host.run("update --restart on-failure:2 policy").ok();
    let logs = || host.run("logs policy").stdout.matches("began").count();
    until("it was started again twice", || {
        logs() == 3 && host.status("policy") == "exited (3)"
    });
    host.start(&["--rm", "--name", "gone", "--network", "none", "busybox", "sleep", "100"]);
    let refused = host.run("update --restart always gone").fails(1);
    assert!(
        refused.contains("`--restart`: a container that is removed when it ends"),
        "{refused}"
    );
}

/// Whoever cleans up after a container takes as long as the disk does. Until then it counts as one that will be started again.
#[test]
fn a_policy_that_changes_while_a_container_is_cleaned_up_after_counts() {
    let host = Host::new();
    let script = "echo began; exit 3";
    let mut command = host.command(&[
        "run",
        "-d",
        "--name",
        "policy",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    command.stdout(Stdio::null());
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Monitor,
            at: &|call| call.number == libc::SYS_rmdir && call.path(0).contains("/sys/fs/cgroup/"),
            until: &mut |_| {
                host.run("update --restart on-failure:1 policy").ok();
                host.status("policy").starts_with("restarting")
            },
        },
    );
    assert!(was_held);
    until("it was started again", || {
        host.run("logs policy").stdout == "began\nbegan\n" && host.status("policy") == "exited (3)"
    });
}
