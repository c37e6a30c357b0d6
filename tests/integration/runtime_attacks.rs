//! Known ways out of other runtimes' containers, tried on the OCI runtime for real: malicious roots, bundles that race, and processes
//! in a container that watch who enters. `attacks` has the same for the engine, and says what does not apply to either.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::attacks::state_of_the_host;
use crate::bundle::Bundle;
use crate::host::{Host, until};

/// How long a race is tried.
const RACE: Duration = Duration::from_secs(2);

/// Makes a directory of the host with a secret in it, where nothing may be read from and nothing may appear.
fn outside(host: &Host) -> std::path::PathBuf {
    let outside = host.path("outside");
    fs::create_dir_all(&outside).expect("make a directory");
    fs::write(outside.join("secret"), "of the host").expect("write");
    outside
}

#[track_caller]
fn assert_untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside)
        .expect("read it")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("read it"), "of the host");
}

/// Exchanges two names again and again while something is done.
fn while_exchanging<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> T {
    /// Also ends the exchanging when a check fails.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("exchange");
            }
        });
        let _end = End(&done);
        work()
    })
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-31133, CVE-2025-52565: `/proc`, `/sys`, `/dev` or files below it were
/// links of the image, and what runc mounted, made or changed there was elsewhere. Each is a link here, to the host or to a setting
/// of it. The container either is not made, or what is in it is in its own root.
#[test]
fn links_of_a_root_lead_nowhere() {
    let host = Host::new();
    let (before, outside) = (state_of_the_host(), outside(&host));
    let absolute = outside.to_str().expect("UTF-8");
    let upwards = format!("../../../../../../../..{absolute}");
    for (n, name) in [
        "proc",
        "sys",
        "dev",
        "dev/pts",
        "dev/shm",
        "dev/console",
        "dev/null",
        "dev/ptmx",
        "etc",
    ]
    .into_iter()
    .enumerate()
    {
        for (m, target) in [absolute, &upwards, "/proc/sys/kernel/core_pattern"].into_iter().enumerate() {
            let mut bundle = Bundle::new(&host, &format!("link{n}-{m}"));
            let place = bundle.rootfs(name);
            fs::create_dir_all(place.parent().expect("a parent")).expect("make a directory");
            symlink(target, &place).expect("link");
            if name.starts_with("dev/") {
                // Without a file system of its own on /dev, the root's is used.
                bundle.config["mounts"]
                    .as_array_mut()
                    .expect("a list")
                    .retain(|mount| mount["destination"] != "/dev" && mount["destination"] != "/dev/mqueue");
            }
            bundle.config["process"]["terminal"] = json!(true);
            bundle.script(
                "echo |/evil > /dev/null; echo x > /dev/console; cat /outside/secret /dev/pts/secret /proc/kcore | grep host",
            );
            let done = bundle.run("victim");
            assert!(!done.stdout.contains("of the host"), "{name}: {done:?}");
            assert_untouched(&outside);
            assert_eq!(state_of_the_host(), before, "{name} -> {target}");
        }
    }
}

/// CVE-2019-16884: a mount over `/proc` had runc write labels, and the container read the truth, from a file of the image. It is
/// tried by names that do not look like `/proc`, and through links of the root and of what is mounted in it.
#[test]
fn nothing_covers_proc_by_another_name() {
    let host = Host::new();
    let source = host.path("source");
    fs::create_dir_all(source.join("inner")).expect("make a directory");
    symlink("/proc", source.join("link")).expect("link");
    let source = source.to_str().expect("UTF-8");
    for (n, destination) in [
        "/proc",
        "/proc/self",
        "/dev/../proc",
        "/dev/shm/../../proc/sys",
        "/to-dev/../proc",
        "/to-proc",
        "/to-proc/sys",
        "/up/proc",
        "/source/link",
        "/to-source/link",
    ]
    .into_iter()
    .enumerate()
    {
        for (kind, from, options) in [("bind", source, &["bind"][..]), ("tmpfs", "tmpfs", &[])] {
            let mut bundle = Bundle::new(&host, &format!("cover{n}-{kind}"));
            for (link, target) in [
                ("to-dev", "dev"),
                ("to-proc", "/proc"),
                ("up", "../.."),
                ("to-source", "/source"),
            ] {
                symlink(target, bundle.rootfs(link)).expect("link");
            }
            bundle
                .mount("/source", "bind", source, &["bind"])
                .mount(destination, kind, from, options);
            let done = bundle.script("cat /proc/self/status | grep -c Name").run("victim");
            let refused = done.code == 1 && done.stdout.is_empty();
            // In a link's place within the bind there is no way to tell but by failing at it.
            assert!(
                refused && (done.stderr.contains("destination") || done.stderr.contains("openat2")),
                "{destination}: {done:?}"
            );
        }
    }
}

