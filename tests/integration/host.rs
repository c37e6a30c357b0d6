//! A host of its own for each test: a network namespace, a mount namespace and a state root that nobody else uses.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{UnshareFlags, unshare_unsafe};

pub const TINYDOCK: &str = env!("CARGO_BIN_EXE_tinydock");
/// How long anything that must happen may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The test's thread lives in it until the test ends, and so does whatever the test starts.
pub struct Host {
    directory: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    /// The message of a command that must fail with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.stderr
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output
                .status
                .code()
                .unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into(),
            stderr: String::from_utf8_lossy(&output.stderr).into(),
        }
    }
}

impl Host {
    pub fn new() -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make namespaces: run them as root"
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("tinydock-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("make the test's directory");
        // SAFETY: neither flag lets threads share less memory or fewer descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.expect("make namespaces");
        let host = Host { directory };
        host.sh("mount --make-rprivate / && ip link set lo up").ok();
        host
    }

    /// One without the tree of version 2 that is beside those of version 1, if there are such.
    pub fn with_separate_cgroups() -> Host {
        let host = Host::new();
        host.sh("! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified")
            .ok();
        host
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TINYDOCK);
        command
            .args(arguments)
            .env("TINYDOCK_ROOT", self.root())
            .env_remove("TINYDOCK_RUN")
            .env("DOCKER_CONFIG", self.path("docker"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"))
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    pub fn tinydock(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("run tinydock").into()
    }

    /// Runs tinydock with a command line that has no spaces in its words.
    pub fn run(&self, line: &str) -> Done {
        self.tinydock(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Begins a command, and goes on. The thread's children are its own: a tracer's are others.
    pub fn begin(&self, arguments: &[&str]) -> JoinHandle<Done> {
        let mut command = self.command(arguments);
        thread::spawn(move || command.output().expect("run tinydock").into())
    }

    /// The command that starts a container of this name which sleeps.
    pub fn start_command(&self, name: &str, flags: &[&str]) -> Command {
        let run = ["run", "-d", "--name", name, "--network", "none"];
        let mut command = self.command(&[&run, flags, &["busybox", "sleep", "1000"]].concat());
        command.stdout(Stdio::null());
        command
    }

    /// Runs a shell script on the host.
    pub fn sh(&self, script: &str) -> Done {
        let mut command = Command::new("sh");
        command
            .args(["-ec", script])
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command.env("TINYDOCK_ROOT", self.root()).env("TINYDOCK", TINYDOCK);
        command.output().expect("run a shell").into()
    }

    /// Starts a container and returns its full ID.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> String {
        self.tinydock(&[&["run", "-d"], arguments].concat()).ok().trim().into()
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start tinydock")
    }

    /// Runs a command in a new container without network, which is removed at its end.
    pub fn inside(&self, flags: &[&str], image: &str, command: &[&str]) -> Done {
        let before = ["run", "--rm", "--network", "none"];
        self.tinydock(&[&before, flags, &[image], command].concat())
    }

    /// The same for a container that stays. It must end well. Returns what it wrote.
    #[track_caller]
    pub fn inside_kept(&self, flags: &[&str], command: &[&str]) -> String {
        let before = ["run", "--network", "none"];
        self.tinydock(&[&before, flags, &["busybox"], command].concat()).ok()
    }

    /// Compiles a C program, which needs nothing of the container that it runs in, into a directory of the host's own. Returns
    /// the value of the `-v` that shows the directory as `/tools`.
    #[track_caller]
    pub fn compile(&self, name: &str, source: &str) -> String {
        let (directory, code) = (self.path("tools"), self.path("tool.c"));
        fs::create_dir_all(&directory).expect("make a directory");
        fs::write(&code, source).expect("write the program");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-static", "-o"]).arg(directory.join(name)).arg(code);
        assert!(gcc.status().expect("run gcc").success());
        format!("{}:/tools:ro", directory.display())
    }

    /// The status in `ls -a` of one container.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        let found = self.status_where(|line| line.ends_with(&format!(" {name}")));
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    /// Whether a container, by its full ID, is running.
    pub fn is_running(&self, id: &str) -> bool {
        let found = self.status_where(|line| line.starts_with(&id[..12]));
        found.is_some_and(|status| status.to_lowercase().starts_with("running"))
    }

    /// The status in the first line of `ls -a` that is meant.
    fn status_where(&self, is_meant: impl Fn(&str) -> bool) -> Option<String> {
        let list = self.run("ls -a").ok();
        let head = list.lines().next().expect("a head");
        let (from, to) = (head.find("STATUS").expect("STATUS"), head.find("IMAGE").expect("IMAGE"));
        let line = list.lines().find(|line| is_meant(line))?;
        Some(line[from..to].trim().into())
    }

    /// The process that a running container began with.
    #[track_caller]
    pub fn init(&self, name: &str) -> i32 {
        let list = self.run("ls").ok();
        let head = list.lines().next().expect("a head");
        let at = head.find("PID").expect("PID");
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!(" {name}")))
            .expect("the container");
        let pid = line[at..].split_whitespace().next().expect("a pid");
        pid.parse().expect("a number")
    }

    /// The process that a running container began with, by the container's full ID.
    #[track_caller]
    pub fn init_of(&self, id: &str) -> i32 {
        let record = fs::read(self.root().join("container").join(id).join("started")).expect("read its start");
        let record: serde_json::Value = serde_json::from_slice(&record).expect("a record");
        record["pid"].as_i64().expect("a pid") as i32
    }

    /// The name under which this host's cgroups and nothing else are found.
    pub fn label(&self) -> String {
        let store = tinydock::store::Store::find(Some(self.root())).expect("open the store");
        store.label()
    }

    /// Whatever is there now of what containers need on a host.
    pub fn traces(&self) -> Vec<String> {
        let mut traces: Vec<String> = self.mounts().iter().map(|line| format!("mount {line}")).collect();
        let label = self.label();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("read the hierarchies").flatten() {
            for group in fs::read_dir(hierarchy.path().join(&label)).into_iter().flatten().flatten() {
                if group.path().is_dir() {
                    traces.push(format!("cgroup {}", group.path().display()));
                }
            }
        }
        let links = self.sh("ip -o link show type veth").ok();
        traces.extend(links.lines().map(|line| format!("link {line}")));
        let elements = self.sh(&format!("nft list table ip {label} 2>/dev/null || true")).ok();
        let ports = elements
            .lines()
            .filter(|line| line.contains(" : 1") && line.contains(" . ") && !line.contains("type"));
        traces.extend(ports.map(|line| format!("nft {line}")));
        traces.extend(self.processes());
        traces.extend(self.files());
        traces
    }

    /// What is mounted that has to do with the test's directory, in the kernel's words (proc_pid_mountinfo(5)).
    fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("read the mounts");
        let directory = self.directory.display().to_string();
        let lines = mounts.lines().filter(|line| line.contains(&directory));
        lines.map(Into::into).collect()
    }

