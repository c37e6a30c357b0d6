//! The same command lines for Docker and for tinydock. What they print and the codes they exit with are compared, and what
//! differs must be listed, with a reason.
//!
//! `lines.txt` has scenarios, one a paragraph: a title after `# `, then lines for a shell that finds one of the two engines by
//! the name `docker`. `normal.sed` takes out of their output what is different each time: ids, times, addresses.
//! `expected.txt` lists the differences. One that is there and not listed fails the test, and so does one that is listed and
//! not there any more.
//!
//! Each engine has hosts of its own, where it runs one scenario after the other. `TINYDOCK_LINES` is a part of the titles of
//! those to be run, in place of all.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::start_dockerd;
use crate::host::{Done, Host, until};

const LINES: &str = include_str!("differences/lines.txt");
const EXPECTED: &str = include_str!("differences/expected.txt");
const NORMAL: &str = include_str!("differences/normal.sed");

/// How many hosts Docker's scenarios are run in at once. It spends most of its time waiting for its own parts.
const DOCKERS: usize = 4;
/// The same of tinydock.
const TINYDOCKS: usize = 1;

/// Removes what a scenario has left, but for the images that there were before.
const CLEAR: &str = "
    docker ps -aq | xargs -r docker rm -fv
    docker volume ls -q | xargs -r docker volume rm
    docker network ls -qf type=custom | xargs -r docker network rm";

struct Scenario<'a> {
    title: &'a str,
    lines: Vec<&'a str>,
}

impl Scenario<'_> {
    /// Whether a difference is one of its lines'.
    fn owns(&self, at: &str) -> bool {
        at.starts_with(&format!("[{}] ", self.title))
    }
}

/// Paragraphs of lines. Those before the first blank line say what the file is.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(str::trim_end).skip(1).filter(|text| !text.is_empty())
}

fn scenarios() -> Vec<Scenario<'static>> {
    let wanted = std::env::var("TINYDOCK_LINES").unwrap_or_default();
    let scenarios = paragraphs(LINES).map(|paragraph| {
        let (title, lines) = paragraph.split_once('\n').expect("a title, and lines");
        let title = title.strip_prefix("# ").expect("a title begins with `# `");
        let lines = lines.lines().collect();
        Scenario { title, lines }
    });
    scenarios.filter(|scenario| scenario.title.contains(&wanted)).collect()
}

/// What differs in one line, and why it may.
struct Difference {
    /// `[title] line`
    at: String,
    /// `exit: 1, 125`, lines of the output after `- ` of Docker's and `+ ` of tinydock's, `stderr: only Docker's`.
    what: Vec<String>,
    reason: String,
    /// What they wrote to their standard errors, for who has to find the reason.
    said: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n> {}\n", self.at, self.what.join("\n"), self.reason)
    }
}

fn expected() -> Vec<Difference> {
    let read = |paragraph: &str| {
        let (at, rest) = paragraph.split_once('\n').expect("a line, and its difference");
        let (reason, what): (Vec<_>, Vec<_>) = rest.lines().partition(|line| line.starts_with("> "));
        let reason: Vec<&str> = reason.iter().map(|line| &line[2..]).collect();
        Difference {
            at: at.into(),
            what: what.into_iter().map(String::from).collect(),
            reason: reason.join(" "),
            said: String::new(),
        }
    };
    paragraphs(EXPECTED).map(read).collect()
}

/// Compares what the two engines did.
fn difference(scenario: &Scenario, line: &str, docker: &Done, tinydock: &Done) -> Option<Difference> {
    let mut what = Vec::new();
    if docker.code != tinydock.code {
        what.push(format!("exit: {}, {}", docker.code, tinydock.code));
    }
    what.extend(lines_apart(&docker.stdout, &tinydock.stdout));
    match (docker.stderr.is_empty(), tinydock.stderr.is_empty()) {
        (false, true) => what.push("stderr: only Docker's".into()),
        (true, false) => what.push("stderr: only tinydock's".into()),
        _ => (),
    }
    (!what.is_empty()).then(|| Difference {
        at: format!("[{}] {line}", scenario.title),
        what,
        reason: String::new(),
        said: format!("{}{}", docker.stderr, tinydock.stderr),
    })
}

