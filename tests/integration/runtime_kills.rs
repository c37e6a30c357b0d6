//! The runtime's commands, and what they start, are killed at every one of their system calls, and `delete --force` leaves nothing of
//! the container.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::bundle::{Bundle, runtime};
use crate::host::{Host, until};
use crate::tracer::{self, Kill, Role};

/// A container that has something of everything that could be left behind.
fn bundle<'a>(host: &'a Host, name: &str) -> Bundle<'a> {
    let mut bundle = Bundle::new(host, name);
    bundle.config["process"]["args"] = json!(["sleep", "1000"]);
    bundle.config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
    fs::create_dir_all(host.path("runtime")).expect("make a directory");
    bundle
}

/// Removes the container, and checks that nothing is left of it.
fn remove(host: &Host, bundle: &Bundle, what: &str) {
    tracer::let_go_on();
    let done = bundle.tell(&["delete", "--force", "victim"]);
    assert_eq!(done.code, 0, "{what}: {done:?}");
    until(&format!("all is gone after {what}"), || {
        tracer::let_go_on();
        let records = fs::read_dir(host.path("runtime")).expect("read the records").flatten();
        host.traces().is_empty() && records.count() == 0
    });
}

/// Kills `role` at each system call of a command about a container that was made by `before`.
fn kill_at_every_call(host: &Host, bundle: &Bundle, words: &[&str], role: Role, before: impl Fn()) {
    for call in 0.. {
        before();
        let mut command = match words {
            [verb @ ("create" | "run"), flags @ ..] => bundle.command(verb, flags, "victim"),
            words => runtime(host, words),
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let reached = tracer::run_leaving(&mut command, Kill { role, call });
        remove(host, bundle, &format!("{words:?} whose {role:?} was killed at call {call}"));
        if !reached {
            assert!(call > 10, "{role:?} makes only {call} calls");
            return;
        }
    }
}

fn create(bundle: &Bundle) {
    let mut command = bundle.command("create", &[], "victim");
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run tinydock");
    assert!(status.success());
}

#[test]
fn create_is_killed() {
    let host = Host::new();
    kill_at_every_call(&host, &bundle(&host, "one"), &["create"], Role::Command, || ());
}

#[test]
fn the_init_of_create_is_killed() {
    let host = Host::new();
    kill_at_every_call(&host, &bundle(&host, "two"), &["create"], Role::Monitor, || ());
}

#[test]
fn run_is_killed() {
    let host = Host::new();
    kill_at_every_call(&host, &bundle(&host, "three"), &["run", "-d"], Role::Command, || ());
}

#[test]
fn start_is_killed() {
    let host = Host::new();
    let bundle = bundle(&host, "four");
    kill_at_every_call(&host, &bundle, &["start", "victim"], Role::Command, || create(&bundle));
}

#[test]
fn delete_is_killed() {
    let host = Host::new();
    let bundle = bundle(&host, "five");
    kill_at_every_call(&host, &bundle, &["delete", "-f", "victim"], Role::Command, || create(&bundle));
}

#[test]
fn create_without_mounts_of_its_own_is_killed() {
    let host = Host::new();
    let mut bundle = bundle(&host, "six");
    bundle.config["linux"]["namespaces"] = json!([{ "type": "pid" }]);
    bundle.config["hostname"] = json!("");
    kill_at_every_call(&host, &bundle, &["create"], Role::Monitor, || ());
}

/// What `exec` has started ends with it, as long as it is not the command.
#[test]
fn exec_is_killed() {
    let host = Host::new();
    let bundle = bundle(&host, "seven");
    bundle.start("victim", "output");
    let init = bundle.tell(&["state", "victim"]).stdout;
    let init: serde_json::Value = serde_json::from_str(&init).expect("JSON");
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(&init["pid"].to_string());
    assert!(own.is_some(), "its init runs");
    // One that has ended may wait for the host's init to reap it, which can take seconds: its memory and files are gone.
    let has_ended = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    let inside = || {
        let entries = fs::read_dir("/proc").expect("read /proc").flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| namespace(name) == own && !has_ended(name)).count()
    };
    for role in [Role::Command, Role::Monitor, Role::Init] {
        for call in 0.. {
            let mut command = runtime(&host, &["exec", "victim", "sleep", "0.01"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let reached = tracer::run(&mut command, &[], Kill { role, call });
            until(
                &format!("the end of an exec whose {role:?} was killed at call {call}"),
                || {
                    tracer::let_go_on();
                    inside() == 1
                },
            );
            if !reached {
                assert!(call > 5, "{role:?} makes only {call} calls");
                break;
            }
        }
    }
    assert_eq!(bundle.tell(&["exec", "victim", "readlink", "/bin/sh"]).ok(), "busybox\n");
    remove(&host, &bundle, "every exec");
}

#[test]
fn whoever_forces_a_container_away_that_others_remove_succeeds() {
    let host = Host::new();
    let bundle = Bundle::new(&host, "bundle");
    for _ in 0..8 {
        bundle.tell(&["create", "one"]).ok();
        std::thread::scope(|scope| {
            let removals: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| bundle.tell(&["delete", "--force", "one"])))
                .collect();
            removals
                .into_iter()
                .for_each(|removal| drop(removal.join().expect("a removal").ok()));
        });
        assert!(bundle.tell(&["start", "one"]).fails(1).contains("does not exist"));
    }
}

#[test]
fn a_created_container_that_is_paused_goes_on() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "bundle");
    bundle.script("true");
    bundle.tell(&["create", "one"]).ok();
    bundle.tell(&["pause", "one"]).ok();
    assert_eq!(bundle.status("one"), "paused");
    assert!(bundle.tell(&["start", "one"]).fails(1).contains("that is paused"));
    bundle.tell(&["resume", "one"]).ok();
    assert_eq!(bundle.status("one"), "created");
    bundle.tell(&["start", "one"]).ok();
    bundle.remove("one");
}
