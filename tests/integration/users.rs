//! Containers with users of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use crate::host::{Host, until};

const POOL: u32 = 0x7000_0000;
const UNIT: u32 = 1 << 16;

#[track_caller]
fn inside(host: &Host, flags: &[&str], script: &str) -> String {
    host.inside(flags, "busybox", &["sh", "-c", script]).ok()
}

/// A line of a table of ids, with one space between its numbers.
fn map(host: &Host, id: &str) -> String {
    let map = host.tinydock(&["exec", id, "cat", "/proc/self/uid_map"]).ok();
    map.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_container_has_ids_of_its_own() {
    let host = Host::new();
    let start = |name: &str, users: &str| {
        host.start(&[
            "--name",
            name,
            "--network",
            "none",
            "--userns",
            users,
            "busybox",
            "sleep",
            "1000",
        ])
    };
    let [first, second] = ["one", "two"].map(|name| start(name, "auto"));
    let large = start("large", "auto:size=70000");
    let small = start("small", "auto:size=10");
    for (id, expected) in [
        (&first, (POOL + UNIT, UNIT)),
        (&second, (POOL + 2 * UNIT, UNIT)),
        (&large, (POOL + 3 * UNIT, 70000)),
        (&small, (POOL + 5 * UNIT, 10)),
    ] {
        assert_eq!(map(&host, id), format!("0 {} {}", expected.0, expected.1));
    }
    let owner = fs::metadata(format!("/proc/{}", host.init("one"))).unwrap().uid();
    assert_eq!(owner, POOL + UNIT, "root of the container is nobody on the host");
    host.run("rm -f one").ok();
    let again = start("again", "auto");
    assert_eq!(
        map(&host, &again),
        format!("0 {} {UNIT}", POOL + UNIT),
        "ids are free when a container has ended"
    );

    // Nobody is left to free them but the next command.
    let monitor = host
        .sh(&format!("awk '/^PPid/ {{print $2}}' /proc/{}/status", host.init("again")))
        .ok();
    host.sh(&format!("kill -9 {}", monitor.trim())).ok();
    until("init ends with its monitor", || !host.is_running(&again));
    host.run("ls").ok();
    let claims = host.root().join("run/users");
    assert!(fs::symlink_metadata(claims.join((POOL + UNIT).to_string())).is_err());
    assert!(fs::symlink_metadata(claims.join((POOL + 2 * UNIT).to_string())).is_ok());
}

#[test]
fn files_are_owned_on_disk_as_the_image_has_them() {
    let host = Host::new();
    let script = "echo text > /file && chown 1000:1001 /file && echo 127.0.0.1 me >> /etc/hosts && rm /etc/group && mkdir -m 700 /own && \
         echo changed >> /etc/passwd && ls -ln /etc/passwd | awk '{print $3, $4}'";
    let flags = [
        "run",
        "--name",
        "web",
        "--network",
        "none",
        "--userns",
        "auto",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    assert_eq!(host.tinydock(&flags).ok(), "0 0\n");
    let id = host.run("ls -aq --no-trunc").ok();
    let upper = host.root().join("container").join(id.trim()).join("upper");
    for (name, owner) in [
        ("file", (1000, 1001)),
        ("own", (0, 0)),
        ("etc/passwd", (0, 0)),
        ("etc/group", (0, 0)),
        ("", (0, 0)),
    ] {
        let metadata = fs::symlink_metadata(upper.join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{name}");
    }
    host.run("commit web changed").ok();
    let look = "ls -ln /file | awk '{print $3, $4}'; test -e /etc/group || echo removed; tail -n1 /etc/passwd";
    for flags in [&["--userns", "host"][..], &["--userns", "auto"]] {
        assert_eq!(
            host.inside(flags, "changed", &["sh", "-c", look]).ok(),
            "1000 1001\nremoved\nchanged\n"
        );
    }
}

#[test]
fn volumes_show_the_hosts_ids_or_the_containers() {
    let host = Host::new();
    let directory = host.path("volume");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("file"), "").unwrap();
    chown(directory.join("file"), Some(1000), Some(POOL + UNIT + 7)).unwrap();
    let show = "ls -ln /v/file | awk '{print $3, $4}'; (: > /v/new) 2>/dev/null || echo refused";
    let volume = |options: &str| format!("{}:/v{options}", directory.display());
    assert_eq!(
        inside(&host, &["--userns", "auto", "-v", &volume("")], show),
        "65534 7\nrefused\n"
    );
    assert_eq!(
        inside(&host, &["--userns", "auto", "-v", &volume(":idmap")], show),
        "1000 65534\n"
    );
    assert_eq!(fs::metadata(directory.join("new")).unwrap().uid(), 0, "on disk it is root's");
    assert_eq!(
        inside(&host, &["--userns", "auto", "-v", &volume(":ro,idmap")], show),
        "1000 65534\nrefused\n"
    );
    let error = host
        .tinydock(&["run", "--rm", "-v", &volume(":idmap"), "busybox", "true"])
        .fails(125);
    assert!(error.contains("volume `/v`: a container without users of its own"), "{error}");
}

#[test]
fn a_container_with_its_own_users_is_like_any_other() {
    let host = Host::new();
    let users = ["--userns", "auto"];
    let script = "id -u; cat /etc/hostname /etc/resolv.conf > /dev/null && echo named; echo out > /dev/stdout; head -c1 /dev/zero | wc -c; \
         (: > /proc/sys/kernel/hostname) 2>/dev/null || echo protected; wc -c < /proc/keys; ls -ln /dev/null | awk '{print $3}'; \
         grep -E 'CapEff|CapBnd|Seccomp:' /proc/self/status; mount -t tmpfs x /tmp 2>/dev/null || echo refused";
    let caps = "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n";
    let expected = format!("0\nnamed\nout\n1\nprotected\n0\n65534\n{caps}refused\n");
    assert_eq!(inside(&host, &users, script), expected);
    assert_eq!(
        inside(&host, &[&users[..], &["-u", "1000:1001"]].concat(), "id -u; id -g"),
        "1000\n1001\n"
    );
    let terminal = host
        .sh("script -qec '$TINYDOCK run --rm -t --network none --userns auto busybox sh -c \"tty; id -u\"' /dev/null")
        .ok();
    assert_eq!(terminal.split_whitespace().collect::<Vec<_>>(), ["/dev/pts/0", "0"]);
    let device = [
        "--device",
        "/dev/loop0:/dev/a/disk:r",
        "--device",
        "/dev/zero:/srv/zero",
        "--sysctl",
        "kernel.shmmni=17",
    ];
    let look = "ls -l /dev/a/disk | cut -c1; head -c1 /srv/zero | wc -c; cat /proc/sys/kernel/shmmni";
    assert_eq!(inside(&host, &[&users[..], &device[..]].concat(), look), "b\n1\n17\n");

    host.run("network create --subnet 172.31.9.0/24 users").ok();
    let serve = "mkdir /www && echo page > /www/index.html && exec httpd -f -p 80 -h /www";
    let flags = [
        "--name",
        "web",
        "--userns",
        "auto",
        "--network",
        "users",
        "-p",
        "8099:80",
        "busybox",
        "sh",
        "-c",
        serve,
    ];
    host.start(&flags);
    until("it serves", || {
        let done = host.inside(&["--network", "users"], "busybox", &["wget", "-qO-", "http://172.31.9.2/"]);
        done.stdout == "page\n"
    });
    let exec = "id -u; echo out > /dev/stdout; ls -d /proc/[0-9]* | head -1; touch /made; ls -ln /made | awk '{print $3}'";
    assert_eq!(host.tinydock(&["exec", "web", "sh", "-c", exec]).ok(), "0\nout\n/proc/1\n0\n");
    assert_eq!(host.tinydock(&["exec", "-u", "1000", "web", "id", "-u"]).ok(), "1000\n");
    let terminal = host.sh("script -qec '$TINYDOCK exec -t web tty' /dev/null").ok();
    assert_eq!(terminal.trim(), "/dev/pts/0");
    host.run("rm -f web").ok();
    host.run("network rm users").ok();
}

#[test]
fn remapped_containers_have_what_the_host_notes() {
    let host = Host::new();
    let read = "awk '{print $2, $3}' /proc/self/uid_map /proc/self/gid_map";
    fs::write(host.path("none"), "").unwrap();
    host.sh("touch /etc/subuid /etc/subgid; mount --bind none /etc/subuid; mount --bind none /etc/subgid")
        .ok();
    assert_eq!(
        inside(&host, &["--userns", "remap"], read),
        format!("{POOL} {UNIT}\n{POOL} {UNIT}\n")
    );
    host.sh("umount /etc/subuid /etc/subgid").ok();
    fs::write(host.path("subuid"), "dockremap:231072:65536\n").unwrap();
    fs::write(host.path("subgid"), "dockremap:331072:65536\n").unwrap();
    host.sh("mount --bind subuid /etc/subuid; mount --bind subgid /etc/subgid")
        .ok();
    let flags = ["--userns", "remap"];
    assert_eq!(inside(&host, &flags, read), "231072 65536\n331072 65536\n");
    assert_eq!(inside(&host, &flags, "touch /x && ls -ln /x | awk '{print $3, $4}'"), "0 0\n");
    host.sh("umount /etc/subuid /etc/subgid").ok();
    for (flags, what) in [
        ("--userns auto --privileged", "cannot be privileged"),
        ("--userns remap --network host", "cannot be on the host's network"),
        ("--userns auto --pid host", "cannot share processes"),
        ("--userns auto:size=0", "no number of users"),
        ("--userns mine", "unknown mode"),
    ] {
        let error = host.run(&format!("run --rm {flags} busybox true")).fails(125);
        assert!(error.contains(what), "{error}");
    }
}
