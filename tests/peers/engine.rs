//! Podman and Docker, which are asked for the same things in almost the same words.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::host::{Done, Host, until};

/// An engine with an image, `busybox`, whose containers are made by the runtime under test.
pub struct Engine {
    /// The words that every command begins with.
    words: Vec<String>,
    /// The words that follow `run`.
    flags: Vec<String>,
    daemon: Option<Child>,
    // It looks for what is left when the engine is gone, so it is the last one.
    pub host: Host,
}

impl Engine {
    pub fn podman() -> Engine {
        let host = Host::new();
        let words = format!(
            "podman --root {} --runroot /run/podman --tmpdir /run/podman-tmp --network-config-dir {} --storage-driver overlay \
             --cgroup-manager cgroupfs --events-backend file --runtime {}",
            host.place("storage"),
            host.place("networks"),
            host.runtime()
        );
        // Podman asks for the highest limits, which needs a capability that root does not have everywhere.
        let limits = "[containers]\ndefault_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']\n";
        std::fs::write(host.path("containers.conf"), limits).expect("configure Podman");
        let flags = format!("--cgroup-parent /{}", host.label());
        Engine::with_image(host, &words, &flags, None)
    }

    pub fn docker() -> Engine {
        let host = Host::new();
        let daemon = start_dockerd(&host, &peer(&host));
        Engine::with_image(host, "docker -H unix:///run/docker.sock", "", Some(daemon))
    }

    fn with_image(host: Host, words: &str, flags: &str, daemon: Option<Child>) -> Engine {
        let split = |text: &str| text.split_whitespace().map(String::from).collect();
        let engine = Engine {
            words: split(words),
            flags: split(flags),
            daemon,
            host,
        };
        engine.until_answered();
        engine.ask(&["load", "-q", "-i", "image.tar"]).ok();
        engine
    }

    /// Ends Docker's daemon, and starts another one.
    pub fn replace_daemon(&mut self) {
        self.end_daemon();
        self.daemon = Some(start_dockerd(&self.host, &peer(&self.host)));
        self.until_answered();
    }

    fn end_daemon(&mut self) {
        if let Some(daemon) = &mut self.daemon
            && let Ok(None) = daemon.try_wait()
        {
            let pid = rustix::process::Pid::from_child(daemon);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("end dockerd");
            daemon.wait().expect("its end");
        }
    }

    #[track_caller]
    fn until_answered(&self) {
        until("an answer", || self.line("version").code == 0);
    }

    pub fn is_podman(&self) -> bool {
        self.daemon.is_none()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.command(&self.words[0]);
        command.args(&self.words[1..]);
        // The words after `run` are ours, then the test's.
        let (verb, rest) = arguments.split_at(1);
        command.args(verb);
        if ["run", "create"].contains(&verb[0]) {
            command.args(&self.flags);
        }
        command.args(rest);
        command
    }

    /// Runs a command of the engine.
    pub fn ask(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("run an engine").into()
    }

    /// Runs a command of the engine that has no spaces in its words.
    pub fn line(&self, line: &str) -> Done {
        self.ask(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command of the engine with something on its standard input.
    pub fn fed(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run an engine");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes()).expect("write to it");
        drop(stdin);
        child.wait_with_output().expect("its end").into()
    }

    /// Runs a shell script in a new container without network, which is removed at its end.
    pub fn inside(&self, flags: &[&str], script: &str) -> Done {
        let before = ["run", "--rm", "--network", "none"];
        self.ask(&[&before, flags, &["busybox", "sh", "-c", script]].concat())
    }

    /// Starts a container without network that runs a shell script.
    #[track_caller]
    pub fn start(&self, name: &str, flags: &[&str], script: &str) {
        let before = ["run", "-d", "--name", name, "--network", "none"];
        self.ask(&[&before, flags, &["busybox", "sh", "-c", script]].concat()).ok();
    }

    /// Runs a shell script in a running container.
    pub fn exec(&self, name: &str, script: &str) -> Done {
        self.ask(&["exec", name, "sh", "-c", script])
    }

    /// The command line of an engine's command, for a shell.
    pub fn shell_words(&self, verb: &str, rest: &str) -> String {
        let flags = if verb == "run" { self.flags.join(" ") } else { String::new() };
        format!("{} {verb} {flags} {rest}", self.words.join(" "))
    }

    /// One value of what the engine knows of a container, such as `.State.Status`.
    #[track_caller]
    pub fn inspect(&self, name: &str, what: &str) -> String {
        let done = self.ask(&["inspect", "-f", &format!("{{{{{what}}}}}"), name]);
        done.ok().trim().into()
    }

    /// Waits until a container's log has a line.
    #[track_caller]
    pub fn until_logged(&self, name: &str, line: &str) {
        until(&format!("`{line}` in the log"), || {
            self.ask(&["logs", name]).stdout.lines().any(|logged| logged == line)
        });
    }
}

/// What makes the runtime under test Docker's.
fn peer(host: &Host) -> String {
    format!("--add-runtime peer={} --default-runtime peer", host.runtime())
}

pub fn start_dockerd(host: &Host, more: &str) -> Child {
    let arguments = format!(
        "--data-root {} --host unix:///run/docker.sock --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /{} \
         --live-restore --storage-driver overlay2 --ip6tables=false --bip 172.30.0.1/16 {more}",
        host.place("docker"),
        host.label(),
    );
    host.serve("dockerd", &arguments.split_whitespace().collect::<Vec<_>>())
}

impl Drop for Engine {
    /// Removes all containers, and ends the daemon.
    fn drop(&mut self) {
        let ids = self.line("ps -aq").stdout;
        for id in ids.split_whitespace() {
            let done = if self.is_podman() {
                self.line(&format!("rm -f -t 0 {id}"))
            } else {
                self.line(&format!("rm -f {id}"))
            };
            if done.code != 0 {
                eprintln!("{done:?}");
            }
        }
        self.end_daemon();
        if std::thread::panicking() {
            eprintln!("{}", self.host.sh("tail -n 30 *.log 2>/dev/null || true").stdout);
        }
    }
}

/// Declares tests that are the same for both engines.
macro_rules! for_both {
    ($($test:ident),+ $(,)?) => {
        mod podman {
            $(#[test] fn $test() { super::$test(&crate::engine::Engine::podman()); })+
        }
        mod docker {
            $(#[test] fn $test() { super::$test(&crate::engine::Engine::docker()); })+
        }
    };
}
pub(crate) use for_both;
