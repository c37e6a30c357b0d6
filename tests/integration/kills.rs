//! Every process of a container is killed at every one of its system calls, and the next command leaves nothing of it.

use std::fs;
use std::process::{Command, Stdio};

use crate::host::{Host, until};
use crate::tracer::{self, Kill, Role};

/// A container that uses everything that could be left behind.
const CONTAINER: [&str; 7] = ["--rm", "--name", "victim", "-p", "8080:80", "-m", "64m"];
/// Ends when it is asked to.
const WAIT: &str = "trap 'exit 0' TERM; while :; do sleep 100 & wait; done";

/// Kills `role` at each of its system calls in turn, until there are no more. Returns how many there were.
fn kill_at_every_call(host: &Host, role: Role, trial: impl Fn(Kill) -> bool) -> usize {
    for call in 0.. {
        if !trial(Kill { role, call }) {
            return call;
        }
        assert_eq!(host.run("ls -aq").ok(), "", "{role:?} killed at call {call}");
        println!("{role:?} was killed at call {call}");
        host.until_nothing_is_left();
    }
    unreachable!("no process makes calls forever")
}

fn quiet<'a>(host: &Host, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = host.command(&arguments.into_iter().collect::<Vec<_>>());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn kill_running(host: &Host, role: Role) {
    host.run("run --rm busybox true").ok();
    let calls = kill_at_every_call(host, role, |kill| {
        let run = ["run"].into_iter().chain(CONTAINER).chain(["busybox", "true"]);
        tracer::run(&mut quiet(host, run), &[], kill)
    });
    assert!(calls > 100, "{role:?} makes only {calls} calls");
}

/// Kills a process while `words` end a running container.
fn kill_ending(role: Role, words: &[&str]) {
    let host = Host::new();
    let calls = kill_at_every_call(&host, role, |kill| {
        let run = [&CONTAINER[..], &["busybox", "sh", "-c", WAIT]].concat();
        host.start(&run);
        let init = host.init("victim");
        let monitor = host.sh(&format!("ps -o ppid= -p {init}")).ok().trim().parse().expect("a pid");
        let others = [(monitor, Role::Monitor), (init, Role::Init)];
        let reached = tracer::run(&mut quiet(&host, words.iter().copied()), &others, kill);
        if !host.run("ls -q").ok().is_empty() {
            // It was not asked to end, or has not ended yet; if it does so now, there is nothing to remove.
            host.run("rm -f victim");
        }
        reached
    });
    assert!(calls >= 3, "{role:?} makes only {calls} calls");
}

/// A container that is being given another name may have both: neither is left when it is removed.
#[test]
fn a_rename_is_killed() {
    let host = Host::new();
    let mut call = 0;
    loop {
        host.run("create --name old busybox").ok();
        let mut rename = quiet(&host, ["rename", "old", "new"]);
        if !tracer::run(
            &mut rename,
            &[],
            Kill {
                role: Role::Command,
                call,
            },
        ) {
            break;
        }
        let id = host.run("ps -aq --no-trunc").ok();
        host.run(&format!("rm {}", id.trim())).ok();
        let names = fs::read_dir(host.path("root/container/names")).expect("the names");
        assert_eq!(names.count(), 0, "killed at call {call}");
        call += 1;
    }
    assert!(call > 20, "it makes only {call} calls");
    host.run("rm new").ok();
}

/// How many processes share the process namespace of one.
fn processes_with(init: i32) -> usize {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(&init.to_string());
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| own.is_some() && namespace(name) == own).count()
}

/// Kills a process while another command enters a running container, where nothing of that command may be left.
fn kill_entering(role: Role) {
    let host = Host::new();
    host.start(&["--name", "entered", "--network", "none", "busybox", "sleep", "1000"]);
    let init = host.init("entered");
    let mut call = 0;
    while tracer::run(
        &mut quiet(&host, ["exec", "entered", "sleep", "0.01"]),
        &[],
        Kill { role, call },
    ) {
        until(
            &format!("the end of an exec whose {role:?} was killed at call {call}"),
            || processes_with(init) == 1,
        );
        call += 1;
    }
    assert!(call > 5, "{role:?} makes only {call} calls");
    assert_eq!(host.run("exec entered echo well").ok(), "well\n");
}

#[test]
fn a_command_is_killed_while_it_enters_a_container() {
    kill_entering(Role::Command);
}

#[test]
fn an_init_is_killed_while_it_enters_a_container() {
    kill_entering(Role::Monitor);
}

#[test]
fn the_child_of_an_init_is_killed_in_the_container() {
    kill_entering(Role::Init);
}

#[test]
fn a_command_is_killed_while_it_runs_a_container() {
    kill_running(&Host::new(), Role::Command);
}

#[test]
fn a_monitor_is_killed_while_it_runs_a_container() {
    kill_running(&Host::new(), Role::Monitor);
}

#[test]
fn a_command_is_killed_while_it_cleans_up() {
    kill_running(&Host::new(), Role::Successor);
}

/// Then it makes cgroups while init mounts.
#[test]
fn a_command_is_killed_where_cgroups_are_of_version_1() {
    kill_running(&Host::with_separate_cgroups(), Role::Command);
}

#[test]
fn a_monitor_is_killed_where_cgroups_are_of_version_1() {
    kill_running(&Host::with_separate_cgroups(), Role::Monitor);
}

#[test]
fn an_init_is_killed_while_it_begins() {
    kill_running(&Host::new(), Role::Init);
}