/// The lines of two texts without those that they begin and end with in common.
fn lines_apart(docker: &str, tinydock: &str) -> Vec<String> {
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (tinydock.lines().collect(), docker.lines().collect());
    let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    ours.drain(..same);
    theirs.drain(..same);
    while !ours.is_empty() && ours.last() == theirs.last() {
        ours.pop();
        theirs.pop();
    }
    let theirs = theirs.iter().map(|line| format!("- {line}"));
    theirs.chain(ours.iter().map(|line| format!("+ {line}"))).collect()
}

/// A host where an engine runs scenarios.
struct Place {
    daemon: Option<std::process::Child>,
    host: Host,
}

impl Place {
    fn docker() -> Place {
        let host = Host::new();
        let daemon = start_dockerd(&host, "");
        Place::new(host, "/usr/bin/docker -H unix:///run/docker.sock", Some(daemon))
    }

    fn tinydock() -> Place {
        let host = Host::new();
        let words = format!("{} --root {}", env!("CARGO_BIN_EXE_tinydock"), host.place("tinydock"));
        Place::new(host, &words, None)
    }

    fn new(host: Host, words: &str, daemon: Option<std::process::Child>) -> Place {
        let place = Place { daemon, host };
        let script = format!("#!/bin/sh\nexec {words} \"$@\"\n");
        place.host.sh("mkdir bin work; touch bin/docker; chmod +x bin/docker").ok();
        fs::write(place.host.path("bin/docker"), script).expect("name the engine");
        fs::write(place.host.path("normal.sed"), NORMAL).expect("write the rules");
        until("an answer", || place.sh("docker version").code == 0);
        place.sh("docker load -q -i image.tar").ok();
        place
    }

    /// Runs a shell script that finds the engine.
    fn sh(&self, script: &str) -> Done {
        let bin = self.host.place("bin");
        self.host.sh(&format!("PATH={bin}:$PATH; {script}"))
    }

    /// Runs a scenario in an empty directory. Returns what each line did.
    fn run(&self, scenario: &Scenario) -> Vec<Done> {
        let mut script = String::from("cd $(mktemp -d -p work); set +e\n");
        for (n, line) in scenario.lines.iter().enumerate() {
            script += &format!("{{ {line}\n}} >../../out.{n} 2>../../err.{n}; echo $? >../../code.{n}\n");
        }
        fs::write(self.host.path("scenario"), script).expect("write the scenario");
        let all = self.sh("timeout 100 sh scenario");
        assert_eq!(all.code, 0, "`{}` does not end: {all:?}", scenario.title);
        let done = (0..scenario.lines.len()).map(|n| self.outcome(n)).collect();
        self.sh(CLEAR);
        done
    }

    fn outcome(&self, n: usize) -> Done {
        let read = |kind: &str| {
            let bytes = fs::read(self.host.path(&format!("{kind}.{n}"))).expect("read the outcome");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let normal = self.host.sh(&format!("sed -Ef normal.sed out.{n}"));
        Done {
            code: read("code").trim().parse().expect("a code"),
            stdout: normal.ok(),
            stderr: read("err"),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sh(CLEAR);
        match &mut self.daemon {
            Some(daemon) => {
                let pid = rustix::process::Pid::from_child(daemon);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("end dockerd");
                daemon.wait().expect("its end");
            }
            None => remove_cgroups(&self.host),
        }
    }
}

/// Removes the directory above all containers of tinydock's root, which stays for its next one: there will be none.
fn remove_cgroups(host: &Host) {
    let root = host.path("tinydock");
    let label = tinydock::store::Store::find(Some(root)).expect("open the store").label();
    host.sh(&format!(
        "rmdir /sys/fs/cgroup/{label} /sys/fs/cgroup/*/{label} 2>/dev/null || true"
    ))
    .ok();
}

/// Runs all scenarios in several hosts of an engine. Returns what each of their lines did.
fn run_all(scenarios: &[Scenario], hosts: usize, make: fn() -> Place) -> BTreeMap<usize, Vec<Done>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..hosts.min(scenarios.len()) {
            scope.spawn(|| {
                let place = make();
                while let Some((n, scenario)) = take(&next, scenarios) {
                    let outcome = place.run(scenario);
                    done.lock().expect("the outcomes").insert(n, outcome);
                }
            });
        }
    });
    done.into_inner().expect("the outcomes")
}

