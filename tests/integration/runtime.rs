//! The OCI runtime, called as engines call it: bundles, states, hooks, terminals, and what is left.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::host::{Host, until};

/// A bundle of a small system, which runs a script.
fn bundle<'a>(host: &'a Host, script: &str) -> Bundle<'a> {
    let mut bundle = Bundle::new(host, "bundle");
    for name in ["dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(bundle.rootfs(name)).expect("make a directory");
    }
    fs::write(bundle.rootfs("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("write");
    bundle.config["hostname"] = json!("bundle");
    bundle.script(script);
    bundle
}

#[test]
fn a_container_is_created_started_and_removed() {
    let host = Host::new();
    let bundle = bundle(
        &host,
        "trap 'echo caught; exit 3' TERM; echo up; while :; do sleep 0.05; done",
    );
    bundle.tell(&["create", "--pid-file", "pid", "one"]).ok();
    let state = bundle.state("one");
    assert_eq!(state["status"], "created");
    let written = fs::read_to_string(bundle.path("pid")).expect("the pid file");
    assert_eq!(state["pid"].to_string(), written);
    assert_eq!(state["bundle"], bundle.directory.to_str().expect("a path"));
    assert_eq!(bundle.output(), "", "nothing of the command runs before start");
    let records = fs::metadata(host.path("runtime/one")).expect("its records");
    let mode = std::os::unix::fs::MetadataExt::mode(&records);
    assert_eq!(mode & 0o777, 0o700, "nobody else reaches the socket that init waits at");
    bundle.tell(&["start", "one"]).ok();
    assert_eq!(bundle.state("one")["status"], "running");
    until("the command runs", || bundle.output() == "up\n");
    assert!(
        bundle
            .tell(&["start", "one"])
            .fails(1)
            .contains("cannot start a container that is running")
    );
    assert!(bundle.tell(&["delete", "one"]).fails(1).contains("it is running"));
    assert!(bundle.tell(&["create", "one"]).fails(1).contains("already exists: `one`"));
    bundle.tell(&["kill", "one", "TERM"]).ok();
    until("it has stopped", || bundle.state("one")["status"] == "stopped");
    assert_eq!(bundle.output(), "up\ncaught\n");
    assert!(
        bundle
            .tell(&["kill", "one", "TERM"])
            .fails(1)
            .contains("container not running")
    );
    bundle.tell(&["delete", "one"]).ok();
    assert!(
        bundle
            .tell(&["state", "one"])
            .fails(1)
            .contains("container `one` does not exist")
    );
    bundle.tell(&["delete", "--force", "one"]).ok();
}

#[test]
fn run_is_the_command_in_the_foreground() {
    let host = Host::new();
    let bundle = bundle(&host, "read line; echo got $line; echo error >&2; exit 7");
    let mut child = bundle
        .command("run", &[], "one")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run");
    child.stdin.take().expect("stdin").write_all(b"a line\n").expect("write");
    let done = child.wait_with_output().expect("wait");
    assert_eq!(done.status.code(), Some(7));
    assert_eq!((&done.stdout[..], &done.stderr[..]), (&b"got a line\n"[..], &b"error\n"[..]));
    assert_eq!(bundle.tell(&["list", "-q"]).ok(), "", "nothing of it is left");
}

#[test]
fn a_command_that_cannot_be_executed_is_told_by_create() {
    let host = Host::new();
    let mut bundle = bundle(&host, "true");
    for (command, expected) in [
        (
            "no-such-command",
            "execute `no-such-command`: executable file not found in $PATH",
        ),
        (
            "/no/such/file",
            "execute `/no/such/file`: executable file not found in $PATH: no such file or directory",
        ),
        ("/etc/passwd", "execute `/etc/passwd`: permission denied"),
    ] {
        bundle.config["process"]["args"] = json!([command]);
        let message = bundle.tell(&["create", "one"]).fails(1);
        assert!(message.contains(expected), "{message}");
        assert_eq!(bundle.tell(&["list", "-q"]).ok(), "", "{command}");
    }
}

#[test]
fn exec_runs_another_process() {
    let host = Host::new();
    let mut bundle = bundle(&host, "sleep 1000");
    bundle.config["process"]["env"] = json!(["PATH=/bin", "A=config", "B=kept"]);
    bundle.create_and_start("one");
    let exec = |arguments: &[&str]| bundle.tell(&[&["exec"], arguments].concat());
    assert_eq!(exec(&["one", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(exec(&["-e", "A=given", "one", "sh", "-c", "echo $A $B"]).ok(), "given kept\n");
    assert_eq!(
        exec(&[
            "-u",
            "12:34",
            "-g",
            "56",
            "--cwd",
            "/tmp",
            "one",
            "sh",
            "-c",
            "id -u; id -g; id -G; pwd"
        ])
        .ok(),
        "12\n34\n34 56\n/tmp\n"
    );
    assert!(
        exec(&["one", "no-such-command"])
            .fails(255)
            .contains("executable file not found in $PATH")
    );
    assert_eq!(exec(&["-t", "one", "tty"]).ok(), "/dev/pts/0\r\n");
    let described = bundle.path("process.json");
    let process = json!({"args": ["sh", "-c", "echo $C; umask"], "env": ["PATH=/bin", "C=described"], "cwd": "/", "user": {"uid": 1, "gid": 1, "umask": 0o027}});
    fs::write(&described, process.to_string()).expect("write");
    assert_eq!(
        exec(&["--process", described.to_str().expect("a path"), "one"]).ok(),
        "described\n0027\n"
    );
    exec(&["--detach", "--pid-file", "pid", "one", "sleep", "1000"]).ok();
    let pid = fs::read_to_string(bundle.path("pid")).expect("the pid file");
    let listed: Vec<i32> = serde_json::from_str(&bundle.tell(&["ps", "--format", "json", "one"]).ok()).expect("a list");
    assert!(listed.contains(&pid.parse().expect("a number")), "{listed:?}");
    bundle.remove("one");
}

#[test]
fn nothing_but_what_was_asked_for_is_inherited() {
    let host = Host::new();
    let bundle = bundle(&host, "ls /proc/self/fd | wc -l; cat <&4");
    let given = bundle.path("given");
    bundle.write();
    fs::write(&given, "through descriptor 4").expect("write");
    for (preserved, expected) in [("2", "6\nthrough descriptor 4"), ("0", "4\n")] {
        let script = format!(
            "exec 3</dev/null 4<{} 20<&-; for n in $(seq 5 30); do eval \"exec $n<&-\"; done; cd {}; exec \"$TINYDOCK\" runtime --root {} run --preserve-fds {preserved} one",
            given.display(),
            bundle.directory.display(),
            host.path("runtime").display()
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .env("TINYDOCK", crate::host::TINYDOCK)
            .stdin(Stdio::null())
            .output();
        assert_eq!(
            String::from_utf8_lossy(&output.expect("run bash").stdout),
            expected,
            "{preserved}"
        );
    }
}

#[test]
fn hooks_are_told_the_state_and_can_stop_a_container() {
    let host = Host::new();
    let mut bundle = bundle(&host, "echo command >> /log");
    let log = bundle.rootfs("log");
    let outside = |name: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo {name} $(grep -o '\"status\":\"[a-z]*\"' | cut -d: -f2) >> {}", log.display())]}]);
    let inside = |name: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo {name} $(grep -o '\"id\":\"[a-z]*\"') >> /log")]}]);
    bundle.config["hooks"] = json!({
        "prestart": outside("prestart"), "createRuntime": outside("createRuntime"), "createContainer": outside("createContainer"),
        "startContainer": inside("startContainer"), "poststart": outside("poststart"), "poststop": outside("poststop"),
    });
    bundle.create_and_start("one");
    until("it has stopped", || bundle.state("one")["status"] == "stopped");
    bundle.tell(&["delete", "one"]).ok();
    let lines = fs::read_to_string(&log).expect("the log");
    let mut lines: Vec<&str> = lines.lines().collect();
    // The command and the hook that comes after its start go on side by side.
    lines[4..6].sort_unstable();
    let expected = [
        "prestart \"creating\"",
        "createRuntime \"creating\"",
        "createContainer \"creating\"",
        "startContainer \"id\":\"one\"",
        "command",
        "poststart \"running\"",
        "poststop \"stopped\"",
    ];
    assert_eq!(lines, expected);
    bundle.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]});
    let message = bundle.tell(&["create", "one"]).fails(1);
    assert!(
        message.contains("hook `/bin/sleep` (`hooks.createRuntime[0]`): took longer than 1 seconds"),
        "{message}"
    );
    assert_eq!(bundle.tell(&["list", "-q"]).ok(), "");
}

#[test]
fn a_terminal_is_handed_over() {
    let host = Host::new();
    let mut bundle = bundle(&host, "tty; stty size; test -c /dev/console && echo console; sleep 1000");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 99});
    let message = bundle.tell(&["create", "one"]).fails(1);
    assert!(message.contains("`process.terminal`: needs `--console-socket`"), "{message}");
    let path = bundle.path("console");
    let listener = UnixListener::bind(&path).expect("listen");
    bundle.tell(&["create", "--console-socket", "console", "one"]).ok();
    let (connection, _) = listener.accept().expect("a connection");
    let (_, terminal) = tinydock::kernel::descriptor::receive(&connection, &mut [0; 16]).expect("a message");
    let mut terminal = fs::File::from(terminal.expect("a descriptor"));
    bundle.tell(&["start", "one"]).ok();
    let mut seen = String::new();
    while !seen.contains("console\r\n") {
        let mut bytes = [0; 256];
        let length = std::io::Read::read(&mut terminal, &mut bytes).expect("read the terminal");
        seen += &String::from_utf8_lossy(&bytes[..length]);
    }
    assert_eq!(seen, "/dev/pts/0\r\n33 99\r\nconsole\r\n");
    bundle.remove("one");
}