    /// Unmounts what a test that failed has left mounted, since a directory with a mount on it cannot be removed.
    fn unmount_all(&self) {
        for line in self.mounts().iter().rev() {
            let place = line.split_whitespace().nth(4).expect("a mount point");
            // A second failure would end the other tests as well.
            let _ = unmount(place, UnmountFlags::DETACH);
        }
    }

    /// Waits until containers have left nothing: cleaning up goes on after a command has ended.
    #[track_caller]
    pub fn until_nothing_is_left(&self) {
        let start = Instant::now();
        while !self.traces().is_empty() {
            assert!(start.elapsed() < PATIENCE, "this is left: {:#?}", self.traces());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Processes that share our mount namespace, and those of containers, whose command lines we know by their root.
    fn processes(&self) -> Vec<String> {
        let ours = fs::read_link("/proc/thread-self/ns/mnt").expect("our mount namespace");
        let network = fs::read_link("/proc/thread-self/ns/net").expect("our network namespace");
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("read /proc").flatten() {
            let path = entry.path();
            let is_ours = |kind: &str, own: &Path| fs::read_link(path.join(kind)).is_ok_and(|link| link == own);
            if entry
                .file_name()
                .to_string_lossy()
                .parse::<u32>()
                .is_ok_and(|pid| pid != std::process::id())
                && (is_ours("ns/mnt", &ours) || is_ours("ns/net", &network))
                && !fs::read(path.join("cmdline")).unwrap_or_default().is_empty()
            {
                let line = fs::read(path.join("cmdline")).unwrap_or_default();
                found.push(format!("process {} {}", path.display(), String::from_utf8_lossy(&line)));
            }
        }
        found
    }

    fn files(&self) -> Vec<String> {
        let below = |path: &Path| {
            fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        };
        let root = self.root();
        let places = [
            "trash",
            "container",
            "container/names",
            "run/container",
            "run/port",
            "run/users",
        ];
        let mut found: Vec<PathBuf> = places.iter().flat_map(|name| below(&root.join(name))).collect();
        found.retain(|path| !path.ends_with("container/names"));
        for network in below(&root.join("run/network")) {
            found.extend(below(&network));
        }
        found.iter().map(|path| format!("file {}", path.display())).collect()
    }
}

impl Drop for Host {
    /// Removes all containers and checks that nothing is left of them.
    fn drop(&mut self) {
        let ids = self.run("ls -aq").stdout;
        for id in ids.split_whitespace() {
            let done = self.tinydock(&["rm", "-f", id]);
            if done.code != 0 {
                eprintln!("{done:?}");
            }
        }
        if std::thread::panicking() {
            self.unmount_all();
        }
        let left = eventually_empty(|| self.traces());
        // The directory above all containers of a root stays for its next one, but there will be none.
        self.sh(&format!(
            "rmdir /sys/fs/cgroup/{0} /sys/fs/cgroup/*/{0} 2>/dev/null || true",
            self.label()
        ));
        let removed = fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind: {left:#?}");
            removed.expect("remove the test's directory");
        }
    }
}

/// Waits until nothing is left, for processes take a moment to be reaped.
fn eventually_empty(look: impl Fn() -> Vec<String>) -> Vec<String> {
    let start = Instant::now();
    loop {
        let left = look();
        if left.is_empty() || start.elapsed() > Duration::from_secs(10) {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_test_that_fails_leaves_no_directory() {
    let fails = || {
        let host = Host::new();
        host.sh("mkdir -p root outer/inner && mount -t tmpfs x root && mount --bind outer outer && mount -t tmpfs x outer/inner")
            .ok();
        std::panic::resume_unwind(Box::new(host.path("")));
    };
    let failed = thread::spawn(fails).join().expect_err("a failure");
    let directory = failed.downcast::<PathBuf>().expect("a path");
    assert!(!directory.exists(), "{} is left", directory.display());
}
