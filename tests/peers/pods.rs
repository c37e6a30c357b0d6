//! containerd, asked as Kubernetes asks it: a pod is a container that only waits, and others in its namespaces.

use std::fs;

use serde_json::{Value, json};

use crate::containerd::Containerd;
use crate::host::until;

/// Pods of a containerd.
struct Node(Containerd);

impl Node {
    fn new() -> Node {
        let containerd = Containerd::new();
        let protocol = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
        containerd
            .host
            .sh(&format!("protoc -I {protocol} --python_out . {protocol}/cri.proto"))
            .ok();
        let known = "ctr -n k8s.io images ls | grep -c 'library/.*io.cri-containerd.image=managed'";
        until("both images for pods", || containerd.host.sh(known).stdout == "2\n");
        Node(containerd)
    }

    #[track_caller]
    fn ask(&self, method: &str, request: Value) -> Value {
        self.0
            .ask(method, &request)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn pod(&self) -> Value {
        json!({
            "metadata": {"name": "pod", "uid": "pod", "namespace": "default"},
            "hostname": "pod",
            "log_directory": self.0.host.place(""),
            "linux": {
                "cgroup_parent": format!("/{}", self.0.host.label()),
                "sysctls": {"net.ipv4.ip_unprivileged_port_start": "99"},
            },
        })
    }

    /// Makes and starts a container in a pod. Returns its ID.
    #[track_caller]
    fn start(&self, pod: &str, name: &str, script: &str, linux: &Value) -> String {
        let config = json!({
            "metadata": {"name": name},
            "image": {"image": "docker.io/library/busybox:latest"},
            "command": ["sh", "-c", script],
            "envs": [{"key": "A", "value": "b c"}],
            "working_dir": "/tmp",
            "mounts": [{"container_path": "/shared", "host_path": self.0.host.place("shared"), "readonly": false}],
            "log_path": format!("{name}.log"),
            "linux": linux,
        });
        let request = json!({"pod_sandbox_id": pod, "config": config, "sandbox_config": self.pod()});
        let answer = self.ask("CreateContainer", request);
        let id = answer["container_id"].as_str().expect("an ID");
        assert_eq!(self.status(id)["state"], "CONTAINER_CREATED");
        self.ask("StartContainer", json!({"container_id": id}));
        id.into()
    }

    fn status(&self, id: &str) -> Value {
        self.ask("ContainerStatus", json!({"container_id": id}))["status"].clone()
    }

    /// What a shell script in a container wrote, and its exit code.
    #[track_caller]
    fn exec(&self, id: &str, script: &str) -> (String, i64) {
        let answer = self.ask(
            "ExecSync",
            json!({"container_id": id, "cmd": ["sh", "-c", script], "timeout": 30}),
        );
        let text = answer["stdout"].as_str().expect("text");
        (text.into(), answer["exit_code"].as_i64().expect("a code"))
    }
}

#[test]
fn a_pod_serves() {
    let node = Node::new();
    fs::create_dir(node.0.host.path("shared")).expect("make a directory");
    let answer = node.ask("RunPodSandbox", json!({"config": node.pod()}));
    let pod = answer["pod_sandbox_id"].as_str().expect("an ID");
    let script = "mkdir /tmp/www; echo \"$A\" > /tmp/www/index.html; echo hello; exec httpd -f -p 80 -h /tmp/www";
    let web = node.start(pod, "web", script, &json!({}));
    let pod_status = node.ask("PodSandboxStatus", json!({"pod_sandbox_id": pod}));
    let address = pod_status["status"]["network"]["ip"].as_str().expect("an address");
    let fetch = format!("busybox wget -q -O - http://{address}/");
    until("an answer", || node.0.host.sh(&fetch).stdout == "b c\n");
    let log = fs::read_to_string(node.0.host.path("web.log")).expect("the log");
    assert!(log.ends_with(" stdout F hello\n"), "{log}");
    assert_eq!(node.exec(&web, "pwd; hostname; exit 5"), ("/tmp\npod\n".into(), 5));
    // Another container reaches it at its own address, and cannot see its processes.
    let other = node.start(
        pod,
        "other",
        "touch /shared/file; trap '' TERM; while :; do sleep 0.05; done",
        &json!({}),
    );
    assert_eq!(node.exec(&other, "wget -q -O - http://127.0.0.1/; pgrep httpd").0, "b c\n");
    let namespaces = "for n in ipc net uts; do readlink /proc/self/ns/$n; done";
    assert_eq!(node.exec(&other, namespaces), node.exec(&web, namespaces));
    assert_eq!(
        node.exec(&web, "ls /shared; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
            .0,
        "file\n99\n"
    );
    let refused = node.0.ask(
        "ExecSync",
        &json!({"container_id": other, "cmd": ["sleep", "1000"], "timeout": 1}),
    );
    assert!(
        refused.as_ref().is_err_and(|error| error.contains("timeout 1s exceeded")),
        "{refused:?}"
    );
    node.ask("StopContainer", json!({"container_id": other, "timeout": 1}));
    assert_eq!(
        (&node.status(&other)["exit_code"], &node.status(&other)["state"]),
        (&json!(137), &json!("CONTAINER_EXITED"))
    );
    node.ask("RemoveContainer", json!({"container_id": other}));
    assert_eq!(node.status(&web)["state"], "CONTAINER_RUNNING");
    node.ask("StopPodSandbox", json!({"pod_sandbox_id": pod}));
    assert_eq!(node.status(&web)["state"], "CONTAINER_EXITED");
    node.ask("RemovePodSandbox", json!({"pod_sandbox_id": pod}));
}

#[test]
fn a_container_of_a_pod_is_confined() {
    let node = Node::new();
    fs::create_dir(node.0.host.path("shared")).expect("make a directory");
    let answer = node.ask("RunPodSandbox", json!({"config": node.pod()}));
    let pod = answer["pod_sandbox_id"].as_str().expect("an ID");
    let linux = json!({
        "resources": {"memory_limit_in_bytes": 33554432, "cpu_period": 100000, "cpu_quota": 50000, "oom_score_adj": 500},
        "security_context": {
            "capabilities": {"drop_capabilities": ["ALL"], "add_capabilities": ["NET_RAW"]},
            "namespace_options": {"pid": "POD"},
            "run_as_user": {"value": 1000},
            "run_as_group": {"value": 1000},
            "supplemental_groups": [3000],
            "readonly_rootfs": true,
            "no_new_privs": true,
            "masked_paths": ["/proc/kcore", "/proc/keys"],
            "readonly_paths": ["/proc/sys"],
            "seccomp": {"profile_type": "RuntimeDefault"},
        },
    });
    let id = node.start(pod, "web", "sleep 1000", &linux);
    let script = "id -u; id -g; id -G | grep -o 3000; grep -E '^(CapBnd|NoNewPrivs|Seccomp:)' /proc/self/status | cut -f 2
        cat /proc/self/oom_score_adj; cat /proc/1/comm; touch /new; echo $?";
    let expected = "1000\n1000\n3000\n0000000000002000\n1\n2\n500\nsleep\n1\n";
    assert_eq!(node.exec(&id, script).0, expected);
    let limit = |file: &str| {
        let find = format!(
            "find /sys/fs/cgroup -path '*/{}/{id}/*' -name {file} | head -n 1 | xargs cat",
            node.0.host.label()
        );
        node.0.host.sh(&find).ok()
    };
    let [memory, quota] = if fs::exists("/sys/fs/cgroup/cgroup.controllers").expect("look") {
        ["memory.max", "cpu.max"]
    } else {
        ["memory.limit_in_bytes", "cpu.cfs_quota_us"]
    };
    assert_eq!(limit(memory), "33554432\n");
    assert!(limit(quota).starts_with("50000"));
    let more = json!({"memory_limit_in_bytes": 67108864, "cpu_period": 100000, "cpu_quota": 20000});
    node.ask("UpdateContainerResources", json!({"container_id": id, "linux": more}));
    assert_eq!(limit(memory), "67108864\n");
    assert!(limit(quota).starts_with("20000"));
    let used = node.ask("ContainerStats", json!({"container_id": id}));
    assert_ne!(used["stats"]["memory"]["working_set_bytes"]["value"], "0", "{used}");
    let greedy = node.start(
        pod,
        "greedy",
        "exec tail -c 90m /dev/zero",
        &json!({"resources": {"memory_limit_in_bytes": 16777216}}),
    );
    until("its end", || node.status(&greedy)["state"] == "CONTAINER_EXITED");
    assert_eq!(
        (&node.status(&greedy)["exit_code"], &node.status(&greedy)["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );
    node.ask("StopPodSandbox", json!({"pod_sandbox_id": pod}));
    node.ask("RemovePodSandbox", json!({"pod_sandbox_id": pod}));
}
