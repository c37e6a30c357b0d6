//! containerd, asked by its own client, `ctr`.

use std::fs;
use std::process::Child;

use serde_json::Value;

use crate::host::{Done, Host, until};

/// containerd with an image, `busybox`, in the namespaces that `ctr` and Kubernetes use.
pub struct Containerd {
    daemon: Child,
    // It looks for what is left when containerd is gone, so it is the last one.
    pub host: Host,
}

/// Names of Debian's places for plugins and of the runtime; no lower scores than the host's, which root may not set everywhere.
const CONFIGURATION: &str = r#"
version = 2
root = "DIRECTORY/containerd"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/wait:latest"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "DIRECTORY/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "peer"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.peer]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.peer.options]
BinaryName = "RUNTIME"
"#;

const NETWORK: &str = r#"{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods", "isGateway": true,
    "ipam": {"type": "host-local", "dataDir": "/run/leases", "ranges": [[{"subnet": "172.29.0.0/16"}]]}}]}"#;

impl Containerd {
    pub fn new() -> Containerd {
        let host = Host::new();
        let configuration = CONFIGURATION
            .replace("DIRECTORY", host.place("").trim_end_matches('/'))
            .replace("RUNTIME", &host.runtime());
        fs::write(host.path("containerd.toml"), configuration).expect("configure containerd");
        fs::create_dir(host.path("cni")).expect("make a directory");
        fs::write(host.path("cni/pods.conflist"), NETWORK).expect("configure the network");
        let daemon = host.serve("containerd", &["--config", &host.place("containerd.toml")]);
        let containerd = Containerd { daemon, host };
        until("an answer of containerd", || containerd.host.sh("ctr version").code == 0);
        for namespace in ["default", "k8s.io"] {
            let import = format!("ctr -n {namespace} images import --all-platforms image.tar");
            containerd.host.sh(&import).ok();
        }
        containerd
    }

    pub fn ctr(&self, arguments: &[&str]) -> Done {
        let mut command = self.host.command("ctr");
        command.args(arguments).output().expect("run ctr").into()
    }

    /// The words between `ctr run` and the image, for a container of this name.
    fn flags(&self, name: &str) -> Vec<String> {
        let flags = format!("--runc-binary {} --cgroup /{}/{name}", self.host.runtime(), self.host.label());
        flags.split(' ').map(String::from).collect()
    }

    /// Runs a shell script in a new container, which is removed at its end.
    fn inside(&self, name: &str, flags: &[&str], script: &str) -> Done {
        let own = self.flags(name);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        self.ctr(&[&["run", "--rm"], &own[..], flags, &[BUSYBOX, name, "sh", "-c", script]].concat())
    }

    /// Starts a container that runs a shell script and logs to a file with its name and `.log`.
    #[track_caller]
    fn start(&self, name: &str, flags: &[&str], script: &str) {
        let log = format!("file://{}", self.host.place(&format!("{name}.log")));
        let own = self.flags(name);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let detach = ["run", "-d", "--log-uri", &log];
        self.ctr(&[&detach, &own[..], flags, &[BUSYBOX, name, "sh", "-c", script]].concat())
            .ok();
    }

    /// Runs a shell script in a running container.
    fn exec(&self, name: &str, flags: &[&str], script: &str) -> Done {
        self.ctr(
            &[
                &["task", "exec", "--exec-id", "peer-exec"],
                flags,
                &[name, "sh", "-c", script],
            ]
            .concat(),
        )
    }

    fn status(&self, name: &str) -> String {
        let list = self.ctr(&["task", "ls"]).ok();
        let line = list
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")))
            .unwrap_or_default();
        line.split_whitespace().last().unwrap_or_default().into()
    }

    #[track_caller]
    fn until_logged(&self, name: &str, line: &str) {
        let log = self.host.path(&format!("{name}.log"));
        until(&format!("`{line}` in the log"), || {
            fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|logged| logged == line))
        });
    }

    /// Asks as Kubernetes does.
    pub fn ask(&self, method: &str, request: &Value) -> Result<Value, String> {
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/cri.py");
        let mut python = self.host.command("python3");
        let done: Done = python
            .args([client, method, &request.to_string()])
            .output()
            .expect("run python")
            .into();
        match done.code {
            0 => Ok(serde_json::from_str(&done.stdout).expect("an answer")),
            _ => Err(done.stderr),
        }
    }
}

const BUSYBOX: &str = "docker.io/library/busybox:latest";

