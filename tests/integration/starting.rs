//! Containers that are looked at, or fail, while they are being started: a process of the start is held where it matters.

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tinydock::store::Lock;

use crate::bundle::Bundle;
use crate::host::{Host, TINYDOCK, until};
use crate::tracer::{self, Call, Hold, Role};

/// How long a process is held for others to do what they must not.
const WHILE: Duration = Duration::from_millis(300);

/// The host opens the network of a container with users of its own, or with another's processes, by init's number. Where init has
/// ended by then, that fails, too.
#[test]
fn the_first_of_two_errors_is_told() {
    let host = Host::new();
    host.start(&["--name", "partner", "--network", "none", "busybox", "sleep", "1000"]);
    let domain = "d".repeat(100);
    for flags in [["--userns", "auto"], ["--pid", "container:partner"]] {
        let run = [&["run", "--rm", "--domainname", &domain], &flags[..], &["busybox", "true"]].concat();
        let told = host.path("told");
        let mut command = host.command(&run);
        command.stderr(File::create(&told).expect("make a file"));
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Monitor,
                at: &|call| call.number == libc::SYS_openat && call.path(1).ends_with("/ns/net"),
                until: &mut |call| fs::metadata(call.path(1)).is_err(),
            },
        );
        assert!(was_held, "{flags:?}");
        let told = fs::read_to_string(&told).expect("read");
        assert!(told.contains("setdomainname(") && told.contains("invalid argument"), "{told}");
    }
}

/// Whoever waits for the file enters the namespaces of the process that it names.
#[test]
fn a_process_is_not_named_before_it_is_in_the_containers_namespaces() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "bundle");
    bundle.script("sleep 1000");
    let pid_file = bundle.path("pid");
    let ours = fs::read_link("/proc/thread-self/ns/net").expect("our network");
    for (verb, flags) in [("create", &[][..]), ("run", &["-d"])] {
        let mut since = None;
        let mut seen = Vec::new();
        let flags = [&["--pid-file", pid_file.to_str().expect("UTF-8")], flags].concat();
        let mut command = bundle.command(verb, &flags, "one");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Monitor,
                at: &|call| call.number == libc::SYS_setns,
                until: &mut |_| {
                    if since.is_none() && host.path("runtime/one/process").exists() {
                        since = Some(Instant::now());
                    }
                    let is_over = since.is_some_and(|since| since.elapsed() > WHILE);
                    if is_over {
                        let exec = bundle.tell(&["exec", "one", "true"]);
                        seen.push((bundle.status("one"), exec.code, pid_file.exists()));
                    }
                    is_over
                },
            },
        );
        assert!(was_held, "{verb}");
        assert_eq!(seen, [("creating".to_string(), 255, false)], "{verb}");
        let state = bundle.state("one");
        assert_eq!(
            fs::read_to_string(&pid_file).expect("the file"),
            state["pid"].to_string(),
            "{verb}"
        );
        let network = fs::read_link(format!("/proc/{}/ns/net", state["pid"])).expect("its network");
        assert_ne!(network, ours, "{verb}");
        bundle.remove("one");
        fs::remove_file(&pid_file).expect("remove the file");
    }
}

/// A start may be recorded while init still has the host's root, or what that was mounted on.
#[test]
fn whoever_enters_early_waits_for_the_containers_root() {
    // The namespace is entered first where it has the host's root, and then where it has nothing.
    let enters_mounts = |call: &Call| call.number == libc::SYS_setns && call.arguments[1] == libc::CLONE_NEWNS as u64;
    let begins = |number: i64| move |call: &Call| call.number == number;
    enter_early(&[], &begins(libc::SYS_umount2));
    enter_early(&[], &enters_mounts);
    let entered = Cell::new(0);
    enter_early(&[], &|call| {
        let before = entered.replace(entered.get() + i32::from(enters_mounts(call)));
        before == 2
    });
    enter_early(&[], &begins(libc::SYS_chroot));
}

/// It may also have the container's root while the host's is mounted on top of that: there is where the kernel takes whoever enters the
/// mounts.
#[test]
fn whoever_enters_early_waits_for_a_root_that_is_exchanged_by_pivoting() {
    for number in [libc::SYS_pivot_root, libc::SYS_umount2] {
        enter_early(&["--userns", "auto"], &|call| call.number == number);
    }
}

