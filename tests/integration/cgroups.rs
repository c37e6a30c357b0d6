//! The cgroups of one container on the real kernel, in all trees that this host has. The tests are the same for hosts with
//! version 1, version 2 or both.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use tinydock::cgroup::{Group, Hierarchies, OomEvent, Plan, Resources, Scope, default_devices, systemd, table_of};

use crate::host::{PATIENCE, until};

/// A group with nothing in it, which is removed with what is in it in the end.
struct Container {
    hierarchies: Hierarchies,
    path: PathBuf,
    group: Group,
    parent: PathBuf,
}

fn resources(text: &str) -> Resources {
    serde_json::from_str(text).expect("resources")
}

/// A path that no other test uses, two levels below the trees' roots.
fn new_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("tinydock-test-{}-{number}/pod/container", std::process::id()).into()
}

impl Container {
    fn new(text: &str) -> Container {
        let (hierarchies, path) = (Hierarchies::all().expect("read the mounts"), new_path());
        let plan = Plan::new(&hierarchies, &path, &resources(text)).expect("plan");
        let group = Group::create(&plan).expect("create");
        assert_eq!(plan.warnings, [""; 0]);
        assert_eq!(group.warnings, [""; 0]);
        let parent = path.parent().expect("a parent").into();
        Container {
            hierarchies,
            path,
            group,
            parent,
        }
    }

    /// The container's directory in the tree of a controller, and whether that is of version 2.
    fn directory(&self, controller: &str) -> (PathBuf, bool) {
        let (tree, unified) = self.hierarchies.tree(controller).expect("a controller");
        (tree.mount.join(&self.path), unified)
    }

    /// A file of a controller, by its names in version 2 and 1.
    fn file(&self, controller: &str, v2: &str, v1: &str) -> String {
        let (directory, unified) = self.directory(controller);
        let file = directory.join(if unified { v2 } else { v1 });
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.trim().into()
    }

    fn update(&self, text: &str) -> Result<Vec<String>, String> {
        Group::update(&self.hierarchies, &self.path, &resources(text)).map_err(|error| error.to_string())
    }

    /// A shell in the group, and in a cgroup below it if one is named. It executes its lines of input.
    fn shell(&self, below: &str) -> Child {
        let mut child = Command::new("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start a shell");
        let trees = self.hierarchies.unified.iter().chain(&self.hierarchies.separate);
        for tree in trees {
            let mut directory = tree.mount.join(&self.path);
            for name in Path::new(below) {
                let above = directory.clone();
                directory.push(name);
                fs::create_dir_all(&directory).expect("make a cgroup");
                for file in ["cpuset.cpus", "cpuset.mems"]
                    .into_iter()
                    .filter(|file| above.join(file).exists())
                {
                    let value = fs::read(above.join(file)).expect("read");
                    let _ = fs::write(directory.join(file), value);
                }
            }
            fs::write(directory.join("cgroup.procs"), child.id().to_string()).expect("enter");
        }
        // It answers, so it is where it should be.
        say(&mut child, "echo there");
        let mut answer = [0; 6];
        child
            .stdout
            .as_mut()
            .expect("a pipe")
            .read_exact(&mut answer)
            .expect("an answer");
        child
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let removed = self.group.remove();
        let parents = [self.parent.clone(), self.parent.parent().expect("a parent").into()];
        for tree in self.hierarchies.unified.iter().chain(&self.hierarchies.separate) {
            for parent in &parents {
                let _ = fs::remove_dir(tree.mount.join(parent));
            }
        }
        if !std::thread::panicking() {
            removed.expect("remove");
            assert!(!self.group.exists());
        }
    }
}

fn say(child: &mut Child, line: &str) {
    writeln!(child.stdin.as_mut().expect("a pipe"), "{line}").expect("write to the shell");
}

/// What a shell prints until it ends, and whether it was killed.
fn end(child: Child) -> (String, Option<i32>) {
    let output = child.wait_with_output().expect("wait");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (text, output.status.code())
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32).expect("a number")
}

