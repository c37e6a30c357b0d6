//! What a container may not do.

use crate::engine::{Engine, for_both};

for_both!(
    capabilities_and_system_calls_are_few,
    what_the_host_has_is_hidden,
    only_given_devices_can_be_used,
);

fn capabilities_and_system_calls_are_few(engine: &Engine) {
    let status = |flags: &[&str]| {
        let done = engine.inside(flags, "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status");
        let text = done.ok();
        text.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ")
    };
    let all = |set: &str, ambient: &str, rest: &str| {
        format!("CapInh: {ambient} CapPrm: {set} CapEff: {set} CapBnd: {set} CapAmb: {ambient} {rest}")
    };
    let (none, some) = ("0000000000000000", "0000000000002000");
    let usual = "00000000a80425fb";
    assert_eq!(status(&[]), all(usual, none, "NoNewPrivs: 0 Seccomp: 2"));
    let flags = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    assert_eq!(status(&flags), all(none, none, "NoNewPrivs: 1 Seccomp: 2"));
    let flags = [
        "--cap-drop",
        "ALL",
        "--cap-add",
        "NET_RAW",
        "--security-opt",
        "seccomp=unconfined",
    ];
    assert_eq!(status(&flags), all(some, none, "NoNewPrivs: 0 Seccomp: 0"));
    let user = status(&["-u", "1000"]);
    assert!(user.contains(&format!("CapPrm: {none} CapEff: {none}")), "{user}");
    // Podman leaves it to the host to forbid user namespaces.
    assert_eq!(engine.inside(&[], "unshare -U true").code == 0, engine.is_podman());
    engine.inside(&[], "mount -t tmpfs tmpfs /tmp").fails(1);
    engine.inside(&["--cap-add", "SYS_ADMIN"], "mount -t tmpfs tmpfs /tmp").ok();
}

fn what_the_host_has_is_hidden(engine: &Engine) {
    let masked = "cat /proc/kcore /proc/timer_list /proc/keys | wc -c; ls /sys/firmware | wc -l";
    assert_eq!(engine.inside(&[], masked).ok(), "0\n0\n");
    for path in ["/proc/sys/kernel/panic", "/sys/kernel/uevent_seqnum"] {
        let done = engine.inside(&[], &format!("echo 0 > {path}"));
        assert!(done.code != 0 && done.stderr.contains("Read-only"), "{done:?}");
    }
    let flags = ["--read-only", "--tmpfs", "/scratch"];
    let done = engine.inside(&flags, "touch /scratch/mine && touch /dev/shm/mine && touch /etc/mine");
    assert!(done.code != 0 && done.stderr.contains("/etc/mine: Read-only"), "{done:?}");
    // Nothing that the engine or the runtime has open is passed on.
    assert_eq!(engine.inside(&[], "ls /proc/self/fd | xargs").ok(), "0 1 2 3\n");
    engine.start("web", &[], "sleep 1000");
    assert_eq!(
        engine.exec("web", "ls /proc/1/fd | xargs; ls /proc/self/fd | xargs").ok(),
        "0 1 2\n0 1 2 3\n"
    );
}

fn only_given_devices_can_be_used(engine: &Engine) {
    let usual = engine
        .inside(
            &[],
            "stat -c '%A %t,%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty",
        )
        .ok();
    let lines: Vec<&str> = usual.lines().collect();
    let devices = ["1,3", "1,5", "1,7", "1,8", "1,9", "5,0"];
    for (line, device) in lines.iter().zip(devices) {
        assert_eq!(*line, format!("crw-rw-rw- {device}"));
    }
    assert_eq!(lines.len(), 6);
    let done = engine.inside(&[], "echo x > /dev/null && head -c 9 /dev/zero > /dev/full");
    assert!(done.stderr.contains("No space left"), "{done:?}");
    assert_eq!(
        engine
            .inside(&[], "head -c 9 /dev/urandom | wc -c; test -c /dev/ptmx && readlink /dev/fd")
            .ok(),
        "9\n/proc/self/fd\n"
    );
    // Without the cgroup's say, a device that nobody serves is `No such device or address`.
    let done = engine.inside(&["--cap-add", "MKNOD"], "mknod /tmp/disk b 240 0; cat /tmp/disk");
    assert!(done.stderr.contains("Operation not permitted"), "{done:?}");
    engine.host.sh("mknod given c 1 5").ok();
    let flags = ["--device", &format!("{}:/dev/given:r", engine.host.place("given"))];
    assert_eq!(engine.inside(&flags, "head -c 5 /dev/given | wc -c").ok(), "5\n");
}
