//! Known ways out of other engines' containers, tried here for real. Each test names what it tries again. The same for the OCI
//! runtime is in `runtime_attacks`, and what watches a process that enters a container, for both, in `watchers`.
//!
//! What does not apply, and so is not tried:
//!
//! - CVE-2019-14271: `docker cp` ran in the container's root and loaded libraries of the image, with the host's power. Nothing here
//!   loads libraries at run time: tinydock and init are static, and what is looked up in an image (users, groups) is read as data.
//! - CVE-2024-23651: BuildKit's cache mounts were raced. There are no builds; the race for a mount's place is tried with volumes.
//! - CVE-2019-16884, its labels: they are written to files that are opened before anything of the container is mounted. A host
//!   without AppArmor and SELinux has none to try it with.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::host::{Done, Host, TINYDOCK, until};

/// How long a race is tried.
const RACE: Duration = Duration::from_secs(3);

/// Runs a script in a new container.
fn attempt(host: &Host, flags: &[&str], image: &str, script: &str) -> Done {
    host.inside(flags, image, &["sh", "-c", script])
}

/// Makes an image of busybox and what a script adds in the current directory.
fn image(host: &Host, name: &str, script: &str) {
    let registry = host.root().join("image/registry");
    let make = format!(
        "mkdir -p {registry} tree/bin && cp /bin/busybox tree/bin/ && for n in sh ls cat sleep true; do ln -s busybox tree/bin/$n; done
         cd tree && {script} && tar cf {registry}/{name}.tar . && cd .. && rm -rf tree",
        registry = registry.display()
    );
    host.sh(&make).ok();
}

/// What a host has that a container must not change: its settings, its mounts and its engine.
pub fn state_of_the_host() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).expect("read a file of the host");
    let engine = Command::new("sha256sum").arg(TINYDOCK).output().expect("run sha256sum");
    vec![
        read("/proc/sys/kernel/core_pattern"),
        read("/proc/thread-self/mountinfo"),
        String::from_utf8(engine.stdout).expect("a digest"),
    ]
}

/// CVE-2019-5736: a container made runc execute itself, `/proc/self/exe`, and wrote to it. Here that is init, in memory, and the
/// memory is sealed.
#[test]
fn the_engine_cannot_be_overwritten() {
    let host = Host::new();
    let before = state_of_the_host();
    let tools = host.compile(
        "overwrite",
        r#"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Opens the executable of every process that appears and writes to it as soon as nothing executes it. */
int main(void) {
    char path[300], link[300];
    int seen = 0, written = 0;
    for (time_t end = time(0) + 3; time(0) < end;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc));) {
            if (atoi(entry->d_name) < 2 || atoi(entry->d_name) == getpid()) continue;
            snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
            long length = readlink(path, link, sizeof link - 1);
            if (length <= 0 || strncmp(link, "/memfd:", 7)) continue;
            int file = open(path, O_RDONLY);
            if (file < 0) continue;
            snprintf(path, sizeof path, "/proc/self/fd/%d", file);
            /* It may have become the command since, whose file is the container's own. */
            length = readlink(path, link, sizeof link - 1);
            if (length <= 0 || strncmp(link, "/memfd:", 7)) { close(file); continue; }
            seen++;
            for (int n = 0; n < 100; n++) {
                int other = open(path, O_WRONLY);
                if (other >= 0 && write(other, "owned", 5) == 5) written++;
                if (other >= 0) close(other);
            }
            close(file);
        }
        closedir(proc);
    }
    printf("%s, written %d\n", seen ? "seen" : "not seen", written);
    return 0;
}
"#,
    );
    // Without this capability, init is not even seen.
    let id = host.start(&[
        "--network",
        "none",
        "-v",
        &tools,
        "--cap-add",
        "SYS_PTRACE",
        "busybox",
        "/tools/overwrite",
    ]);
    let start = Instant::now();
    while start.elapsed() < RACE && host.is_running(&id) {
        host.tinydock(&["exec", &id, "true"]);
    }
    let done = host.tinydock(&["exec", &id, "/proc/self/exe"]);
    assert_ne!(done.code, 0, "{done:?}");
    until("the end of the attack", || !host.is_running(&id));
    assert_eq!(host.tinydock(&["logs", &id]).ok(), "seen, written 0\n");
    let done = host.inside(&[], "busybox", &["/proc/self/exe"]);
    assert_ne!(done.code, 0, "{done:?}");
    assert_eq!(state_of_the_host(), before);
}

