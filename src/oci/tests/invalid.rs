//! Configurations with one mistake: the error names the field, and nothing panics.

use serde_json::{Value, json};

use super::*;

/// The message of a configuration in which one value is another.
fn message(bundle: &Bundle, pointer: &str, value: Value) -> String {
    let mut config = sample();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = config.pointer_mut(parent).unwrap();
    match (parent, name.parse::<usize>()) {
        (Value::Array(list), Ok(n)) if n < list.len() => list[n] = value,
        (Value::Array(list), _) => list.push(value),
        (Value::Object(map), _) => drop(map.insert(name.into(), value)),
        _ => panic!("{pointer} leads nowhere"),
    }
    let planned = bundle.plan(config.to_string().as_bytes(), Asked::default());
    planned
        .err()
        .map_or_else(|| format!("{pointer} is taken"), |error| error.to_string())
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    let bundle = Bundle::new("senseless");
    let many: Vec<u32> = (0..70000).collect();
    for (pointer, value, field) in [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/root/path", json!(""), "root.path"),
        ("/root/path", json!("missing"), "root.path"),
        ("/hostname", json!("x".repeat(65)), "hostname"),
        ("/process/args", json!([]), "process.args"),
        ("/process/cwd", json!("etc"), "process.cwd"),
        ("/process/user/uid", json!(u32::MAX), "process.user.uid"),
        ("/process/user/gid", json!(u32::MAX), "process.user.gid"),
        (
            "/process/user/additionalGids/-",
            json!(u32::MAX),
            "process.user.additionalGids[2]",
        ),
        ("/process/user/additionalGids", json!(many), "process.user.additionalGids"),
        ("/process/rlimits/0/type", json!("RLIMIT_FUN"), "process.rlimits[0]"),
        ("/process/rlimits/0/type", json!("nofile"), "process.rlimits[0]"),
        ("/process/rlimits/0/soft", json!(200), "process.rlimits[0]"),
        (
            "/process/rlimits/-",
            json!({ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 1 }),
            "process.rlimits",
        ),
        (
            "/process/ioPriority/class",
            json!("IOPRIO_CLASS_X"),
            "process.ioPriority.class",
        ),
        ("/process/ioPriority/priority", json!(8), "process.ioPriority.priority"),
        ("/process/scheduler/policy", json!("SCHED_X"), "process.scheduler.policy"),
        (
            "/process/scheduler/flags/-",
            json!("SCHED_FLAG_X"),
            "process.scheduler.flags[1]",
        ),
        ("/mounts/0/destination", json!(""), "mounts[0].destination"),
        ("/mounts/0/destination", json!("/a".repeat(4000)), "mounts[0].destination"),
        ("/mounts/2/source", json!("missing"), "mounts[2].source"),
        ("/mounts/0/type", json!(""), "mounts[0].type"),
        ("/mounts/2/destination", json!("/dev/../proc/self"), "mounts[2].destination"),
        ("/mounts/2/gidMappings", json!([]), "mounts[2].uidMappings"),
        ("/mounts/2/uidMappings/0/size", json!(0), "mounts[2].uidMappings[0]"),
        ("/mounts/2/uidMappings/0/hostID", json!(u32::MAX), "mounts[2].uidMappings[0]"),
        ("/mounts/1/options/-", json!("idmap"), "mounts[1].options"),
        ("/hooks/createRuntime/0/path", json!("true"), "hooks.createRuntime[0].path"),
        ("/hooks/createRuntime/0/timeout", json!(0), "hooks.createRuntime[0].timeout"),
        ("/linux/namespaces/0/type", json!("pids"), "linux.namespaces[0].type"),
        ("/linux/namespaces/-", json!({ "type": "pid" }), "linux.namespaces[7].type"),
        ("/linux/namespaces/0/path", json!("ns"), "linux.namespaces[0].path"),
        ("/linux/namespaces/-", json!({ "type": "user" }), "linux.uidMappings"),
        ("/linux/namespaces", json!([{ "type": "uts" }]), "linux.timeOffsets"),
        (
            "/linux/namespaces",
            json!([{ "type": "time" }, { "type": "uts" }]),
            "linux.sysctl",
        ),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 0, "size": 1 }]),
            "linux.uidMappings",
        ),
        ("/linux/devices/0/type", json!("x"), "linux.devices[0].type"),
        ("/linux/devices/0/path", json!("dev/x"), "linux.devices[0].path"),
        ("/linux/devices/0/path", json!("/dev/../x"), "linux.devices[0].path"),
        ("/linux/devices/0/path", json!("/dev/"), "linux.devices[0].path"),
        ("/linux/devices/0/major", json!(-1), "linux.devices[0].major"),
        ("/linux/devices/0/major", json!(1i64 << 32), "linux.devices[0].major"),
        ("/linux/devices/0/minor", json!(1 << 20), "linux.devices[0].minor"),
        ("/linux/rootfsPropagation", json!("some"), "linux.rootfsPropagation"),
        (
            "/linux/sysctl/kernel.core_pattern",
            json!("x"),
            "linux.sysctl.kernel.core_pattern",
        ),
        ("/linux/sysctl", json!({ "net.//.x": "x" }), "linux.sysctl.net.//.x"),
        ("/linux/maskedPaths/-", json!("proc/x"), "linux.maskedPaths[2]"),
        ("/linux/maskedPaths/-", json!("/proc/../etc"), "linux.maskedPaths[2]"),
        ("/linux/readonlyPaths/-", json!("/proc/sys/.."), "linux.readonlyPaths[1]"),
        ("/linux/timeOffsets/realtime", json!({ "secs": 1 }), "linux.timeOffsets"),
        (
            "/linux/timeOffsets/monotonic/nanosecs",
            json!(-1),
            "linux.timeOffsets.monotonic.nanosecs",
        ),
        ("/linux/personality/domain", json!("BSD"), "linux.personality.domain"),
        ("/linux/memoryPolicy/mode", json!("MPOL_X"), "linux.memoryPolicy.mode"),
        ("/linux/memoryPolicy/nodes", json!("0-"), "linux.memoryPolicy.nodes"),
        (
            "/linux/memoryPolicy/nodes",
            json!("0-4095,".repeat(100_000)),
            "linux.memoryPolicy.nodes",
        ),
        (
            "/linux/resources",
            json!({ "cpu": { "cpus": "0-65535,".repeat(100_000) } }),
            "linux.resources.cpu.cpus",
        ),
        ("/linux/intelRdt", json!({}), "linux.intelRdt"),
        (
            "/linux/seccomp/defaultAction",
            json!("SCMP_ACT_X"),
            "linux.seccomp.defaultAction",
        ),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO"), "linux.seccomp"),
        (
            "/linux/seccomp/syscalls/-",
            json!({ "names": ["execve"], "action": "SCMP_ACT_KILL" }),
            "linux.seccomp",
        ),
        (
            "/linux/seccomp/syscalls/0/args/0/index",
            json!(6),
            "linux.seccomp.syscalls[0].args[0].index",
        ),
    ] {
        let message = message(&bundle, pointer, value.clone());
        let shown: String = value.to_string().chars().take(60).collect();
        assert!(message.contains(&format!("`{field}")), "{pointer} = {shown}: {message}");
    }
}

