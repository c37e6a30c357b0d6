//! What a container sees and what it may do.

use std::fs;

use crate::host::Host;

/// Runs a script in a new busybox container without network.
#[track_caller]
fn inside(host: &Host, script: &str) -> String {
    host.inside(&[], "busybox", &["sh", "-c", script]).ok()
}

#[test]
fn all_namespaces_are_new() {
    let host = Host::new();
    for kind in ["pid", "mnt", "uts", "ipc", "net", "cgroup", "time"] {
        let path = format!("/proc/self/ns/{kind}");
        let Ok(outside) = fs::read_link(&path) else { continue };
        assert_ne!(
            inside(&host, &format!("readlink {path}")).trim(),
            outside.to_string_lossy(),
            "{kind}"
        );
    }
    assert_eq!(inside(&host, "echo $$; hostname | wc -c"), "1\n13\n");
}

#[test]
fn no_mount_of_the_host_is_left() {
    let host = Host::new();
    let mounts = inside(&host, "cat /proc/mounts");
    let targets: Vec<&str> = mounts.lines().map(|line| line.split(' ').nth(1).expect("a target")).collect();
    assert_eq!(targets.iter().filter(|target| **target == "/").count(), 1, "{mounts}");
    let known = ["/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    for target in &targets {
        assert!(
            *target == "/" || known.iter().any(|known| target.starts_with(known)),
            "{target} in\n{mounts}"
        );
    }
    assert!(mounts.lines().any(|line| line.contains(" /sys sysfs ro,")), "{mounts}");
    assert!(mounts.lines().any(|line| line.contains(" /proc/sys proc ro,")), "{mounts}");
}

#[test]
fn s5_7_devices_are_the_usual_ones() {
    let host = Host::new();
    let names = inside(&host, "ls /dev");
    let usual = [
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ];
    assert_eq!(names.split_whitespace().collect::<Vec<_>>(), usual);
    assert_eq!(
        inside(
            &host,
            "echo lost > /dev/null; head -c 3 /dev/zero | od -An -tx1; df -k /dev/shm | tail -1 | awk '{print $2}'"
        ),
        " 00 00 00\n65536\n"
    );
    // mknod is allowed, as with Docker; the cgroup's device filter keeps the device from being opened.
    let denied = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "mknod /d b 254 0 && cat /d",
    ]);
    assert!(denied.stderr.contains("not permitted"), "{denied:?}");
}

#[test]
fn s5_8_only_default_capabilities_are_left() {
    let host = Host::new();
    assert_eq!(
        inside(&host, "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status"),
        "CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n"
    );
    let other = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "-u",
        "1000:1000",
        "busybox",
        "sh",
        "-c",
        "id -u; id -g; grep CapEff /proc/self/status",
    ]);
    assert_eq!(other.ok(), "1000\n1000\nCapEff:\t0000000000000000\n");
}

#[test]
fn s5_9_secrets_of_the_host_are_masked_and_settings_read_only() {
    let host = Host::new();
    assert_eq!(
        inside(
            &host,
            "cat /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls /sys/firmware /proc/acpi | grep -v : | tr -d '\\n'"
        ),
        "0\n"
    );
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/fs/cgroup/pids/pids.max",
    ] {
        let done = host.tinydock(&[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            &format!("test ! -e {path} || echo x > {path}"),
        ]);
        assert!(done.code == 0 || done.stderr.contains("Read-only"), "{path}: {done:?}");
    }
}

#[test]
fn nothing_of_ours_is_inherited() {
    let host = Host::new();
    let script = "ls /proc/self/fd | wc -l; env | grep -v -E '^(PATH|HOME|HOSTNAME|SHLVL|PWD)='; true";
    // The fourth is of `ls` itself.
    assert_eq!(
        host.sh(&format!(
            "exec 5</etc/passwd 9</tmp; SECRET=x $TINYDOCK run --rm --network none busybox sh -c \"{script}\""
        ))
        .ok(),
        "4\n"
    );
}

#[test]
fn arguments_arrive_intact() {
    let host = Host::new();
    let done = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "busybox",
        "printf",
        "[%s]",
        "a b",
        "",
        "line\nbreak",
        "$HOME",
        "--rm",
        "ü",
    ]);
    assert_eq!(done.ok(), "[a b][][line\nbreak][$HOME][--rm][ü]");
}

#[test]
fn s5_6_environment_and_directory_are_what_was_asked_for() {
    let host = Host::new();
    let done = host.sh("FROM_HOST=h $TINYDOCK run --rm --network none -e A=1 -e 'B=two words' -e FROM_HOST -e UNSET -w /tmp busybox sh -c 'echo $A,$B,$FROM_HOST,${UNSET-none},$PWD,$HOME'");
    assert_eq!(done.ok(), "1,two words,h,none,/tmp,/root\n");
    host.start(&["--name", "web", "--network", "none", "busybox", "sleep", "100"]);
    for nameless in ["", "=x"] {
        for line in [
            ["run", "-e", nameless, "busybox", "env"],
            ["exec", "-e", nameless, "web", "env"],
        ] {
            let wrong = host.tinydock(&line).fails(125);
            assert!(wrong.contains(&format!("`{nameless}`: its name is empty")), "{wrong}");
        }
    }
}

#[test]
fn exit_codes_are_those_of_docker() {
    let host = Host::new();
    host.run("run --rm --network none busybox sh -c").fails(2);
    host.tinydock(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 42"])
        .fails(42);
    host.tinydock(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "kill -9 $$"])
        .fails(0);
    assert!(
        host.run("run --rm --network none busybox no-such-command")
            .fails(127)
            .contains("no-such-command")
    );
    assert!(
        host.run("run --rm --network none busybox /etc/passwd")
            .fails(126)
            .contains("permission denied")
    );
    assert!(host.run("run --rm no-such-image true").fails(125).contains("no-such-image"));
    assert!(host.run("run --no-such-flag busybox").fails(125).contains("no-such-flag"));
}