#[test]
fn an_init_is_killed_where_cgroups_are_of_version_1() {
    kill_running(&Host::with_separate_cgroups(), Role::Init);
}

#[test]
fn a_command_is_killed_while_it_stops_a_container() {
    kill_ending(Role::Command, &["stop", "victim"]);
}

#[test]
fn a_monitor_is_killed_while_its_container_is_stopped() {
    kill_ending(Role::Monitor, &["stop", "victim"]);
}

#[test]
fn an_init_is_killed_while_its_container_is_stopped() {
    kill_ending(Role::Init, &["stop", "victim"]);
}

#[test]
fn a_command_is_killed_while_it_removes_a_container() {
    kill_ending(Role::Command, &["rm", "-f", "victim"]);
}

#[test]
fn a_monitor_is_killed_while_its_container_is_removed() {
    kill_ending(Role::Monitor, &["rm", "-f", "victim"]);
}

/// All that is in a directory of the image.
const LOOK: &str = "for f in *; do echo $f; cat $f 2>/dev/null; done; stat -c '%a %u:%g' . *";

/// Kills a process while a container with volumes is run. Volumes without a name go with it, and the one that has a name is filled
/// with what the image has by the next one who uses it, if it is not yet.
fn kill_filling(role: Role) {
    let host = Host::new();
    let run = ["run", "--rm", "--network", "none"];
    // The files that every container has of its own are none of the volume's.
    let look = |volume: &str| {
        host.tinydock(&[&run[..], &["-v", volume, "-w", "/etc", "busybox", "sh", "-c", LOOK]].concat())
            .ok()
    };
    let expected = look("/etc");
    let mut call = 0;
    loop {
        let words = [&run[..], &["-v", "data:/etc", "-v", "/var", "busybox", "true"]].concat();
        if !tracer::run(&mut quiet(&host, words), &[], Kill { role, call }) {
            break;
        }
        assert_eq!(host.run("ls -aq").ok(), "", "{role:?} killed at call {call}");
        until(&format!("all is gone of a {role:?} that was killed at call {call}"), || {
            host.traces().is_empty()
        });
        let names = host.run("volume ls -q").ok();
        assert!(
            ["", "data\n"].contains(&names.as_str()),
            "{role:?} killed at call {call}: {names}"
        );
        assert!(!host.root().join("volume/.new").exists(), "{role:?} killed at call {call}");
        // One that is not filled yet is filled by whoever uses it next.
        assert_eq!(look("data:/etc"), expected, "{role:?} killed at call {call}");
        assert_eq!(host.run("volume rm data").ok(), "data\n");
        // Each call takes three containers; neighbours leave the same.
        call += 7;
    }
    assert!(call > 20, "{role:?} makes only {call} calls");
}

#[test]
fn a_command_is_killed_while_it_fills_volumes() {
    kill_filling(Role::Command);
}

#[test]
fn a_monitor_is_killed_while_its_container_has_volumes() {
    kill_filling(Role::Monitor);
}

/// Kills a command at each of its calls. Before each, `make` makes ready; after each, `check` looks at what is left, and the number of
/// the call.
fn kill_command(host: &Host, words: &[&str], make: impl Fn(), check: impl Fn(usize)) {
    for call in 0.. {
        make();
        let kill = Kill {
            role: Role::Command,
            call,
        };
        let reached = tracer::run(&mut quiet(host, words.iter().copied()), &[], kill);
        host.run("ls -aq").ok();
        check(call);
        if !reached {
            assert!(call > 10, "`{words:?}` makes only {call} calls");
            return;
        }
    }
}

#[test]
fn a_command_is_killed_while_it_makes_or_removes_a_volume() {
    let host = Host::new();
    let (volumes, data) = (host.root().join("volume"), host.root().join("volume/data/data"));
    let check = |call: usize| {
        assert!(!volumes.join(".new").exists(), "killed at call {call}");
        let is_there = host.run("volume ls -q").ok() == "data\n";
        assert_eq!(volumes.join("data").exists(), is_there, "killed at call {call}");
        assert!(!is_there || data.is_dir(), "killed at call {call}");
    };
    kill_command(
        &host,
        &["volume", "create", "data"],
        || drop(host.run("volume rm -f data").ok()),
        check,
    );
    let make = || {
        host.run("volume create data").ok();
        fs::write(data.join("file"), "x").expect("write");
    };
    kill_command(&host, &["volume", "rm", "data"], make, |call| {
        check(call);
        assert_eq!(data.exists(), data.join("file").exists(), "killed at call {call}");
        assert_eq!(
            fs::read_dir(host.root().join("trash")).map_or(0, Iterator::count),
            0,
            "killed at call {call}"
        );
    });
}

#[test]
fn a_command_is_killed_while_it_removes_a_container_with_its_volumes() {
    let host = Host::new();
    let count = || host.run("volume ls -q").ok().lines().count();
    let make = || {
        if host.run("ls -aq").ok().is_empty() {
            host.run("create --name victim -v /anon -v /var busybox true").ok();
        }
    };
    kill_command(&host, &["rm", "-v", "victim"], make, |call| {
        let left = if host.run("ls -aq").ok().is_empty() { 0 } else { 2 };
        assert_eq!(count(), left, "killed at call {call}");
    });
    // Without `-v` they stay, whenever it is killed.
    make();
    let again = || {
        make();
        host.run("volume prune -f").ok();
    };
    kill_command(&host, &["rm", "victim"], again, |call| {
        assert_eq!(count(), 2, "killed at call {call}")
    });
    host.run("rm -fv victim");
}
