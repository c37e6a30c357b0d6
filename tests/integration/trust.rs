//! What a container is trusted with beyond the usual: devices of the host, and everything.

use std::fs;

use crate::host::Host;

#[track_caller]
fn inside(host: &Host, flags: &[&str], script: &str) -> String {
    host.inside(flags, "busybox", &["sh", "-c", script]).ok()
}

/// A loop device is the host's, and no container's by default.
const READ_LOOP: &str = "ls -l /dev/disk | cut -c1; dd if=/dev/disk of=/dev/null bs=1 count=0 2>/dev/null && echo read; \
     (: > /dev/disk) 2>/dev/null && echo written; true";

#[test]
fn a_device_is_given_with_the_access_that_was_asked_for() {
    let host = Host::new();
    let by_hand = format!("mknod /dev/disk b 7 0; {READ_LOOP}");
    assert_eq!(inside(&host, &[], &by_hand), "b\n", "a node is not a right");
    assert_eq!(
        inside(&host, &["--device", "/dev/loop0:/dev/disk"], READ_LOOP),
        "b\nread\nwritten\n"
    );
    assert_eq!(inside(&host, &["--device", "/dev/loop0:/dev/disk:r"], READ_LOOP), "b\nread\n");
    let rule = ["--device-cgroup-rule", "b 7:* r"];
    assert_eq!(inside(&host, &rule, &by_hand), "b\nread\n");
    let all = "b 7:* rwm; a";
    let error = host
        .tinydock(&["run", "--rm", "--device-cgroup-rule", all, "busybox", "true"])
        .fails(125);
    assert!(error.contains(&format!("device rule `{all}`: ")), "{error}");
    let harmless = inside(
        &host,
        &["--device", "/dev/loop0:/dev/disk:r"],
        "echo x > /dev/null && head -c1 /dev/zero | wc -c",
    );
    assert_eq!(harmless, "1\n");
}

#[test]
fn devices_are_where_they_are_asked_for() {
    let host = Host::new();
    let places = [
        "--device",
        "/dev/loop0:/dev/a/b/disk",
        "--device",
        "/dev/loop1:/srv/disks/one",
        "--device",
        "/dev/net",
    ];
    let list = "ls -l /dev/a/b/disk /srv/disks/one /dev/net/tun | awk '{print $1, $5, $6}'";
    let mode = |path: &str| host.sh(&format!("ls -l {path} | cut -c1-10")).ok().trim().to_string();
    let expected = format!(
        "{} 7, 0\n{} 10, 200\n{} 7, 1\n",
        mode("/dev/loop0"),
        mode("/dev/net/tun"),
        mode("/dev/loop1")
    );
    assert_eq!(inside(&host, &places, list), expected);
    for (device, what) in [
        ("/no/such", "device `/no/such`: "),
        ("/etc/passwd", "it is no device"),
        ("/dev/null:/proc/x", "nothing may be mounted in the container's /proc"),
        ("/dev/null:/dev/fd/3", "file exists"),
    ] {
        let error = host.inside(&["--device", device], "busybox", &["true"]).fails(125);
        assert!(error.to_lowercase().contains(what), "{error}");
    }
}

#[test]
fn a_privileged_container_may_do_what_we_may() {
    let host = Host::new();
    let ours = |name: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        format!("{line}\n")
    };
    let status = inside(&host, &["--privileged"], "grep -E 'CapEff|Seccomp:' /proc/self/status");
    assert_eq!(status, format!("{}Seccomp:\t0\n", ours("CapBnd").replace("CapBnd", "CapEff")));
    let script = "mount -t tmpfs x /tmp && echo mounted; test -w /sys/kernel && (echo > /proc/sys/kernel/none) 2>&1 | grep -c Read-only; \
         mkdir /sys/fs/cgroup/memory/below 2>/dev/null || mkdir /sys/fs/cgroup/below; echo $?; \
         rmdir /sys/fs/cgroup/memory/below /sys/fs/cgroup/below 2>/dev/null; dd if=/dev/loop0 bs=1 count=0 2>/dev/null && echo read; \
         wc -c < /proc/keys | grep -vxc 0";
    assert_eq!(inside(&host, &["--privileged"], script), "mounted\n0\n0\nread\n1\n");
    let count = "find /dev \\( -type b -o -type c \\) ! -path '/dev/pts/*' ! -name console ! -name ptmx | sort";
    assert_eq!(inside(&host, &["--privileged"], count), host.sh(count).ok());
    let terminal = host
        .sh("script -qec '$TINYDOCK run --rm -t --network none --privileged busybox tty' /dev/null")
        .ok();
    assert_eq!(terminal.trim(), "/dev/pts/0");
}

#[test]
fn paths_of_the_system_are_shown_if_so_asked() {
    let host = Host::new();
    let script = "(: >> /proc/sys/kernel/hostname) 2>/dev/null && echo writable; wc -c < /proc/keys | grep -vxc 0";
    assert_eq!(host.inside(&[], "busybox", &["sh", "-c", script]).stdout, "0\n");
    assert_eq!(
        inside(&host, &["--security-opt", "systempaths=unconfined"], script),
        "writable\n1\n"
    );
    let none = ["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"];
    assert_eq!(inside(&host, &none, "echo yes"), "yes\n");
    let has = |path: &str| std::path::Path::new(path).exists();
    for (option, is_there, what) in [
        (
            "apparmor=mine",
            has("/sys/kernel/security/apparmor"),
            "this host has no AppArmor",
        ),
        ("label=type:mine", has("/sys/fs/selinux/enforce"), "this host has no SELinux"),
    ] {
        assert!(!is_there, "who has it tests what it enforces");
        let error = host.run(&format!("run --rm --security-opt {option} busybox true")).fails(125);
        assert!(error.contains(what), "{error}");
    }
}