/// CVE-2021-30465: while a container was made, another exchanged a directory of a shared volume for a link, and a mount or a
/// directory of runc's was on the host. CVE-2024-23651 raced build caches, which are mounted like that.
#[test]
fn a_race_for_a_mounts_place_does_not_leave_the_root() {
    let host = Host::new();
    let (before, outside) = (state_of_the_host(), outside(&host));
    let shared = host.path("shared");
    fs::create_dir_all(shared.join("a/inner")).expect("make a directory");
    symlink(&outside, shared.join("b")).expect("link");
    let mut bundle = Bundle::new(&host, "raced");
    bundle.mount("/shared", "bind", shared.to_str().expect("UTF-8"), &["rbind"]);
    bundle.mount("/shared/a/inner/deep", "tmpfs", "tmpfs", &[]);
    bundle.script("cat /shared/a/secret /shared/b/secret 2>/dev/null; true");
    let codes = while_exchanging(&shared.join("a"), &shared.join("b"), || {
        let (mut codes, start) = ([0, 0], Instant::now());
        while start.elapsed() < RACE || (codes[1] == 0 && start.elapsed() < RACE * 20) {
            let done = bundle.run("victim");
            assert!(!done.stdout.contains("of the host"), "{done:?}");
            codes[usize::from(done.code != 0)] += 1;
            assert_untouched(&outside);
        }
        codes
    });
    assert!(codes[1] > 0, "the race was never close: {codes:?}");
    assert_eq!(state_of_the_host(), before);
}

/// `tmpcopyup` copies from the root with the power of the host. Neither a link at its place nor one that appears while it is copied
/// shows files of the host.
#[test]
fn what_is_copied_up_is_the_roots() {
    let host = Host::new();
    let outside = outside(&host);
    let mut bundle = Bundle::new(&host, "copied");
    for name in ["dir", "vol"] {
        fs::create_dir_all(bundle.rootfs(name)).expect("make a directory");
    }
    fs::write(bundle.rootfs("dir/own"), "own").expect("write");
    for link in ["link", "vol/link", "dir/secret-link", "exchange"] {
        symlink(&outside, bundle.rootfs(link)).expect("link");
    }
    let volume = host.path("volume");
    fs::create_dir_all(volume.join("link")).expect("make a directory");
    bundle.mount("/vol", "bind", volume.to_str().expect("UTF-8"), &["bind"]);
    for destination in ["/vol/link", "/link", "/dir", "/vol/../../../../outside"] {
        bundle.mount(destination, "tmpfs", "tmpfs", &["tmpcopyup"]);
    }
    bundle.script(
        "cat /dir/own; cat /link/secret /vol/link/secret /dir/secret-link/secret /dir/secret /outside/secret 2>/dev/null; true",
    );
    assert_eq!(bundle.run("victim").ok(), "own");
    let (mut own, start) = (0, Instant::now());
    while_exchanging(&bundle.rootfs("dir"), &bundle.rootfs("exchange"), || {
        while start.elapsed() < RACE || (own == 0 && start.elapsed() < RACE * 20) {
            let done = bundle.run("victim");
            assert!(!done.stdout.contains("of the host"), "{done:?}");
            own += usize::from(done.stdout == "own");
        }
    });
    assert!(own > 0, "it was never copied");
    assert_untouched(&outside);
}

/// CVE-2024-21626: the working directory was `/proc/self/fd/N`, a directory of the host that runc had left open. And descriptors that
/// were announced with `--preserve-fds` and LISTEN_FDS, but are not there, must not be the runtime's own.
#[test]
fn no_descriptor_leads_to_the_host() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "open");
    bundle.config["process"]["args"] = json!(["sleep", "1000"]);
    bundle.start("other", "output");
    for n in 0..24 {
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{n}"));
        let done = bundle.script("ls -a ../../../../..").run("victim");
        assert_ne!(done.code, 0, "{n}: {done:?}");
        let done = bundle.tell(&["exec", "--cwd", &format!("/proc/self/fd/{n}"), "other", "ls"]);
        assert_ne!(done.code, 0, "{n}: {done:?}");
    }
    bundle.config["process"]["cwd"] = json!("/");
    let list = "for n in /proc/self/fd/*; do readlink $n; done; true";
    bundle.script(list);
    let done = bundle
        .command("run", &["--preserve-fds", "20"], "victim")
        .output()
        .expect("run tinydock");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let done = bundle
        .command("run", &[], "victim")
        .env("LISTEN_FDS", "4294967295")
        .output()
        .expect("run tinydock");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let done = bundle.tell(&["exec", "--preserve-fds", "20", "other", "true"]);
    assert_eq!(done.code, 255, "{done:?}");
    let shown = bundle.run("victim").ok();
    assert_eq!(
        shown
            .lines()
            .filter(|line| !line.contains("/dev/null") && !line.contains("pipe:"))
            .count(),
        0,
        "{shown}"
    );
}