/// Enters a container whose init is about to make a call.
fn enter_early(flags: &[&str], at: &dyn Fn(&Call) -> bool) {
    let host = Host::new();
    let secret = host.path("secret");
    fs::write(&secret, "of the host").expect("write");
    let secret = secret.to_str().expect("UTF-8");
    let from = format!("entered:{secret}");
    let mut command = host.start_command("entered", flags);
    let mut entering = None;
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Init,
            at,
            until: &mut |_| {
                if entering.is_none() && !host.status("entered").starts_with("running") {
                    return false;
                }
                let begin = || {
                    (
                        Instant::now(),
                        host.begin(&["exec", "entered", "cat", secret]),
                        host.begin(&["cp", &from, "-"]),
                    )
                };
                let (since, ..) = entering.get_or_insert_with(begin);
                since.elapsed() > WHILE
            },
        },
    );
    assert!(was_held);
    let (_, exec, copy) = entering.expect("both have begun");
    let (exec, copy) = (exec.join().expect("exec"), copy.join().expect("cp"));
    assert_eq!((exec.code, &exec.stdout[..]), (1, ""), "{exec:?}");
    assert!(exec.stderr.contains("No such file or directory"), "{exec:?}");
    assert_eq!((copy.code, &copy.stdout[..]), (1, ""), "{copy:?}");
    assert!(copy.stderr.contains(secret), "{copy:?}");
}

/// What another container shares with others is in its root, not in the host's.
#[test]
fn whoever_shares_memory_early_waits_for_the_containers_root() {
    let host = Host::new();
    host.sh("mount -t tmpfs shm /dev/shm && echo of the host > /dev/shm/secret")
        .ok();
    let ipc = ["--name", "giver", "--ipc", "shareable"];
    let mut command = host.command(&[&["run", "-d"], &ipc[..], &["--network", "none", "busybox", "sleep", "1000"]].concat());
    command.stdout(Stdio::null());
    let guest = [
        "run",
        "--rm",
        "--ipc",
        "container:giver",
        "--network",
        "none",
        "busybox",
        "ls",
        "/dev/shm",
    ];
    let mut sharing = None;
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Init,
            at: &|call| call.number == libc::SYS_umount2,
            until: &mut |_| {
                if sharing.is_none() && !host.status("giver").starts_with("running") {
                    return false;
                }
                let (since, _) = sharing.get_or_insert_with(|| (Instant::now(), host.begin(&guest)));
                since.elapsed() > WHILE
            },
        },
    );
    assert!(was_held);
    let (_, guest) = sharing.expect("it has begun");
    assert_eq!(guest.join().expect("run").ok(), "");
}

#[test]
fn a_directory_to_spare_is_taken_also_if_its_maker_was_killed() {
    let host = Host::new();
    let spare = host.root().join("spare/0");
    host.run("run --rm --network none busybox true").ok();
    let is_made = |spare: &Path| fs::metadata(spare.join("upper")).is_ok_and(|upper| upper.mode() & 0o7777 == 0o755);
    until("a directory is made ahead", || is_made(&spare));
    host.until_nothing_is_left();
    // What the maker had still to do: one directory, and to let everybody enter the other. Where several make one while others take
    // it, only the former may be missing.
    for mode in [0o700, 0o755] {
        let made = fs::metadata(&spare).unwrap();
        fs::remove_dir(spare.join("work")).unwrap();
        fs::set_permissions(spare.join("upper"), Permissions::from_mode(mode)).unwrap();
        let id = host.run("create --network none busybox stat -c %a /").ok();
        let taken = host.root().join("container").join(id.trim());
        assert_eq!(fs::metadata(&taken).unwrap().ino(), made.ino());
        assert!(taken.join("work").is_dir() && !spare.exists());
        assert_eq!(host.tinydock(&["start", "-a", id.trim()]).ok(), "755\n");
        until("another is made", || is_made(&spare));
    }
}

/// One whose first process has made what it sees of the host its root is not being started.
#[test]
fn a_container_whose_root_becomes_the_hosts_can_be_entered() {
    let host = Host::new();
    let sleep = ["busybox", "chroot", "/host", "sleep", "1000"];
    host.start(&[&["--name", "shown", "--network", "none", "-v", "/:/host"], &sleep[..]].concat());
    let exec = host.tinydock(&["exec", "shown", "ls", "-d", "/host/proc"]).ok();
    assert_eq!(exec, "/host/proc\n");
}