impl Drop for Containerd {
    /// Removes all containers, and ends the daemon.
    fn drop(&mut self) {
        for namespace in ["default", "k8s.io"] {
            let done = self.host.sh(&format!(
                "for task in $(ctr -n {namespace} task ls -q); do ctr -n {namespace} task rm -f $task; done
                for container in $(ctr -n {namespace} container ls -q); do ctr -n {namespace} container rm $container; done"
            ));
            if done.code != 0 {
                eprintln!("{done:?}");
            }
        }
        let pid = rustix::process::Pid::from_child(&self.daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("end containerd");
        self.daemon.wait().expect("its end");
        if std::thread::panicking() {
            eprintln!("{}", self.host.sh("tail -n 30 *.log 2>/dev/null || true").stdout);
        }
    }
}

#[test]
fn a_command_is_run() {
    let containerd = Containerd::new();
    let done = containerd.inside(
        "peer-one",
        &["--env", "A=b c", "--cwd", "/tmp"],
        "echo $A; pwd; echo wrong >&2; exit 7",
    );
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (7, "b c\n/tmp\n", "wrong\n")
    );
    let script = "grep -E '^(NoNewPrivs|Seccomp:)' /proc/self/status; touch /new || id -u; cat /proc/self/cgroup";
    let done = containerd.inside("peer-two", &["--read-only", "--seccomp"], script);
    assert!(done.stdout.starts_with("NoNewPrivs:\t1\nSeccomp:\t2\n0\n"), "{done:?}");
    let flags = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:3000"];
    let map = containerd
        .inside(
            "peer-three",
            &flags,
            "cat /proc/self/uid_map /proc/self/gid_map; stat -c %u /root",
        )
        .ok();
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "2000", "0", "200000", "3000", "0"]);
    let done = containerd.ctr(&[
        "run",
        "--rm",
        "--runc-binary",
        &containerd.host.runtime(),
        BUSYBOX,
        "peer-four",
        "no-such",
    ]);
    assert!(
        done.code != 0 && done.stderr.contains("executable file not found in $PATH"),
        "{done:?}"
    );
}

#[test]
fn a_task_lives_and_dies() {
    let containerd = Containerd::new();
    let script = "echo up; trap 'echo user' USR1; trap 'echo caught; exit 3' TERM; while :; do sleep 0.05; done";
    containerd.start("peer-web", &["--memory-limit", "33554432", "--cpus", "0.5"], script);
    containerd.until_logged("peer-web", "up");
    assert_eq!(containerd.status("peer-web"), "RUNNING");
    let done = containerd.exec(
        "peer-web",
        &["--user", "1000", "--cwd", "/tmp"],
        "id -u; pwd; echo wrong >&2; exit 5",
    );
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (5, "1000\n/tmp\n", "wrong\n")
    );
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    containerd.start("peer-look", &["--memory-limit", "33554432", "--mount", CGROUPS], "sleep 1000");
    assert_eq!(containerd.exec("peer-look", &[], limit).ok(), "33554432\n");
    assert!(containerd.ctr(&["task", "metrics", "peer-web"]).ok().contains("33554432"));
    assert!(containerd.ctr(&["task", "ps", "peer-web"]).ok().lines().count() >= 2);
    containerd.ctr(&["task", "pause", "peer-web"]).ok();
    assert_eq!(containerd.status("peer-web"), "PAUSED");
    containerd.ctr(&["task", "resume", "peer-web"]).ok();
    assert_eq!(containerd.status("peer-web"), "RUNNING");
    containerd.ctr(&["task", "kill", "-s", "USR1", "peer-web"]).ok();
    containerd.until_logged("peer-web", "user");
    containerd.ctr(&["task", "kill", "peer-web"]).ok();
    until("its end", || containerd.status("peer-web") == "STOPPED");
    containerd.until_logged("peer-web", "caught");
    containerd.ctr(&["task", "delete", "peer-web"]).ok();
    containerd.ctr(&["task", "start", "-d", "--null-io", "peer-web"]).ok();
    assert_eq!(containerd.status("peer-web"), "RUNNING");
    containerd.ctr(&["task", "kill", "-s", "KILL", "peer-web"]).ok();
    until("its end", || containerd.status("peer-web") == "STOPPED");
    containerd.ctr(&["task", "delete", "peer-web"]).ok();
    containerd.ctr(&["container", "delete", "peer-web"]).ok();
}

const CGROUPS: &str = "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro";

#[test]
fn a_terminal_is_used() {
    let containerd = Containerd::new();
    let keys = "tty; until stty size 2>/dev/null | grep '33 77'; do sleep 0.1; done\necho con''trolled > /dev/tty; exit 5\n";
    let run = format!(
        "ctr run --rm -t {} {BUSYBOX} peer-new sh",
        containerd.flags("peer-new").join(" ")
    );
    containerd.start("peer-web", &[], "sleep 1000");
    for line in [&run, "ctr task exec -t --exec-id peer-exec peer-web sh"] {
        let done = containerd.host.at_terminal(line, keys);
        assert_eq!(done.code, 5, "{done:?}");
        assert!(done.stdout.contains("\n/dev/pts/0\n"), "{done:?}");
        assert!(
            done.stdout.contains("\n33 77\n") && done.stdout.contains("\ncontrolled\n"),
            "{done:?}"
        );
    }
}