fn take<'a, 'b>(next: &AtomicUsize, scenarios: &'a [Scenario<'b>]) -> Option<(usize, &'a Scenario<'b>)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    scenarios.get(n).map(|scenario| (n, scenario))
}

/// All differences that there are, and how many lines there were.
fn found(scenarios: &[Scenario]) -> (Vec<Difference>, usize) {
    let (docker, tinydock) = std::thread::scope(|scope| {
        let docker = scope.spawn(|| run_all(scenarios, DOCKERS, Place::docker));
        let tinydock = run_all(scenarios, TINYDOCKS, Place::tinydock);
        (docker.join().expect("Docker's outcomes"), tinydock)
    });
    let mut found = Vec::new();
    let mut count = 0;
    for (n, scenario) in scenarios.iter().enumerate() {
        for (m, line) in scenario.lines.iter().enumerate() {
            count += 1;
            found.extend(difference(scenario, line, &docker[&n][m], &tinydock[&n][m]));
        }
    }
    (found, count)
}

/// The scenarios that have differences that are not listed, or have not all that are.
fn not_as_listed(found: &[Difference], scenarios: &[Scenario]) -> Vec<Scenario<'static>> {
    let expected = expected();
    let same = |a: &Difference, b: &Difference| a.at == b.at && a.what == b.what;
    let strange = found.iter().filter(|one| !expected.iter().any(|known| same(one, known)));
    let missing = expected.iter().filter(|known| !found.iter().any(|one| same(one, known)));
    let odd: Vec<&str> = strange.chain(missing).map(|difference| difference.at.as_str()).collect();
    let mut again = self::scenarios();
    again.retain(|scenario| scenarios.iter().any(|one| one.title == scenario.title) && odd.iter().any(|at| scenario.owns(at)));
    again
}

#[test]
fn command_lines_do_what_they_do_with_docker() {
    let scenarios = scenarios();
    let (mut found, count) = found(&scenarios);
    // Docker prints some lists in any order, and is late with some of what it tells: what is not as listed is looked at again.
    for _ in 0..2 {
        let odd = not_as_listed(&found, &scenarios);
        if odd.is_empty() {
            break;
        }
        found.retain(|difference| !odd.iter().any(|scenario| scenario.owns(&difference.at)));
        found.extend(self::found(&odd).0);
    }
    let titles: Vec<String> = scenarios.iter().map(|scenario| format!("[{}] ", scenario.title)).collect();
    let mut expected = expected();
    expected.retain(|known| titles.iter().any(|title| known.at.starts_with(title)));
    let listed = expected.len();
    let mut report = String::new();
    for difference in found {
        let known = expected
            .iter()
            .position(|known| known.at == difference.at && known.what == difference.what);
        match known.map(|at| expected.remove(at)) {
            None => report += &format!("\nnot listed:\n{difference}{}", difference.said),
            Some(known) if known.reason.is_empty() => report += &format!("\nlisted without a reason:\n{known}"),
            Some(_) => (),
        }
    }
    for known in expected {
        report += &format!("\nlisted, but not so any more:\n{known}");
    }
    // What the test prints in other ways is only shown when it fails.
    let _ = writeln!(
        std::io::stderr(),
        "{count} command lines compared with Docker's, {listed} differ as listed"
    );
    assert!(report.is_empty(), "{report}");
}
