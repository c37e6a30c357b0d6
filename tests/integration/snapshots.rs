//! What every command prints, as `snapshots.txt` has it: a line that begins with `# ` is a command, what follows is what it prints, and
//! `[1]` is its exit code if that is not 0. What differs each time, such as ids and times, has a word in its place.
//!
//! `TINYDOCK_BLESS=1` writes the file anew: read the difference before it is committed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use regex_lite::Regex;

use crate::host::{Host, TINYDOCK};

/// What differs each time, in order, and what is written for it. Where columns are padded, the padding depends on it.
const VARIABLE: [(&str, &str); 19] = [
    (r"[0-9a-f]{64}", "ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( UTC)?)?",
        "TIME",
    ),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"(\d+|Less than a|About a) (second|minute)s?( ago)?", "AGE"),
    (r"\d+(\.\d+)?( ?[kKMGT]i?B|B)\b", "SIZE"),
    (r"\d+(\.\d+)?%", "PERCENT"),
    (r"([0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC"),
    (
        r#""(Pid|Created|Size|SizeRw|SizeRootFs|VirtualSize|GraphDriver|time|timeNano|MemTotal|NCPU)":( ?)-?\d+"#,
        "\"$1\":${2}NUMBER",
    ),
    (r"\b(\d+)( bytes)", "NUMBER$2"),
    (r"(?m)^(root|0) +\d+ +\d+ .*(sleep|top).*$", "$1 PROCESS $2"),
    (r"start `[a-z]+_[a-z]+`", "start `NAME`"),
    (r"process \d+ of", "process NUMBER of"),
    (r"(/tcp +)\d\d+\b", "${1}NUMBER"),
    (r"td-[0-9a-f]+", "INTERFACE"),
    (r"version \d\S*", "version VERSION"),
    (r"Linux \S+", "Linux RELEASE"),
    (r"[-─]{5,}", "-----"),
    (r"(?m)[ \t]{2,}|[ \t]+$", "  "),
];

/// These are about registries, need a terminal or systemd, or print pages for other programs: their own tests look at what they print.
const ELSEWHERE: [&str; 11] = [
    "pull",
    "push",
    "login",
    "logout",
    "attach",
    "debug",
    "runtime",
    "completion",
    "manual",
    "system enable",
    "system disable",
];

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration/snapshots.txt")
}

/// The text with words for what differs each time.
fn settle(text: &str, host: &Host) -> String {
    let text = text
        .replace(&host.path("").display().to_string(), "HERE/")
        .replace("HERE//", "HERE/");
    let mut text = text.replace(&host.label(), "LABEL");
    for (pattern, word) in VARIABLE {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, word).into_owned();
    }
    text
}

/// Runs a file's commands one after the other, and writes it as it should be.
fn play(text: &str, host: &Host) -> String {
    fs::create_dir(host.path("bin")).expect("make a directory");
    symlink(TINYDOCK, host.path("bin/tinydock")).expect("link tinydock");
    let mut played = String::new();
    for command in text.lines().filter_map(|line| line.strip_prefix("# ")) {
        let script = format!("exec 2>&1; PATH=$PWD/bin:$PATH; {command}");
        let done = host.sh(&script);
        let code = if done.code == 0 {
            String::new()
        } else {
            format!("[{}]\n", done.code)
        };
        let output = settle(&done.stdout, host);
        let end = if output.is_empty() || output.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        played += &format!("# {command}\n{output}{end}{code}");
    }
    played
}

#[test]
fn commands_print_what_they_did() {
    let host = Host::new();
    let expected = fs::read_to_string(file()).expect("read the file");
    let played = play(&expected, &host);
    if std::env::var_os("TINYDOCK_BLESS").is_some() {
        fs::write(file(), &played).expect("write the file");
        return;
    }
    assert_eq!(played.lines().count(), expected.lines().count(), "{played}");
    if let Some((n, (is, should))) = played
        .lines()
        .zip(expected.lines())
        .enumerate()
        .find(|(_, (is, should))| is != should)
    {
        let command = played.lines().take(n + 1).filter(|line| line.starts_with("# ")).last();
        panic!(
            "{} prints in line {}\n{is}\nnot\n{should}",
            command.unwrap_or_default(),
            n + 1
        );
    }
}

#[test]
fn every_command_has_a_snapshot() {
    let host = Host::new();
    let text = fs::read_to_string(file()).expect("read the file");
    let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# tinydock ")).collect();
    let help = host.run("--help").ok();
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let mut missing = Vec::new();
    for line in listed {
        let name = line.trim().split("  ").next().expect("a name");
        if !ELSEWHERE.contains(&name) && !shown.iter().any(|command| command.starts_with(name)) {
            missing.push(name.to_string());
        }
    }
    assert!(missing.is_empty(), "no snapshot of {missing:?}");
}
