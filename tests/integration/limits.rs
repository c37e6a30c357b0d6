//! Limits hold before the command runs, and what they did to it is told.

use crate::host::{Host, until};

/// The value of a cgroup file as the container sees it, in whichever version the host has.
const READ: &str = "cat /sys/fs/cgroup/$0 2>/dev/null || cat /sys/fs/cgroup/$1";

#[test]
fn limits_are_set() {
    let host = Host::new();
    let limits = [
        "run",
        "--rm",
        "--network",
        "none",
        "-m",
        "32m",
        "-c",
        "0.5",
        "--pids-limit",
        "20",
        "busybox",
        "sh",
        "-c",
    ];
    let read = |v2: &str, v1: &str| host.tinydock(&[&limits[..], &[READ, v2, v1]].concat()).ok();
    assert_eq!(read("memory.max", "memory/memory.limit_in_bytes").trim(), "33554432");
    assert_eq!(read("pids.max", "pids/pids.max").trim(), "20");
    assert!(read("cpu.max", "cpu/cpu.cfs_quota_us").starts_with("50000"));
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    let host = Host::new();
    let script = "for i in $(seq 1 30); do sleep 2 & done; wait";
    let done = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--pids-limit",
        "10",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert!(done.stderr.contains("can't fork"), "{done:?}");
}