#[test]
fn users_are_mapped_and_the_hosts_files_are_not_theirs() {
    let host = Host::new();
    let script = "id -u; cat /proc/self/uid_map; touch /tmp/made && stat -c %u /tmp/made; cat /secret; echo x > /dev/null && echo null; mount -t tmpfs none /mnt && echo mounted; hostname";
    let mut bundle = bundle(&host, script);
    fs::write(bundle.rootfs("secret"), "secret").expect("write");
    host.sh(&format!(
        "chmod 600 {0}/secret; mkdir {0}/mnt; chmod 1777 {0}/tmp",
        bundle.rootfs("").display()
    ))
    .ok();
    let linux = &mut bundle.config["linux"];
    linux["namespaces"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"type": "user"}));
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": 70000, "size": 1000}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": 70000, "size": 1000}]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
    }
    let done = bundle.tell(&["run", "one"]);
    assert_eq!(
        done.stdout, "0\n         0      70000       1000\n0\nnull\nmounted\nbundle\n",
        "{done:?}"
    );
    assert!(done.stderr.contains("'/secret': Permission denied"), "{done:?}");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(bundle.rootfs("tmp/made")).expect("made"));
    assert_eq!(owner, 70000);
}

#[test]
fn ids_of_a_mount_are_exchanged() {
    let host = Host::new();
    let mut bundle = bundle(&host, "stat -c '%u %g' /data/file; touch /data/new");
    let data: PathBuf = bundle.path("data");
    fs::create_dir(&data).expect("make a directory");
    fs::write(data.join("file"), "").expect("write");
    host.sh(&format!("chown 5000:5000 {0} {0}/file", data.display())).ok();
    let mapping = json!([{"containerID": 5000, "hostID": 0, "size": 1}]);
    let mount = json!({"destination": "/data", "type": "bind", "source": "data", "options": ["bind", "idmap"], "uidMappings": mapping, "gidMappings": mapping});
    bundle.config["mounts"].as_array_mut().expect("a list").push(mount);
    assert_eq!(bundle.tell(&["run", "one"]).ok(), "0 0\n");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(data.join("new")).expect("made"));
    assert_eq!(owner, 5000);
}

