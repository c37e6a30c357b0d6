//! A bundle for the OCI runtime, on a test's host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::{Done, Host, TINYDOCK, until};

/// A root of busybox, and a configuration for it as `spec` writes one, without a terminal. Its cgroups are where those of the host's
/// are looked for.
pub struct Bundle<'a> {
    host: &'a Host,
    pub directory: PathBuf,
    pub config: Value,
}

/// A command line of the runtime. Its records are below the host's directory.
pub fn runtime(host: &Host, words: &[&str]) -> Command {
    let mut command = Command::new(TINYDOCK);
    command.arg("runtime").arg("--root").arg(host.path("runtime")).args(words);
    command.current_dir(host.path(".")).stdin(Stdio::null());
    command
}

impl<'a> Bundle<'a> {
    pub fn new(host: &'a Host, name: &str) -> Bundle<'a> {
        let directory = host.path(name);
        fs::create_dir_all(directory.join("rootfs/bin")).expect("make a root");
        fs::copy("/bin/busybox", directory.join("rootfs/bin/busybox")).expect("copy busybox");
        for applet in host.sh("busybox --list | grep -vx busybox").ok().lines() {
            symlink("busybox", directory.join("rootfs/bin").join(applet)).expect("link");
        }
        let path = directory.to_str().expect("UTF-8");
        Done::from(runtime(host, &["spec", "-b", path]).output().expect("run tinydock")).ok();
        let text = fs::read(directory.join("config.json")).expect("read the configuration");
        let mut config: Value = serde_json::from_slice(&text).expect("JSON");
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
        config["linux"]["cgroupsPath"] = json!(format!("/{}/{name}", host.label()));
        Bundle { host, directory, config }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn rootfs(&self, path: &str) -> PathBuf {
        self.directory.join("rootfs").join(path)
    }

    /// Has the container run a shell script.
    pub fn script(&mut self, script: &str) -> &mut Self {
        self.config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        self
    }

    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        let mount = json!({ "destination": destination, "type": kind, "source": source, "options": options });
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
        self
    }

    /// A capability that the container has in addition.
    pub fn trust(&mut self, capability: &str) -> &mut Self {
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set]
                .as_array_mut()
                .expect("a list")
                .push(json!(capability));
        }
        self
    }

    /// A command line that makes a container from it, with flags before the container's name.
    pub fn command(&self, verb: &str, flags: &[&str], id: &str) -> Command {
        self.write();
        let path = self.directory.to_str().expect("UTF-8");
        runtime(self.host, &[&[verb, "-b", path], flags, &[id]].concat())
    }

    /// Writes the configuration, as every command of this bundle does.
    pub fn write(&self) {
        let text = serde_json::to_vec(&self.config).expect("JSON");
        fs::write(self.path("config.json"), text).expect("write the configuration");
    }

    /// Runs a container until it ends.
    pub fn run(&self, id: &str) -> Done {
        self.command("run", &[], id).output().expect("run tinydock").into()
    }

    /// Starts a container whose output goes to a file of this name in the bundle.
    #[track_caller]
    pub fn start(&self, id: &str, output: &str) {
        let file = fs::File::create(self.directory.join(output)).expect("make a file");
        let mut command = self.command("run", &["-d"], id);
        let status = command.stdout(file).status().expect("run tinydock");
        assert!(status.success(), "{status}");
    }

    /// A command about a container, in the bundle's directory. One that leaves a container leaves it with other streams than those of
    /// whoever waits for the output.
    pub fn tell(&self, words: &[&str]) -> Done {
        self.write();
        let mut command = runtime(self.host, words);
        command.current_dir(&self.directory);
        if !words.contains(&"create") && !words.contains(&"--detach") {
            return command.output().expect("run tinydock").into();
        }
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
        Done {
            code: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: fs::read_to_string(self.path("stderr")).expect("read"),
        }
    }

    /// What the command of a container that was created by [`Bundle::tell`] has written.
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("stdout")).expect("read")
    }

    #[track_caller]
    pub fn create_and_start(&self, id: &str) {
        self.tell(&["create", id]).ok();
        self.tell(&["start", id]).ok();
    }

    /// The state of a container, null if there is none.
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.tell(&["state", id]).stdout).unwrap_or_default()
    }

    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().unwrap_or("none").into()
    }

    #[track_caller]
    pub fn remove(&self, id: &str) {
        self.tell(&["delete", "--force", id]).ok();
    }

    /// Waits until a container has ended, and removes it. Returns what it has put into the file.
    #[track_caller]
    pub fn finish(&self, id: &str, output: &str) -> String {
        until("the end of the container", || self.status(id) == "stopped");
        self.tell(&["delete", id]).ok();
        fs::read_to_string(self.directory.join(output)).expect("read the output")
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.host.path("runtime")).into_iter().flatten().flatten() {
            let name = entry.file_name();
            self.tell(&["delete", "-f", &name.to_string_lossy()]);
        }
        let left: Vec<_> = fs::read_dir(self.host.path("runtime"))
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:?}");
    }
}