/// CVE-2016-9962: a process that had just entered a container still had the host's files, and the container looked at them.
#[test]
fn a_process_that_enters_shows_nothing_of_the_host() {
    let host = Host::new();
    let tools = host.compile(
        "look",
        r#"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/ptrace.h>

int main(int count, char **words) {
    char path[300];
    int found = 0;
    for (time_t end = time(0) + 3; time(0) < end;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc));) {
            if (atoi(entry->d_name) < 2 || atoi(entry->d_name) == getpid()) continue;
            for (int n = 0; n < 2; n++) {
                snprintf(path, sizeof path, "/proc/%s/%s%s", entry->d_name, n ? "cwd" : "root", words[1]);
                if (access(path, F_OK) == 0) found++;
            }
        }
        closedir(proc);
    }
    printf("found %d\n", found);
    return 0;
}
"#,
    );
    fs::write(host.path("secret"), "of the host").expect("write");
    let secret = host.path("secret");
    let secret = secret.to_str().expect("UTF-8");
    let flags = ["--network", "none", "--cap-add", "SYS_PTRACE", "-v", &tools];
    let id = host.start(&[&flags[..], &["busybox", "/tools/look", secret]].concat());
    while host.is_running(&id) {
        host.tinydock(&["exec", &id, "true"]);
    }
    assert_eq!(host.tinydock(&["logs", &id]).ok(), "found 0\n");
}

/// CVE-2024-21626: a working directory in `/proc/self/fd` was a directory of the host that the engine had left open.
#[test]
fn no_descriptor_leads_to_the_host() {
    let host = Host::new();
    let id = host.start(&["--network", "none", "busybox", "sleep", "1000"]);
    for n in 0..100 {
        let directory = format!("/proc/self/fd/{n}");
        let done = attempt(&host, &["-w", &directory], "busybox", "ls -a ../../../../..");
        assert_ne!(done.code, 0, "{directory}: {done:?}");
        if n % 10 == 0 {
            let done = host.tinydock(&["exec", "-w", &directory, &id, "ls"]);
            assert_ne!(done.code, 0, "{directory}: {done:?}");
        }
    }
}

/// CVE-2019-19921, CVE-2023-27561 and CVE-2023-28642: `/proc` of the image was a link, and what was mounted or written there ended up
/// elsewhere. CVE-2025-31133 and CVE-2025-52565: so were its `/dev/null` and `/dev/console`.
#[test]
fn links_of_an_image_lead_no_mount_elsewhere() {
    let host = Host::new();
    let before = state_of_the_host();
    for name in ["proc", "sys", "dev"] {
        image(&host, &format!("link-{name}"), &format!("mkdir tmp && ln -s tmp {name}"));
        let done = attempt(&host, &[], &format!("link-{name}"), "true");
        assert!(done.code == 125 && done.stderr.contains(name), "{name}: {done:?}");
    }
    let links = "mkdir dev && ln -s ../proc/sys/kernel/core_pattern dev/null && ln -s ../proc/sysrq-trigger dev/console && \
                 ln -s ../proc dev/pts && ln -s / dev/shm && ln -s /proc/1/root etc";
    image(&host, "link-null", links);
    let script = "echo gone > /dev/null; cat /proc/kcore /proc/keys | head -c 10; (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null || echo refused";
    let done = attempt(&host, &["-t"], "link-null", script);
    let shown = done.stdout.replace('\r', "");
    assert!(done.code == 125 || shown == "refused\n", "{done:?}");
    assert_eq!(state_of_the_host(), before);
}

/// CVE-2019-16884: a volume that covered `/proc` made security labels end up in a file.
#[test]
fn nothing_covers_proc() {
    let host = Host::new();
    let source = host.path("source");
    fs::create_dir_all(source.join("inner")).expect("make a directory");
    image(&host, "link", "mkdir tmp && ln -s proc/sys data");
    for (image, target) in [
        ("busybox", "/proc"),
        ("busybox", "/proc/self"),
        ("busybox", "/tmp/../proc/sys"),
        ("link", "/data"),
    ] {
        let volume = format!("{}:{target}", source.display());
        let done = attempt(&host, &["-v", &volume], image, "true");
        assert!(done.code == 125 && done.stderr.contains("/proc"), "{target}: {done:?}");
    }
    // A link in a volume, too, for another volume below it.
    symlink("/proc", source.join("link")).expect("link");
    let (outer, inner) = (
        format!("{}:/a", source.display()),
        format!("{}:/a/link", host.path("source/inner").display()),
    );
    let done = attempt(&host, &["-v", &outer, "-v", &inner], "busybox", "true");
    assert_eq!(done.code, 125, "{done:?}");
    fs::write(source.join("meminfo"), "own\n").expect("write");
    let volume = format!("{}:/proc/meminfo", source.join("meminfo").display());
    assert_eq!(attempt(&host, &["-v", &volume], "busybox", "cat /proc/meminfo").ok(), "own\n");
}