#[test]
fn limits_are_kept_changed_and_told() {
    let host = Host::new();
    let mut bundle = bundle(&host, "sleep 1000");
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 33554432});
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 5});
    bundle.create_and_start("one");
    let told = |name: &str| -> Value {
        let stats: Value = serde_json::from_str(&bundle.tell(&["events", "--stats", "one"]).ok()).expect("stats");
        stats["data"].pointer(name).cloned().unwrap_or_default()
    };
    assert_eq!(told("/memory/usage/limit"), 33554432);
    assert_eq!(told("/pids/limit"), 5);
    bundle.tell(&["update", "--memory", "64m", "--pids-limit", "7", "one"]).ok();
    assert_eq!(
        (told("/memory/usage/limit"), told("/pids/limit")),
        (json!(67108864), json!(7))
    );
    bundle.tell(&["pause", "one"]).ok();
    assert_eq!(bundle.state("one")["status"], "paused");
    assert!(bundle.tell(&["exec", "one", "true"]).fails(255).contains("paused"));
    bundle.tell(&["resume", "one"]).ok();
    assert_eq!(bundle.tell(&["exec", "one", "echo", "on"]).ok(), "on\n");
    bundle.remove("one");
}

#[test]
fn errors_are_logged_for_whoever_calls() {
    let host = Host::new();
    let mut bundle = bundle(&host, "true");
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_FISH", "soft": 1, "hard": 1}]);
    bundle
        .tell(&["--log", "log", "--log-format", "json", "create", "one"])
        .fails(1);
    let line: Value = serde_json::from_str(&fs::read_to_string(bundle.path("log")).expect("the log")).expect("a line of JSON");
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"].as_str().expect("a message").contains("`process.rlimits[0]`"),
        "{line}"
    );
}