#[test]
fn an_oom_kill_is_recorded_and_shown() {
    let host = Host::new();
    let script = "head -c 100m /dev/zero | tail -c 90m > /dev/null";
    host.tinydock(&[
        "run",
        "--name",
        "greedy",
        "--network",
        "none",
        "-m",
        "16m",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert!(
        host.status("greedy").contains("OOM") || host.status("greedy").contains("out of memory"),
        "{}",
        host.status("greedy")
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let host = Host::new();
    let cores = std::thread::available_parallelism().expect("a count of cores").get();
    let asked = (cores + 1).to_string();
    let message = host.tinydock(&["run", "--rm", "-c", &asked, "busybox", "true"]).fails(125);
    assert!(
        message.contains(&format!("specified CPU limit ({asked}.00) exceeds available cores ({cores})")),
        "{message}"
    );
    for bad in ["-m=lots", "-m=1k", "-c=-1", "-c=x", "--pids-limit=x"] {
        let message = host.tinydock(&["run", "--rm", bad, "busybox", "true"]).fails(125);
        assert!(message.contains(bad.split_once('=').expect("a value").1), "{bad}: {message}");
    }
}

#[test]
fn exec_is_limited_too() {
    let host = Host::new();
    host.start(&[
        "--name",
        "small",
        "--network",
        "none",
        "--pids-limit",
        "7",
        "busybox",
        "sleep",
        "100",
    ]);
    let done = host
        .tinydock(&["exec", "small", "sh", "-c", READ, "pids.current", "pids/pids.current"])
        .ok();
    assert!(done.trim().parse::<u32>().expect("a number") >= 2, "{done}");
    until("the command is gone", || {
        host.tinydock(&["exec", "small", "cat", "/proc/1/comm"]).stdout == "sleep\n"
    });
}

#[test]
fn what_brings_a_command_in_is_gone_when_the_command_runs() {
    let host = Host::new();
    host.start(&[
        "--network",
        "none",
        "--name",
        "small",
        "--pids-limit",
        "3",
        "busybox",
        "sleep",
        "1000",
    ]);
    for _ in 0..60 {
        let listed = host.tinydock(&["exec", "small", "sh", "-c", "ls -d /; true"]).ok();
        assert_eq!(listed, "/\n");
    }
}

#[test]
fn a_command_that_there_is_no_room_for_says_so() {
    let host = Host::new();
    host.start(&[
        "--network",
        "none",
        "--name",
        "full",
        "--pids-limit",
        "2",
        "busybox",
        "sleep",
        "1000",
    ]);
    let message = host.tinydock(&["exec", "full", "true"]).fails(125);
    let end = ": resource temporarily unavailable\n";
    assert!(message.contains(", clone(") && message.ends_with(end), "{message}");
}

#[test]
fn exec_joins_an_init_that_has_cgroups_of_its_own() {
    let host = Host::new();
    // As systemd does, which enters one below the container's and, in version 2, enables controllers for those there.
    let script = "cd /sys/fs/cgroup/memory 2>/dev/null || cd /sys/fs/cgroup; \
         mkdir own && echo 1 >own/cgroup.procs && { test -e tasks || echo +memory >cgroup.subtree_control; } && echo managed; \
         exec sleep 1000";
    let own = [
        "--network",
        "none",
        "--name",
        "own",
        "--privileged",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    host.start(&own);
    until("it manages its own", || host.tinydock(&["logs", "own"]).stdout == "managed\n");
    let place = host
        .tinydock(&["exec", "own", "grep", "-E", ":memory:|^0:", "/proc/self/cgroup"])
        .ok();
    assert_eq!(place.lines().filter(|line| line.ends_with(":/own")).count(), 1, "{place}");
}

#[test]
fn s5_16_swap_is_as_much_as_memory_unless_it_is_said() {
    let host = Host::new();
    let swap = |flags: &[&str]| {
        let script = "cat /sys/fs/cgroup/memory.swap.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes";
        host.inside(flags, "busybox", &["sh", "-c", script]).ok().trim().to_string()
    };
    // Version 2 counts swap alone.
    assert!(["67108864", "33554432"].contains(&swap(&["-m", "32m"]).as_str()));
    assert!(["50331648", "16777216"].contains(&swap(&["-m", "32m", "--memory-swap", "48m"]).as_str()));
    assert!(["33554432", "0"].contains(&swap(&["-m", "32m", "--memory-swap", "32m"]).as_str()));
    let none = swap(&["-m", "32m", "--memory-swap", "-1"]);
    assert!(
        none == "max" || none.parse::<u64>().is_ok_and(|bytes| bytes > 1 << 60),
        "{none}"
    );
}

#[test]
fn processors_and_shares_are_set() {
    let host = Host::new();
    let flags = [
        "--cpuset-cpus",
        "0",
        "--cpu-shares",
        "512",
        "--cpu-period",
        "50000",
        "--cpu-quota",
        "20000",
    ];
    let script = "cd /sys/fs/cgroup; grep Cpus_allowed_list /proc/self/status
        cat cpu.max 2>/dev/null || echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us)
        cat cpu.weight 2>/dev/null || cat cpu/cpu.shares";
    let seen = host.inside(&flags, "busybox", &["sh", "-c", script]).ok();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..2], ["Cpus_allowed_list:\t0", "20000 50000"]);
    assert!(["512", "59"].contains(&lines[2]), "{seen}");
}

#[test]
fn who_is_killed_first_is_set_for_exec_as_well() {
    let host = Host::new();
    host.start(&[
        "--name",
        "first",
        "--network",
        "none",
        "--oom-score-adj",
        "300",
        "busybox",
        "sleep",
        "100",
    ]);
    let script = "cat /proc/1/oom_score_adj /proc/self/oom_score_adj";
    assert_eq!(host.tinydock(&["exec", "first", "sh", "-c", script]).ok(), "300\n300\n");
    let users = host.inside(
        &["--userns", "auto", "--oom-score-adj", "300"],
        "busybox",
        &["cat", "/proc/self/oom_score_adj"],
    );
    assert_eq!(users.ok(), "300\n");
}

#[test]
fn cgroups_are_made_below_the_one_that_is_asked_for() {
    let host = Host::new();
    let parent = format!("{}-else/below", host.label());
    host.start(&[
        "--name",
        "below",
        "--network",
        "none",
        "--cgroup-parent",
        &parent,
        "busybox",
        "sleep",
        "100",
    ]);
    // Directories of others come and go while all are looked through, which `find` complains of.
    let find = format!("find /sys/fs/cgroup -path '*{parent}/*' -type d 2> /dev/null || true");
    let groups = || host.sh(&find).ok();
    let table = std::fs::read_to_string(format!("/proc/{}/cgroup", host.init("below"))).expect("its cgroups");
    assert!(table.contains(&format!("/{parent}/")), "{table}");
    assert!(!groups().is_empty());
    // Devices are refused there as well.
    let script = "mknod /disk b 8 0; cat /disk";
    let refused = host.tinydock(&["exec", "below", "sh", "-c", script]).fails(1);
    assert!(refused.contains("Operation not permitted"), "{refused}");
    host.run("pause below").ok();
    host.run("rm -f below").ok();
    assert_eq!(groups(), "");
    // Neither is anything left if its monitor is killed.
    let id = host.start(&[
        "--network",
        "none",
        "--cgroup-parent",
        &parent,
        "--rm",
        "busybox",
        "sleep",
        "100",
    ]);
    host.sh(&format!("kill -9 $(ps -o ppid= -p {})", host.init_of(&id))).ok();
    until("the next command cleans up", || {
        host.run("ls").ok();
        groups().is_empty()
    });
    host.sh(&format!(
        "find /sys/fs/cgroup -path '*{}-else*' -type d | sort -r | xargs rmdir",
        host.label()
    ))
    .ok();
}

#[test]
fn what_nothing_can_be_done_about_is_named() {
    let host = Host::new();
    for (flags, wrong) in [
        ("-m 4m", "memory limit `4m` is below the smallest one (6m)"),
        (
            "-m 64m --memory-swap 32m",
            "`--memory-swap`: minimum memoryswap limit should be larger",
        ),
        ("--memory-swap 64m", "`--memory-swap`: you should always set the memory limit"),
        (
            "-m 32m --memory-reservation 64m",
            "`--memory-reservation`: minimum memory limit can not be less",
        ),
        ("--cpus 0.5 --cpu-quota 5000", "`--cpus` and `--cpu-quota` cannot both be set"),
        ("--cpu-period 10", "`--cpu-period`: 10 is not between 1000 and 1000000"),
        ("--cpuset-cpus 9999", "`--cpuset-cpus`: requested CPUs are not available"),
        ("--blkio-weight 5", "`--blkio-weight`: 5 is not between 10 and 1000"),
        (
            "--device-read-bps /dev/nosuch:1mb",
            "`--device-read-bps`: `/dev/nosuch`: no such file",
        ),
        (
            "--device-write-iops /dev/null:5",
            "`--device-write-iops`: `/dev/null` is no block device",
        ),
        ("--oom-score-adj 2000", "`--oom-score-adj`: invalid value 2000"),
        ("--kernel-memory 8m", "`--kernel-memory`"),
        ("--cpu-count 2", "`--cpu-count` is for containers of Windows"),
        ("--isolation process", "invalid isolation `process`"),
    ] {
        let message = host.run(&format!("run --rm {flags} busybox true")).fails(125);
        assert!(message.contains(wrong), "{flags}: {message}");
    }
    host.run("run --rm --network none --isolation default -m 0 --cpus 0 --pids-limit 0 busybox true")
        .ok();
}

/// Records of earlier versions have three limits, in a form of their own.
#[test]
fn containers_of_earlier_versions_keep_their_limits() {
    let host = Host::new();
    let id = host.run("create --name old --network none busybox sleep 100").ok();
    let path = host.root().join("container").join(id.trim()).join("spec");
    let record = std::fs::read_to_string(&path).expect("read the record");
    assert!(record.contains(r#""limits":{}"#), "{record}");
    let old = record.replace(r#""limits":{}"#, r#""limits":{"cpus":0.5,"memory":33554432,"pids":20}"#);
    std::fs::write(&path, old).expect("write the record");
    host.run("start old").ok();
    let read = |v2: &str, v1: &str| host.tinydock(&["exec", "old", "sh", "-c", READ, v2, v1]).ok();
    assert_eq!(read("memory.max", "memory/memory.limit_in_bytes").trim(), "33554432");
    assert_eq!(read("pids.max", "pids/pids.max").trim(), "20");
    assert!(read("cpu.max", "cpu/cpu.cfs_quota_us").starts_with("50000"));
}

/// Where there is no tree of version 2, cgroups are made while init mounts.
#[test]
fn a_command_is_in_its_cgroups_from_the_beginning() {
    let host = Host::with_separate_cgroups();
    let limits =
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2> /dev/null || cat memory.max; sleep 1 & sleep 1 & sleep 1 & wait";
    let run = [
        "run",
        "--rm",
        "--network",
        "none",
        "-m",
        "64m",
        "--pids-limit",
        "3",
        "busybox",
        "sh",
        "-c",
        limits,
    ];
    let done = host.tinydock(&run);
    assert_eq!(done.stdout, "67108864\n");
    assert!(done.stderr.contains("can't fork"), "{done:#?}");
}

#[test]
fn nothing_runs_where_cgroups_cannot_be_made() {
    let host = Host::with_separate_cgroups();
    host.sh("tree=/sys/fs/cgroup; [ ! -d $tree/pids ] || tree=$tree/pids
        mount --bind $tree $tree; mount -o remount,bind,ro $tree")
        .ok();
    let error = host.run("run --network none busybox echo it runs").fails(125);
    assert!(
        error.contains("/sys/fs/cgroup") && error.contains("read-only file system"),
        "{error}"
    );
    assert_eq!(host.run("ps -aq").ok().lines().count(), 1, "it can be started later");
    host.run("container prune -f").ok();
    host.until_nothing_is_left();
}
