//! A host of its own for each test: a network namespace, a mount namespace, and a `/run` that is empty at first.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// How long anything that must happen may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The test's thread lives in it until the test ends, and so does whatever the test starts.
pub struct Host {
    directory: PathBuf,
    runtime: PathBuf,
    /// The mounts before there were containers.
    mounts: Vec<String>,
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
        self.ends(0)
    }

    /// What a command wrote that must end with `code`.
    #[track_caller]
    pub fn ends(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
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
        let directory = std::env::temp_dir().join(format!("tinydock-peers-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("make the test's directory");
        // SAFETY: neither flag lets threads share less memory or fewer descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.expect("make namespaces");
        let mut host = Host {
            runtime: directory.join("tinydock-runtime"),
            directory,
            mounts: Vec::new(),
        };
        host.prepare();
        host
    }

    /// Makes the host's own places, the runtime and the image.
    fn prepare(&mut self) {
        let directory = self.directory.display();
        self.sh(&format!(
            "mount --make-rprivate /
            mount -t tmpfs tmpfs {directory}
            mount -t tmpfs -o mode=755 tmpfs /run
            mkdir -p /run/lock /var/lib/cni
            mount -t tmpfs tmpfs /var/lib/cni
            ip link set lo up
            echo 1 > /proc/sys/net/ipv4/ip_forward"
        ))
        .ok();
        match std::env::var_os("TINYDOCK_PEER_RUNTIME") {
            Some(path) => self.runtime = path.into(),
            None => std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tinydock"), &self.runtime).expect("name the runtime"),
        }
        if self.runtime.ends_with("crun") {
            self.sh(ONE_VERSION).ok();
        }
        let busybox = std::env::var("TINYDOCK_BUSYBOX").unwrap_or("/bin/busybox".into());
        self.sh(&format!("{}/tests/peers/image.sh {busybox}", env!("CARGO_MANIFEST_DIR")))
            .ok();
        self.mounts = mounts();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The path of something in the test's directory, for a command line.
    pub fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The runtime under test.
    pub fn runtime(&self) -> String {
        self.runtime.display().to_string()
    }

    /// The name of the cgroup above all containers of this host. No other cgroup's name has it.
    pub fn label(&self) -> String {
        self.directory.file_name().expect("a name").to_string_lossy().into()
    }

    /// A command that is not led astray by what the user has configured.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.directory)
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    /// Runs a shell script on the host.
    pub fn sh(&self, script: &str) -> Done {
        let mut command = self.command("sh");
        command.args(["-ec", script]);
        command.output().expect("run a shell").into()
    }

    /// Runs a command line at a terminal that has 33 lines and 77 columns, and presses keys. Returns what was shown.
    pub fn at_terminal(&self, line: &str, keys: &str) -> Done {
        fs::write(self.path("keys"), keys).expect("write the keys");
        fs::write(self.path("line"), format!("stty rows 33 cols 77\n{line}")).expect("write the line");
        let mut done = self.sh("timeout 60 script -qec 'sh line' /dev/null < keys");
        done.stdout = done.stdout.replace('\r', "");
        done
    }

    /// Starts a server, whose messages go to a file with its name and `.log`.
    pub fn serve(&self, program: &str, arguments: &[&str]) -> std::process::Child {
        let log = fs::File::create(self.path(&format!("{program}.log"))).expect("make a log");
        let mut command = self.command(program);
        command
            .args(arguments)
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log);
        command.spawn().expect("start a server")
    }

    /// Whatever is there now of what containers need on a host.
    fn traces(&self) -> Vec<String> {
        let mut traces: Vec<String> = mounts()
            .into_iter()
            .filter(|mount| !self.mounts.contains(mount) && !is_engines_mount(mount))
            .map(|mount| format!("mount {mount}"))
            .collect();
        let groups = self.groups();
        traces.extend(
            groups
                .iter()
                .filter(|path| !is_engines(path))
                .map(|path| format!("cgroup {path}")),
        );
        let processes = self.processes().into_iter();
        traces.extend(processes.map(|(pid, line)| format!("process {pid} {line}")));
        let files = self.sh("find /run | grep -E '/[^/]*([0-9a-f]{64}|peer-)[^/]*$' || true").ok();
        traces.extend(files.lines().map(|line| format!("file {line}")));
        let links = self.sh("ip -o link show type veth").ok();
        traces.extend(links.lines().map(|line| format!("link {line}")));
        traces
    }

    /// The cgroups of this host's containers, the innermost first.
    fn groups(&self) -> Vec<String> {
        let script = format!(
            "find /sys/fs/cgroup -depth -type d -path '*/{}*' 2>/dev/null || true",
            self.label()
        );
        self.sh(&script).ok().lines().map(String::from).collect()
    }

    /// Processes that share our namespaces, and those in the cgroups of containers.
    fn processes(&self) -> Vec<(u32, String)> {
        let own = |kind: &str| fs::read_link(Path::new("/proc/thread-self/ns").join(kind)).expect("our namespace");
        let (mount, network) = (own("mnt"), own("net"));
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("read /proc").flatten() {
            let path = entry.path();
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            if line.is_empty() || pid == std::process::id() {
                continue;
            }
            let is_in = |kind: &str, own: &Path| fs::read_link(path.join("ns").join(kind)).is_ok_and(|link| link == own);
            let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
            if is_in("mnt", &mount) || is_in("net", &network) || groups.contains(&format!("/{}/", self.label())) {
                found.push((pid, String::from_utf8_lossy(&line).into()));
            }
        }
        found
    }

    /// Ends and removes what a runtime left, so that the next test finds nothing of it.
    fn clear(&self) {
        for (pid, _) in self.processes() {
            self.sh(&format!("kill -9 {pid} || true")).ok();
        }
        let start = Instant::now();
        while !self.groups().is_empty() && start.elapsed() < Duration::from_secs(5) {
            for group in self.groups() {
                let _ = fs::remove_dir(group);
            }
        }
    }
}

impl Drop for Host {
    /// Checks that nothing is left of the containers.
    fn drop(&mut self) {
        let start = Instant::now();
        let mut left = self.traces();
        while !left.is_empty() && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(50));
            left = self.traces();
        }
        self.clear();
        // What is mounted in it goes with the namespace, when the thread ends.
        self.sh(&format!("cd / && umount -l {0} && rmdir {0}", self.directory.display()))
            .ok();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
    }
}

/// Leaves cgroups of version 1 only, where the host has both: crun makes use of no others then.
const ONE_VERSION: &str = "
    [ -d /sys/fs/cgroup/unified ] || exit 0
    mkdir groups
    mount -t tmpfs tmpfs groups
    for hierarchy in /sys/fs/cgroup/*; do
        name=${hierarchy##*/}
        [ $name != unified ] || continue
        mkdir groups/$name
        mount --bind $hierarchy groups/$name
    done
    umount -R -l /sys/fs/cgroup
    mount --move groups /sys/fs/cgroup";

/// The places where something is mounted.
fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("read the mounts");
    text.lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(String::from)
        .collect()
}

/// Whether a mount is one that the engines make for themselves, and leave.
fn is_engines_mount(path: &str) -> bool {
    ["/docker", "/storage/overlay", "/run/netns", "/netns/default"]
        .iter()
        .any(|own| path.ends_with(own))
}

/// Whether a cgroup is one that the engines make for themselves, and leave.
fn is_engines(path: &str) -> bool {
    path.ends_with("/conmon")
        || path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("tinydock-peers-"))
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
