//! A bundle for the OCI runtime: a root with busybox in it, and a configuration that tests change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::{Done, Host, TINYDOCK};

/// A command that runs a script.
pub const SHELL: &[&str] = &["sh", "-c"];

pub struct Bundle {
    directory: PathBuf,
}

impl Bundle {
    /// A bundle whose command is `command` with one more argument.
    pub fn new(host: &Host, command: &[&str], argument: &str) -> Bundle {
        let directory = host.path("bundle");
        let root = directory.join("rootfs");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(name)).expect("make a directory");
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copy busybox");
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("write");
        host.sh(&format!("for name in $(busybox --list); do ln -sf busybox {}/bin/$name; done; rm -f {0}/bin/busybox; cp /bin/busybox {0}/bin/busybox", root.display()))
            .ok();
        let bundle = Bundle { directory };
        bundle.runtime(&["spec"]).ok();
        bundle.edit(|config| {
            config["process"]["terminal"] = json!(false);
            config["process"]["args"] = json!([command, &[argument]].concat());
            config["root"]["readonly"] = json!(false);
            config["hostname"] = json!("bundle");
            config["linux"]["cgroupsPath"] = json!(format!("/{}-oci/{}", host.label(), std::process::id()));
        });
        bundle
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Changes the configuration.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
        change(&mut config);
        fs::write(&path, config.to_string()).expect("write");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TINYDOCK);
        command
            .args(["runtime", "--root", "state"])
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    /// Runs the runtime. A container that it leaves has other streams than whoever waits for the output.
    pub fn runtime(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        if arguments.contains(&"create") || arguments.contains(&"--detach") {
            let open = |name: &str| {
                fs::File::options()
                    .append(true)
                    .create(true)
                    .open(self.path(name))
                    .expect("open")
            };
            let status = command
                .stdout(open("stdout"))
                .stderr(open("stderr"))
                .status()
                .expect("run tinydock");
            let stderr = fs::read_to_string(self.path("stderr")).expect("read");
            return Done {
                code: status.code().unwrap_or(-1),
                stdout: String::new(),
                stderr,
            };
        }
        command.output().expect("run tinydock").into()
    }

    /// What the command of a container that was created has written.
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("stdout")).expect("read")
    }

    #[track_caller]
    pub fn start(&self, id: &str) {
        self.runtime(&["create", id]).ok();
        self.runtime(&["start", id]).ok();
    }

    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.runtime(&["state", id]).ok()).expect("JSON")
    }

    #[track_caller]
    pub fn remove(&self, id: &str) {
        self.runtime(&["delete", "--force", id]).ok();
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for id in self.runtime(&["list", "-q"]).stdout.split_whitespace() {
            self.runtime(&["delete", "--force", id]);
        }
        assert!(
            std::thread::panicking()
                || !self.path("state").exists()
                || fs::read_dir(self.path("state")).expect("read").next().is_none()
        );
    }
}
