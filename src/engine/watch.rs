//! Watching a container's health: a process of its own for each container that has a check, a child of the monitor. It ends with the
//! container's init.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::health::{self, Check};
use super::stop::wait;
use super::{Container, Engine, State};
use crate::error::{Doing, Error, Result};
use crate::store::{Id, Store, clock, read_if_present, write};

/// As what the monitor's beginning executes tinydock to watch a container.
pub const WATCH: &str = "tinydock-watch";

/// How many checks are remembered, and how much each of them wrote (moby, `daemon/health.go`).
const REMEMBERED: usize = 5;
const OUTPUT: u64 = 4096;

/// What is known of a container's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: Status,
    /// How many checks in a row have failed.
    pub failing: u32,
    /// The last checks, the oldest first.
    pub checks: Vec<Checked>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

/// One check: when it began and ended, in RFC 3339, and what came of it. Its code is -1 if it took too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub start: String,
    pub end: String,
    pub code: i32,
    pub output: String,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

impl Container {
    /// What is known of the container's health, if it is checked.
    pub fn health(&self) -> Result<Option<Health>> {
        read_if_present(&self.file("health"))
    }
}

impl Health {
    /// What is known after another check. Failures count from the first success on, or when the container should have started.
    pub fn after(mut self, checked: Checked, check: &Check, age: Duration) -> Health {
        let failed = checked.code != 0;
        self.checks.push(checked);
        let forgotten = self.checks.len().saturating_sub(REMEMBERED);
        self.checks.drain(..forgotten);
        if !failed {
            (self.status, self.failing) = (Status::Healthy, 0);
        } else if self.status != Status::Starting || age >= check.start_period {
            self.failing += 1;
            if self.failing >= check.retries {
                self.status = Status::Unhealthy;
            }
        }
        self
    }

    fn pause(&self, check: &Check, age: Duration) -> Duration {
        if self.status == Status::Starting && age < check.start_period {
            check.start_interval
        } else {
            check.interval
        }
    }
}

impl Engine {
    /// Starts the process that watches a container that has just been brought up, if it has a check.
    pub fn begin_watch(&self, container: &Container) -> Result<()> {
        if container.spec.options.check.is_none() {
            return Ok(());
        }
        write(&container.file("health"), &Health::default())?;
        let mut watch = itself(&self.store, WATCH);
        watch.arg(container.id().as_str()).stdout(Stdio::null()).stderr(Stdio::null());
        watch.spawn().map(|_| ()).doing(|| "watch the container's health")
    }
}

/// tinydock, executed once more for the same store.
fn itself(store: &Store, name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).stdin(Stdio::null());
    command.env("TINYDOCK_ROOT", store.root()).env("TINYDOCK_RUN", store.run());
    command
}

/// Watches the container whose id is given, until it has ended.
pub fn watch(store: &Store, arguments: &[String]) -> Result<()> {
    let wrong = || Error::invalid("tinydock starts this by itself");
    let id = arguments.first().and_then(|id| Id::parse(id)).ok_or_else(wrong)?;
    let container = Container::load(store, &id)?.ok_or_else(wrong)?;
    let check = container.spec.options.check.clone().ok_or_else(wrong)?;
    let (init, _) = container.open_init()?;
    let (began, mut health) = (Instant::now(), Health::default());
    while !wait(init.as_fd(), Some(health.pause(&check, began.elapsed()))).doing(|| "wait for the container")? {
        if !matches!(container.state()?, State::Running(_)) {
            continue;
        }
        let checked = run(store, &container, &check)?;
        if wait(init.as_fd(), Some(Duration::ZERO)).doing(|| "wait for the container")? {
            // What failed because the container has ended tells nothing.
            break;
        }
        health = health.after(checked, &check, began.elapsed());
        write(&container.file("health"), &health)?;
    }
    Ok(())
}

/// Runs a check once.
fn run(store: &Store, container: &Container, check: &Check) -> Result<Checked> {
    let start = clock::now();
    let mut exec = itself(store, "tinydock");
    exec.args(["exec", container.id().as_str()]);
    match &check.command {
        health::Command::Shell(line) => exec.args(["/bin/sh", "-c", line]),
        health::Command::Words(words) => exec.args(words.iter().map(|word| OsStr::from_bytes(word.as_bytes()))),
    };
    let (mut reader, writer) = std::io::pipe().doing(|| "make a pipe")?;
    exec.stdout(writer.try_clone().doing(|| "make a pipe")?).stderr(writer);
    let mut child = exec.spawn().doing(|| "run the health check")?;
    drop(exec);
    let output = std::thread::spawn(move || {
        let mut output = Vec::new();
        let _ = reader.by_ref().take(OUTPUT).read_to_end(&mut output);
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        String::from_utf8_lossy(&output).into_owned()
    });
    let code = wait_for_child(&mut child, check.timeout)?;
    let mut output = output.join().unwrap_or_default();
    if code < 0 {
        output = format!("Health check exceeded timeout ({:?})", check.timeout);
    }
    Ok(Checked {
        start,
        end: clock::now(),
        code,
        output,
    })
}

/// Waits for a child, which is killed after a time: then the code is -1. The command it runs in the container dies with it.
fn wait_for_child(child: &mut Child, time: Duration) -> Result<i32> {
    let doing = || "wait for the health check";
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).doing(doing)?;
    let ended = wait(pidfd.as_fd(), Some(time)).doing(doing)?;
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().doing(doing)?;
    Ok(if ended { status.code().unwrap_or(-1) } else { -1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Check {
        let asked = health::Asked {
            command: Some(health::Command::Shell("true".into())),
            start_period: Some(Duration::from_secs(10)),
            ..health::Asked::default()
        };
        asked.over(&health::Asked::default()).expect("a check")
    }

    fn after(health: Health, code: i32, age: u64) -> Health {
        let checked = Checked {
            start: String::new(),
            end: String::new(),
            code,
            output: String::new(),
        };
        health.after(checked, &check(), Duration::from_secs(age))
    }

    #[test]
    fn failures_count_when_a_container_should_have_started() {
        let mut health = Health::default();
        for _ in 0..9 {
            health = after(health, 1, 5);
        }
        assert_eq!(
            (health.status, health.failing, health.checks.len()),
            (Status::Starting, 0, REMEMBERED)
        );
        health = after(after(health, 1, 11), 1, 12);
        assert_eq!((health.status, health.failing), (Status::Starting, 2));
        health = after(health, 1, 13);
        assert_eq!((health.status, health.failing), (Status::Unhealthy, 3));
        health = after(health, 0, 14);
        assert_eq!((health.status, health.failing), (Status::Healthy, 0));
    }

    #[test]
    fn one_success_ends_the_start() {
        let health = after(after(Health::default(), 0, 1), 1, 2);
        assert_eq!((health.status, health.failing), (Status::Healthy, 1));
    }
}