/// CVE-2021-30465: while one container was mounted into a shared volume, another exchanged a directory on the way for a link.
#[test]
fn a_race_for_a_volumes_place_does_not_leave_the_root() {
    let host = Host::new();
    let before = state_of_the_host();
    let (shared, outside) = (host.path("shared"), host.path("outside"));
    fs::create_dir_all(shared.join("a")).expect("make a directory");
    fs::create_dir_all(&outside).expect("make a directory");
    symlink(&outside, shared.join("b")).expect("link");
    let tools = host.compile(
        "exchange",
        r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(void) {
    for (;;) renameat2(AT_FDCWD, "/shared/a", AT_FDCWD, "/shared/b", RENAME_EXCHANGE);
}
"#,
    );
    let volume = format!("{}:/shared", shared.display());
    let racer = host.start(&["--network", "none", "-v", &tools, "-v", &volume, "busybox", "/tools/exchange"]);
    let (inner, start) = (format!("{}:/shared/a/inner", host.path("tools").display()), Instant::now());
    let mut codes = BTreeSet::new();
    while start.elapsed() < RACE {
        let done = attempt(
            &host,
            &["-v", &volume, "-v", &inner],
            "busybox",
            "ls /shared/a/inner /shared/b/inner 2>/dev/null; true",
        );
        assert!([0, 125].contains(&done.code), "{done:?}");
        codes.insert(done.code);
        let made = fs::read_dir(&outside).expect("read the directory").count();
        assert_eq!(made, 0, "a directory was made outside of the container");
    }
    assert!(codes.contains(&125), "the race was never close: {codes:?}");
    host.tinydock(&["rm", "-f", &racer]).ok();
    assert_eq!(state_of_the_host(), before);
}

/// CVE-2022-24769: the inheritable capabilities were not empty, and so passed through a file's own. CVE-2022-0811: a setting's value
/// had another setting in it. CVE-2020-15257: the shim listened on an abstract socket, which the host's network leads to.
#[test]
fn nothing_is_given_by_the_way() {
    let host = Host::new();
    let before = state_of_the_host();
    let read = "grep -hE 'Cap(Inh|Amb)' /proc/self/status | cut -f2 | uniq";
    for flags in [&[][..], &["--cap-add", "ALL"], &["-u", "1000"]] {
        assert_eq!(attempt(&host, flags, "busybox", read).ok(), "0000000000000000\n", "{flags:?}");
    }
    for value in ["1+kernel.core_pattern=|/evil", "1\nkernel.core_pattern=|/evil"] {
        let sysctl = format!("kernel.shm_rmid_forced={value}");
        attempt(&host, &["--sysctl", &sysctl], "busybox", "true");
        assert_eq!(state_of_the_host(), before);
    }
    let run = [
        "run",
        "--rm",
        "--network",
        "host",
        "busybox",
        "grep",
        "-c",
        "@.*tinydock",
        "/proc/net/unix",
    ];
    assert_eq!(host.tinydock(&run).stdout, "0\n");
    let done = attempt(&host, &[], "busybox", "mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/x");
    assert_ne!(done.code, 0, "{done:?}");
}

/// CVE-2025-52881: what runc wrote to `/proc` went where links of the container's `/proc` led. And a user whose number the kernel takes
/// for "as it is", which would stay root.
#[test]
fn what_is_written_for_a_container_arrives() {
    let host = Host::new();
    let before = state_of_the_host();
    let links = "mkdir -p proc/sys/net/ipv4 proc/self && for n in sys/net/ipv4/ip_forward self/oom_score_adj; do \
                 ln -s /proc/sys/kernel/core_pattern proc/$n; done";
    image(&host, "own-proc", links);
    let script = "cat /proc/sys/net/ipv4/ip_forward";
    let done = attempt(&host, &["--sysctl", "net.ipv4.ip_forward=1"], "own-proc", script);
    assert_eq!(done.ok(), "1\n");
    for user in ["4294967295", "0:4294967295", "-1"] {
        let done = attempt(&host, &["-u", user], "busybox", "id");
        assert!(done.code == 125 && done.stdout.is_empty(), "{done:?}");
    }
    assert_eq!(state_of_the_host(), before);
}