/// Whatever fails in an `exec` because the container ends meanwhile: that it has ended is what is told.
#[test]
fn who_enters_a_container_that_ends_is_told_so() {
    let looks = |call: &Call| call.number == libc::SYS_openat && call.path(1).ends_with("/cgroup");
    let enters = |call: &Call| call.number == libc::SYS_setns;
    for (role, at) in [(Role::Command, looks as fn(&Call) -> bool), (Role::Monitor, enters)] {
        let host = Host::new();
        host.start(&["--name", "ending", "--network", "none", "busybox", "sleep", "1000"]);
        let told = host.path("told");
        let mut command = host.command(&["exec", "ending", "true"]);
        command.stderr(File::create(&told).expect("make a file"));
        let mut until = |_: &Call| {
            host.run("kill ending");
            !host.status("ending").starts_with("running")
        };
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role,
                at: &at,
                until: &mut until,
            },
        );
        assert!(was_held, "{role:?}");
        let told = fs::read_to_string(&told).expect("read");
        assert_eq!(told, "tinydock: container `ending` is not running\n", "{role:?}");
    }
}

/// What is mounted and unmounted when roots are exchanged stays in the container, also where the root is a directory of the host's, whose
/// mounts are shared.
#[test]
fn a_container_that_is_started_in_a_chroot_leaves_the_hosts_mounts_alone() {
    let host = Host::new();
    let tinydock = host.path("chroot").join(TINYDOCK.trim_start_matches('/'));
    host.sh("mount --make-rshared / && mkdir chroot && mount --rbind / chroot")
        .ok();
    let mounts = || host.sh("cut -d ' ' -f 4- /proc/self/mountinfo").ok();
    let before = mounts();
    assert!(tinydock.exists());
    let run = |rest: &str| host.sh(&format!("chroot chroot {TINYDOCK} {rest}"));
    run("run -d --name one --network none busybox sleep 1000").ok();
    assert_eq!(run("exec one ls /").ok(), run("run --rm --network none busybox ls /").ok());
    assert_eq!(mounts(), before);
    run("rm -f one").ok();
    assert_eq!(mounts(), before);
    host.sh("mount --make-rprivate / && umount -l chroot").ok();
    host.until_nothing_is_left();
}

/// The processes that start it are moved between processors.
#[test]
fn containers_may_run_on_all_processors() {
    let host = Host::new();
    let allowed = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed:"));
        line.expect("a line of processors").to_string()
    };
    let ours = allowed(&fs::read_to_string("/proc/thread-self/status").expect("our status"));
    let run = ["run", "--rm", "--network", "none", "busybox", "cat", "/proc/self/status"];
    for _ in 0..10 {
        let begun: Vec<_> = (0..6).map(|_| host.begin(&run)).collect();
        for done in begun {
            assert_eq!(allowed(&done.join().expect("a run").ok()), ours);
        }
    }
}

/// Whoever of those that start a container cannot open something, the others do not wait for it.
#[test]
fn a_start_that_may_open_too_little_ends() {
    let host = Host::new();
    host.run("run --rm busybox true").ok();
    let mut failed = 0;
    for limit in (6..120).step_by(3) {
        let script = format!("ulimit -n {limit}; timeout 20 {TINYDOCK} run --rm --network none busybox true");
        let done = host.sh(&format!("{script} || echo \"status $?\""));
        let told = done.ok();
        assert!(!told.contains("status 124"), "it hangs where {limit} files may be open");
        failed += usize::from(told.contains("status"));
        assert_eq!(host.run("ls -aq").ok(), "", "where {limit} files may be open");
        host.until_nothing_is_left();
    }
    assert!((5..35).contains(&failed), "{failed} of 38 starts fail");
}

/// A shell whose user stops a command goes on when all its threads have stopped.
#[test]
fn a_command_can_be_stopped_while_it_waits_for_others() {
    let host = Host::new();
    host.run("run --rm busybox true").ok();
    let held = Lock::acquire(&host.root().join("run/lock")).expect("the store's lock");
    let mut command = host.command(&["run", "--rm", "--network", "none", "busybox", "true"]);
    let mut run = command.stdin(Stdio::null()).spawn().expect("start tinydock");
    let states = || {
        let threads = fs::read_dir(format!("/proc/{}/task", run.id())).expect("its threads");
        let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        threads
            .flatten()
            .map(|thread| stat(thread).rsplit(") ").next().and_then(|rest| rest.chars().next()))
            .collect::<Vec<_>>()
    };
    until("it has a thread", || states().len() == 2);
    std::thread::sleep(Duration::from_millis(50));
    host.sh(&format!("kill -STOP {}", run.id())).ok();
    until("all its threads have stopped", || {
        states().iter().all(|state| *state == Some('T'))
    });
    host.sh(&format!("kill -CONT {}", run.id())).ok();
    drop(held);
    assert!(run.wait().expect("an end").success());
}
