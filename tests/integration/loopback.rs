//! A container can talk to itself, however it has come to a network of its own.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::host::{Host, until};

/// Whether the interface is up, and has its address: two lines say so.
const SCRIPT: &str = "ip addr show lo | grep -c -e '[<,]UP[,>]' -e 'inet 127.0.0.1/8'";
const WELL: &str = "2\n";

/// What a bundle has other than the usual one, in the part for Linux.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn the_loopback_interface_is_up_in_every_network() {
    let host = Host::new();
    let partner = host.start(&["--name", "partner", "--network", "none", "busybox", "sleep", "1000"]);
    host.run("network create further").ok();
    let cases: [&[&str]; 8] = [
        &[],
        &["--network", "further"],
        &["--network", "none"],
        &["--userns", "auto"],
        &["--userns", "auto", "--network", "none"],
        &["--pid", "container:partner"],
        &["--pid", "container:partner", "--network", "none"],
        &["--privileged"],
    ];
    for (n, flags) in cases.into_iter().enumerate() {
        let name = format!("case{n}");
        let run = [&["run", "--name", &name], flags, &["busybox", "sh", "-c", SCRIPT]].concat();
        assert_eq!(host.tinydock(&run).ok(), WELL, "{flags:?}");
        assert_eq!(host.tinydock(&["start", "-a", &name]).ok(), WELL, "{flags:?}, started again");
    }
    let failing = format!("{SCRIPT}; exit 1");
    host.start(&[
        "--name",
        "restarted",
        "--restart",
        "on-failure:1",
        "busybox",
        "sh",
        "-c",
        &failing,
    ]);
    until("two starts", || host.run("logs restarted").ok() == WELL.repeat(2));

    let joined = json!({ "type": "pid", "path": format!("/proc/{}/ns/pid", host.init_of(&partner)) });
    let mapping = json!([{ "containerID": 0, "hostID": 70000, "size": 1000 }]);
    let cases: [(&str, Change); 3] = [
        ("plain", &|_| ()),
        ("joined", &|linux| linux["namespaces"][0] = joined.clone()),
        ("users", &|linux| {
            add_namespace(linux, "user");
            linux["uidMappings"] = mapping.clone();
            linux["gidMappings"] = mapping.clone();
        }),
    ];
    for (name, change) in cases {
        let mut bundle = bundle(&host, name);
        change(&mut bundle.script(SCRIPT).config["linux"]);
        assert_eq!(bundle.run(name).ok(), WELL, "{name}, run");
        bundle.create_and_start(name);
        assert_eq!(bundle.finish(name, "stdout"), WELL, "{name}, created and started");
    }
    assert_eq!(run_without_root(&host), WELL, "without root");
}

/// A bundle whose root has the directories that other users than the host's may not make.
fn bundle<'a>(host: &'a Host, name: &str) -> Bundle<'a> {
    let bundle = Bundle::new(host, name);
    for name in ["dev", "proc", "sys"] {
        fs::create_dir(bundle.rootfs(name)).expect("make a directory");
    }
    bundle
}

fn add_namespace(linux: &mut Value, kind: &str) {
    let namespaces = linux["namespaces"].as_array_mut().expect("a list");
    namespaces.push(json!({ "type": kind }));
}

/// Has somebody who is not root run a container with a network of its own.
fn run_without_root(host: &Host) -> String {
    let bundle = bundle(host, "rootless");
    host.sh("cp $TINYDOCK rootless/tinydock && rm rootless/config.json && chown -R 12345:12345 rootless")
        .ok();
    let runtime = "cd rootless && exec setpriv --reuid 12345 --regid 12345 --clear-groups ./tinydock runtime";
    host.sh(&format!("{runtime} spec --rootless")).ok();
    let text = fs::read(bundle.path("config.json")).expect("read the configuration");
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", SCRIPT]);
    add_namespace(&mut config["linux"], "network");
    fs::write(bundle.path("config.json"), config.to_string()).expect("write the configuration");
    host.sh(&format!("{runtime} --root states run one")).ok()
}