#[test]
fn a_checkpoint_without_criu_says_so_and_leaves_the_container_alone() {
    let host = Host::new();
    let bundle = bundle(&host, "while :; do sleep 0.05; done");
    bundle.tell(&["create", "one"]).ok();
    bundle.tell(&["start", "one"]).ok();
    for command in ["checkpoint", "restore"] {
        let error = bundle.tell(&["--criu", "/nowhere/criu", command, "one"]).fails(1);
        assert!(
            error.contains("criu is not installed: there is no `/nowhere/criu`"),
            "{error}"
        );
        assert!(error.contains("hint: install criu(8)"), "{error}");
    }
    let refused: [(&[&str], &str); 5] = [
        (&["--lazy-pages"], "`--lazy-pages` is not supported"),
        (&["--page-server", "host:1"], "`--page-server` is not supported"),
        (&["--status-fd", "3"], "`--status-fd` is not supported"),
        (&["--manage-cgroups-mode", "some"], "there is no `some`"),
        (&["--empty-ns", "mount"], "`mount` is not `network`"),
    ];
    for (flags, why) in refused {
        let error = bundle.tell(&[&["checkpoint"], flags, &["one"]].concat()).fails(1);
        assert!(error.contains(why), "{error}");
    }
    let error = bundle.tell(&["restore", "--console-socket", "socket", "one"]).fails(1);
    assert!(error.contains("`--console-socket` is not supported"), "{error}");
    assert_eq!(bundle.state("one")["status"], "running");
    assert!(!bundle.path("checkpoint").exists(), "nothing was written");
    bundle.tell(&["delete", "--force", "one"]).ok();
}