#[test]
fn resources_reach_the_kernel() {
    let container = Container::new(
        r#"{"memory":{"limit":67108864,"reservation":33554432},"pids":{"limit":50},
            "cpu":{"shares":512,"quota":20000,"period":50000,"cpus":"0","mems":"0"}}"#,
    );
    for (controller, v2, v1, value) in [
        ("memory", "memory.max", "memory.limit_in_bytes", ["67108864", "67108864"]),
        ("memory", "memory.low", "memory.soft_limit_in_bytes", ["33554432", "33554432"]),
        ("pids", "pids.max", "pids.max", ["50", "50"]),
        ("cpu", "cpu.weight", "cpu.shares", ["59", "512"]),
        ("cpu", "cpu.max", "cpu.cfs_quota_us", ["20000 50000", "20000"]),
        ("cpuset", "cpuset.cpus", "cpuset.cpus", ["0", "0"]),
    ] {
        let (_, unified) = container.directory(controller);
        let expected = value[usize::from(!unified)];
        assert_eq!(container.file(controller, v2, v1), expected, "{v2}");
    }
}

#[test]
fn limits_grow_and_shrink_while_it_runs() {
    let container = Container::new(r#"{"memory":{"limit":33554432,"swap":67108864},"cpu":{"quota":10000,"period":100000}}"#);
    let mut shell = container.shell("");
    for (limit, swap, quota, period) in [
        (134_217_728, 268_435_456, 900_000, 1_000_000),
        (16_777_216, 16_777_216, 1_000, 1_000),
        (-1, -1, -1, 100_000),
    ] {
        let text = format!(
            r#"{{"memory":{{"limit":{limit},"swap":{swap}}},"cpu":{{"quota":{quota},"period":{period}}},"pids":{{"limit":9}}}}"#
        );
        assert_eq!(container.update(&text), Ok(Vec::new()), "{text}");
        let told = container.file("memory", "memory.max", "memory.limit_in_bytes");
        let is_unlimited = told == "max" || told == "9223372036854771712";
        assert!(
            if limit == -1 {
                is_unlimited
            } else {
                told == limit.to_string()
            },
            "{told}"
        );
        let told = container.file("cpu", "cpu.max", "cpu.cfs_period_us");
        assert!(told.ends_with(&period.to_string()), "{told}");
        assert_eq!(container.file("pids", "pids.max", "pids.max"), "9");
    }
    // A shell that does nothing may have next to nothing of its own.
    say(&mut shell, "text=$(head -c 4000000 /dev/zero | tr '\\0' x)");
    until("the shell uses memory", || {
        let used = container.file("memory", "memory.current", "memory.usage_in_bytes");
        used.parse::<u64>().is_ok_and(|used| used > 1 << 20)
    });
    let error = container
        .update(r#"{"memory":{"limit":4096,"checkBeforeUpdate":true}}"#)
        .unwrap_err();
    assert!(
        error.starts_with("`linux.resources.memory.limit`: 4096 is below the "),
        "{error}"
    );
    say(&mut shell, "exit 3");
    assert_eq!(end(shell).1, Some(3));
}

#[test]
fn processes_below_are_found_frozen_and_killed() {
    let container = Container::new("{}");
    let group = &container.group;
    // In version 2 a cgroup with others below it that have controllers has no processes of its own.
    let mut shells = [container.shell("below/deep"), container.shell("beside")];
    let mut pids: Vec<Pid> = shells.iter().map(pid).collect();
    pids.sort_by_key(|pid| pid.as_raw_nonzero());
    assert_eq!(group.processes().expect("processes"), pids);
    assert!(!group.is_frozen());
    group.freeze().expect("freeze");
    assert!(group.is_frozen());
    shells.iter_mut().for_each(|shell| say(shell, "echo again"));
    std::thread::sleep(std::time::Duration::from_millis(50));
    for shell in &mut shells {
        let out = shell.stdout.as_mut().expect("a pipe");
        let waiting = rustix::io::ioctl_fionread(&*out).expect("ask the pipe");
        assert_eq!(waiting, 0, "it goes on");
    }
    group.thaw().expect("thaw");
    assert!(!group.is_frozen());
    for shell in &mut shells {
        let mut answer = [0; 6];
        shell
            .stdout
            .as_mut()
            .expect("a pipe")
            .read_exact(&mut answer)
            .expect("an answer");
    }
    group.signal(Signal::USR1).expect("signal");
    for shell in shells {
        let (_, code) = end(shell);
        assert_eq!(code, None, "killed by the signal");
    }
    let shell = container.shell("beside");
    group.freeze().expect("freeze");
    group.kill().expect("kill");
    assert_eq!(end(shell).1, None);
    until("nobody is left", || group.processes().expect("processes").is_empty());
}

#[test]
fn a_cgroup_that_is_used_is_not_taken() {
    let container = Container::new("{}");
    let plan = Plan::new(&container.hierarchies, &container.path, &Resources::default()).expect("plan");
    Group::create(&plan).expect("an empty one may be there");
    let shell = container.shell("");
    let error = Group::create(&plan).unwrap_err().to_string();
    assert!(error.contains("it exists, with 1 processes in it"), "{error}");
    container.group.kill().expect("kill");
    end(shell);
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let (hierarchies, path) = (Hierarchies::all().expect("read the mounts"), new_path());
    let plan = Plan::new(&hierarchies, &path, &resources(r#"{"cpu":{"cpus":"60000"}}"#)).expect("plan");
    let error = Group::create(&plan).unwrap_err().to_string();
    assert!(error.starts_with("write `60000` to `"), "{error}");
    for tree in hierarchies.unified.iter().chain(&hierarchies.separate) {
        let top = path.components().next().expect("a name");
        assert!(!tree.mount.join(top).exists(), "{}", tree.mount.display());
    }
}

#[test]
fn devices_are_those_of_the_list() {
    let rules = serde_json::to_string(&default_devices()).expect("rules");
    let refused = r#"{"allow":false,"access":"rwm"},"#;
    let container = Container::new(&format!(r#"{{"devices":[{refused}{}"#, rules[1..].to_string() + "}"));
    // As a container's root can, but outside of the host's /dev, where such nodes may already be.
    let directory = std::env::temp_dir().join(format!("tinydock-devices-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("make a directory");
    let mut shell = container.shell("");
    let node = directory.join("kmsg");
    say(&mut shell, &format!("mknod {} c 1 11 && echo made", node.display()));
    say(&mut shell, &format!("true < {} || echo refused", node.display()));
    say(&mut shell, "echo null > /dev/null && echo written");
    say(&mut shell, "echo one; read word");
    let mut answer = [0; 28];
    let out = shell.stdout.as_mut().expect("a pipe");
    out.read_exact(&mut answer[..25]).expect("an answer");
    assert_eq!(&answer[..25], b"made\nrefused\nwritten\none\n");
    let all = r#"{"devices":[{"allow":true}]}"#;
    assert_eq!(container.update(all), Ok(Vec::new()));
    say(&mut shell, "word");
    say(&mut shell, &format!("true < {} && echo opened; exit", node.display()));
    let (text, _) = end(shell);
    fs::remove_dir_all(directory).expect("remove");
    assert!(text.contains("opened"), "{text}");
}

#[test]
fn what_is_used_is_counted() {
    let container = Container::new(r#"{"memory":{"limit":67108864},"pids":{"limit":50},"cpu":{"quota":5000,"period":50000}}"#);
    let mut shell = container.shell("");
    say(&mut shell, "while :; do :; done");
    let stats = || container.group.stats().expect("stats");
    until("it has to wait for the processor", || {
        stats().cpu.throttling.throttled_periods > 0
    });
    let stats = stats();
    assert!(stats.cpu.usage.total > 1_000_000, "{stats:?}");
    assert!(stats.cpu.throttling.throttled_periods > 0, "{stats:?}");
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 50));
    assert_eq!(stats.memory.usage.limit, 67_108_864);
    assert!((4096..67_108_864).contains(&stats.memory.usage.usage), "{stats:?}");
    assert!(!stats.memory.raw.is_empty());
    container.group.kill().expect("kill");
    shell.wait().expect("wait for the shell");
}

#[test]
fn who_waits_for_the_memory_to_run_out_is_told() {
    let container = Container::new(r#"{"memory":{"limit":8388608,"swap":8388608}}"#);
    let mut watch = container.group.watch_oom().expect("watch");
    let wait = |watch: &tinydock::cgroup::OomWatch| {
        let timeout = Timespec::try_from(PATIENCE).expect("a time");
        let ready = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout)).expect("poll");
        assert_eq!(ready, 1, "nobody told");
    };
    let mut shell = container.shell("");
    say(&mut shell, "exec tail /dev/zero");
    let killed = loop {
        wait(&watch);
        match watch.take().expect("take") {
            OomEvent::Nothing => {}
            event => break event,
        }
    };
    assert!(matches!(killed, OomEvent::Killed(1..)), "{killed:?}");
    assert_eq!(end(shell).1, None);
    container.group.remove().expect("remove");
    // The end may have been told together with the death, so it is asked for before it is waited for.
    let last = loop {
        match watch.take().expect("take") {
            OomEvent::Ended => break OomEvent::Ended,
            OomEvent::Killed(_) | OomEvent::Nothing => wait(&watch),
        }
    };
    assert_eq!(last, OomEvent::Ended);
}

#[test]
fn another_process_finds_where_it_is() {
    let container = Container::new("{}");
    let shell = container.shell("");
    let table = table_of(shell.id() as i32).expect("read");
    let group = Group::beside(&container.hierarchies, &table, &container.path);
    assert_eq!(group.processes().expect("processes"), [pid(&shell)]);
    let own = Group::find(&container.hierarchies, Path::new("/").join(&container.path).as_path());
    assert_eq!(own.processes().expect("processes"), [pid(&shell)]);
    own.kill().expect("kill");
    end(shell);
}

/// Where systemd is the service manager it makes the cgroup. Elsewhere that is said.
#[test]
fn a_scope_of_systemd() {
    let hierarchies = Hierarchies::all().expect("read the mounts");
    let scope = Scope::parse("tinydock-test.slice:try:scope", "id").expect("a scope");
    let limits = resources(r#"{"memory":{"limit":67108864},"cpu":{"quota":20000,"period":50000},"pids":{"limit":50}}"#);
    let child = Command::new("sleep").arg("1000").spawn().expect("start a process");
    if !systemd::is_running() {
        let error = scope.start(child.id(), &limits, &hierarchies).unwrap_err().to_string();
        assert!(error.starts_with("systemd does not run on this host: "), "{error}");
        rustix::process::kill_process(pid(&child), Signal::KILL).expect("kill");
        end(child);
        return;
    }
    scope.start(child.id(), &limits, &hierarchies).expect("start");
    let group = Group::beside(&hierarchies, &table_of(child.id() as i32).expect("read"), &scope.path());
    let found = Group::find(&hierarchies, &scope.path());
    assert_eq!(group.processes().expect("processes"), [pid(&child)]);
    assert_eq!(found.processes().expect("processes"), [pid(&child)]);
    let mut plan = Plan::new(&hierarchies, &scope.path(), &limits).expect("plan");
    plan.populated = true;
    Group::create(&plan).expect("write what systemd does not");
    let told = |name: &str| {
        let mut show = Command::new("systemctl");
        let output = show
            .args(["show", "--value", "-p", name, scope.unit()])
            .output()
            .expect("run systemctl");
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    };
    assert_eq!(
        (told("MemoryMax"), told("TasksMax"), told("Delegate")),
        ("67108864".into(), "50".into(), "yes".into())
    );
    let error = scope.start(child.id(), &limits, &hierarchies).unwrap_err();
    assert_eq!(error.kind, tinydock::error::Kind::Conflict, "{error}");
    let more = resources(r#"{"memory":{"limit":134217728},"pids":{"limit":-1}}"#);
    scope.update(&more, &hierarchies).expect("update");
    Group::update(&hierarchies, &scope.path(), &more).expect("update");
    assert_eq!((told("MemoryMax"), told("TasksMax")), ("134217728".into(), "infinity".into()));
    assert_eq!(found.stats().expect("stats").memory.usage.limit, 134_217_728);
    found.kill().expect("kill");
    assert_eq!(end(child).1, None);
    scope.stop().expect("stop");
    found.remove().expect("remove");
    assert!(!found.exists());
    scope.stop().expect("stopping twice");
}
