//! How many system calls commands make, in all the processes that they start: no more than `budget.txt` allows. Unlike times, counts
//! are the same on a busy machine. What a change costs is seen here first.
//!
//! `TINYDOCK_BLESS=1` writes the table anew, with a little room for what differs between hosts.

use std::fs;
use std::path::PathBuf;

use crate::host::{Host, TINYDOCK};

/// What is counted, by the names in the table. The shell's variable is the program.
const COMMANDS: [(&str, &str); 6] = [
    ("version", "$T --version"),
    ("run", "$T run --rm --network none busybox true"),
    ("run on a bridge", "$T run --rm -p 8080:80 busybox true"),
    ("exec", "$T exec sleeper true"),
    ("ls", "$T ls -a"),
    ("runtime run", "$T runtime --root states run --bundle bundle counted"),
];

/// Room for what differs between two runs and between hosts, in percent.
const ROOM: usize = 3;

fn table() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration/budget.txt")
}

/// The system calls of a command: the least of some runs, since a process that waits may be woken for nothing.
fn count(host: &Host, command: &str) -> usize {
    let counted = (0..3).map(|_| {
        let script = format!("T={TINYDOCK}; strace -f -qq -c -o calls {command} < /dev/null > /dev/null && tail -n 1 calls");
        let total = host.sh(&script).ok();
        let fields: Vec<&str> = total.split_whitespace().collect();
        fields[3].parse().expect("the number of calls")
    });
    counted.min().expect("three runs")
}

/// A bundle of what the built-in image has.
fn bundle(host: &Host) {
    host.sh(&format!(
        "mkdir -p bundle && cp -a root/layer/sha256/* bundle/rootfs && {TINYDOCK} runtime spec --bundle bundle && \
         sed -i 's/\"terminal\": *true/\"terminal\": false/; s/\"sh\"/\"true\"/' bundle/config.json"
    ))
    .ok();
}

#[test]
fn commands_stay_within_their_budget_of_system_calls() {
    let host = Host::new();
    host.run("run --rm -p 8080:80 busybox true").ok();
    host.run("run -d --name sleeper --network none busybox sleep 1000").ok();
    bundle(&host);
    let counts: Vec<(&str, usize)> = COMMANDS
        .iter()
        .map(|(name, command)| (*name, count(&host, command)))
        .collect();
    if std::env::var_os("TINYDOCK_BLESS").is_some() {
        let lines: Vec<String> = counts
            .iter()
            .map(|(name, n)| format!("{name}: {}\n", n + n * ROOM / 100 + 2))
            .collect();
        fs::write(table(), lines.concat()).expect("write the table");
    }
    let text = fs::read_to_string(table()).expect("the table");
    let mut over = Vec::new();
    for (name, n) in counts {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let budget: usize = line
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no budget for {name}"));
        println!("{name}: {n} system calls of {budget}");
        if n > budget {
            over.push(format!("{name}: {n} system calls, and {budget} are allowed"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}