/// CVE-2025-52881: what runc wrote to `/proc` (settings, the oom score, labels) went elsewhere, since the container's `/proc` was
/// another file system, or had links in it. Here they are opened in the host's before there is a container.
#[test]
fn what_is_written_to_proc_arrives_there() {
    let host = Host::new();
    let before = state_of_the_host();
    let score = fs::read_to_string("/proc/self/oom_score_adj").expect("read the score");
    for n in 0..3 {
        let mut bundle = Bundle::new(&host, &format!("written{n}"));
        for place in ["sys/net/ipv4", "self/attr", "thread-self/attr"] {
            fs::create_dir_all(bundle.rootfs("proc").join(place)).expect("make a directory");
        }
        for file in ["sys/net/ipv4/ip_forward", "self/oom_score_adj", "self/attr/exec"] {
            symlink("/proc/sys/kernel/core_pattern", bundle.rootfs("proc").join(file)).expect("link");
        }
        bundle.config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
        bundle.config["process"]["oomScoreAdj"] = json!(500);
        let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
        match n {
            // No /proc at all, and then one that is no proc.
            1 => mounts.retain(|mount| mount["destination"] != "/proc"),
            2 => mounts[0]["type"] = json!("tmpfs"),
            _ => {}
        }
        let done = bundle
            .script("cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj")
            .run("victim");
        match n {
            0 => assert_eq!(done.ok(), "1\n500\n"),
            2 => assert!(done.fails(1).contains("/proc")),
            _ => {}
        }
        assert_eq!(state_of_the_host(), before);
        assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").expect("read the score"), score);
    }
}

/// A container without a mount namespace shares the host's mounts, not its files: `exec` enters its root as well, and when it is
/// deleted nothing is mounted any more.
#[test]
fn a_container_without_mounts_of_its_own_is_left_and_entered_as_its_root() {
    let host = Host::new();
    let outside = outside(&host);
    let secret = outside.join("secret");
    let mut bundle = Bundle::new(&host, "shared");
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list")
        .retain(|namespace| namespace["type"] != "mount");
    bundle.config["process"]["args"] = json!(["sleep", "1000"]);
    for flags in [&["-d"][..], &["-d", "--no-pivot"]] {
        let status = bundle
            .command("run", flags, "victim")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("run tinydock").success());
        let read = bundle.tell(&["exec", "victim", "cat", secret.to_str().expect("UTF-8")]);
        assert!(read.code == 1 && read.stdout.is_empty(), "{read:?}");
        assert_eq!(bundle.tell(&["exec", "victim", "ls", "/bin/busybox"]).ok(), "/bin/busybox\n");
        bundle.tell(&["delete", "-f", "victim"]).ok();
        until("nothing is mounted", || host.traces().is_empty());
    }
}

/// Process ids are used again: records of a container whose init has ended must not have another process killed or entered.
#[test]
fn another_process_of_the_same_number_is_left_alone() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "reused");
    bundle.config["process"]["args"] = json!(["true"]);
    bundle.start("victim", "output");
    until("its end", || bundle.status("victim") == "stopped");
    // Times of start are counted in ticks of 10 ms.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut other = Command::new("sleep").arg("1000").spawn().expect("start a process");
    let file = host.path("runtime/victim/process");
    let text = fs::read_to_string(&file).expect("read the record");
    let mut process: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    process["pid"] = json!(other.id());
    fs::write(&file, process.to_string()).expect("write the record");
    assert_eq!(bundle.status("victim"), "stopped");
    assert_ne!(bundle.tell(&["kill", "victim", "KILL"]).code, 0);
    assert_ne!(bundle.tell(&["exec", "victim", "true"]).code, 0);
    bundle.tell(&["delete", "-f", "victim"]).ok();
    assert!(other.try_wait().expect("look").is_none(), "another process was killed");
    other.kill().expect("kill it");
    other.wait().expect("wait for it");
}

/// A process chooses its name. One that is no text must not make its container look as if it had ended: it could be deleted then
/// while it runs.
#[test]
fn a_name_that_is_no_text_hides_nothing() {
    let host = Host::new();
    let name = "printf '\\377) Z ' > /proc/1/comm; echo named; sleep 1000; true";
    let mut bundle = Bundle::new(&host, "named");
    bundle.config["process"]["args"] = json!(["sh", "-c", name]);
    bundle.start("victim", "output");
    let output = bundle.path("output");
    until("it has its name", || {
        fs::read_to_string(&output).expect("read").contains("named")
    });
    assert_eq!(bundle.status("victim"), "running");
    assert!(bundle.tell(&["delete", "victim"]).fails(1).contains("it is running"));
    bundle.tell(&["delete", "-f", "victim"]).ok();

    host.start(&["--name", "victim", "--network", "none", "busybox", "sh", "-c", name]);
    until("it has its name", || host.run("logs victim").ok().contains("named"));
    assert!(host.run("top victim").ok().contains("sh -c"));
}