#[test]
fn what_the_host_has_only_once_needs_a_namespace() {
    let bundle = Bundle::new("only-once");
    for (without, field) in [("uts", "`hostname`"), ("time", "`linux.timeOffsets`")] {
        let mut config = sample();
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != without);
        let error = bundle
            .plan(config.to_string().as_bytes(), Asked::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(field), "{error}");
    }
    let mut config = sample();
    config["linux"]["namespaces"] = json!([{ "type": "user" }, { "type": "uts" }, { "type": "time" }, { "type": "ipc" }]);
    let error = bundle
        .plan(config.to_string().as_bytes(), Asked::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`linux.namespaces[0]`"), "{error}");
}

#[test]
fn ids_are_exchanged_for_those_of_somebody() {
    let bundle = Bundle::new("idmap");
    let mut config = sample();
    let bind = config["mounts"][2].as_object_mut().unwrap();
    bind.retain(|name, _| !name.ends_with("Mappings"));
    bind["options"] = json!(["bind", "idmap"]);
    let error = bundle
        .plan(config.to_string().as_bytes(), Asked::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`mounts[2].options`"), "{error}");
}

/// The places of all values that are no lists and no objects, as pointers and as errors name them.
fn leaves(value: &Value, pointer: &str, field: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let dot = if field.is_empty() { "" } else { "." };
                leaves(value, &format!("{pointer}/{name}"), &format!("{field}{dot}{name}"), found);
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                leaves(value, &format!("{pointer}/{n}"), &format!("{field}[{n}]"), found);
            }
        }
        _ => found.push((pointer.into(), field.into())),
    }
}

#[test]
fn values_of_a_wrong_type_are_refused_by_their_name() {
    let bundle = Bundle::new("types");
    let (config, mut found) = (sample(), Vec::new());
    leaves(&config, "", "", &mut found);
    assert!(found.len() > 80);
    for (pointer, field) in found {
        let value = config.pointer(&pointer).unwrap();
        let mut wrongs = vec![
            json!([]),
            json!({ "x": [] }),
            json!(if value.is_string() { json!(1) } else { json!("x") }),
        ];
        if value.is_number() {
            wrongs.extend([json!(1.5), json!(1e300), json!(true)]);
        }
        if value.is_string() {
            wrongs.extend([json!("a\0b"), json!("\0")]);
        }
        for wrong in wrongs {
            // A list stands for a structure where it has its fields in their order; an empty one has none.
            let message = message(&bundle, &pointer, wrong.clone());
            assert!(message.contains(&format!("`{field}`")), "{pointer} = {wrong}: {message}");
        }
    }
}
