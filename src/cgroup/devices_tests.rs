//! The compiled rules against the rules themselves.

use super::*;
use crate::kernel::bpf::interpret;

fn rule(text: &str) -> DeviceRule {
    let mut words = text.split_whitespace();
    let allow = words.next() == Some("+");
    let number = |text: &str| (text != "*").then(|| text.parse().unwrap());
    let kind = words.next().map(str::to_string);
    let (major, minor) = words.next().unwrap_or("*:*").split_once(':').unwrap();
    DeviceRule {
        allow,
        kind,
        major: number(major),
        minor: number(minor),
        access: words.next().map(str::to_string),
    }
}

fn rules(text: &str) -> Vec<DeviceRule> {
    text.split(',').filter(|text| !text.trim().is_empty()).map(rule).collect()
}

fn allows(program: &[I], kind: i32, major: u32, minor: u32, access: i32) -> bool {
    interpret(program, [(access << 16 | kind) as u32, major, minor]) == 1
}

/// What the rules say, by the words of the specification: the last one that fits decides about each kind of access.
fn meant(rules: &[DeviceRule], kind: i32, major: u32, minor: u32, access: i32) -> bool {
    let fits = |entry: &Entry| {
        entry.kind.is_none_or(|other| other == kind)
            && entry.major.is_none_or(|other| other == major)
            && entry.minor.is_none_or(|other| other == minor)
    };
    [MKNOD, READ, WRITE].iter().filter(|bit| access & *bit != 0).all(|bit| {
        let mut entries = rules.iter().rev().map(Entry::new);
        let last = entries.find(|entry| fits(entry) && entry.access & *bit != 0);
        last.is_some_and(|entry| entry.allow)
    })
}

#[test]
fn a_program_does_what_the_rules_say() {
    let tables = [
        "",
        "- a",
        "+ a",
        "- a, + c 1:3 rwm",
        "- a, + c 1:* r, + b 8:0 rw",
        "+ a, - b 8:* w",
        "+ a, - c 1:3 w, + c 1:3 r",
        "+ c 1:3, - c 1:3 w, + b *:* m",
        "- a, + c *:3 rw, - c 1:* w, + c *:* m",
        "+ c, - a, + b 8:1",
        "+ c 2147483647:3 rw",
    ];
    for text in tables {
        let rules = rules(text);
        let program = compile(&rules);
        for kind in [BLOCK, CHARACTER] {
            for (major, minor) in [(1, 3), (1, 5), (8, 0), (8, 1), (9, 3), (i32::MAX as u32, 3)] {
                for access in 1..=ALL {
                    let meant = meant(&rules, kind, major, minor, access);
                    let got = allows(&program, kind, major, minor, access);
                    assert_eq!(got, meant, "{text}: {kind} {major}:{minor} {access}");
                }
            }
        }
    }
}

#[test]
fn every_container_has_the_harmless_devices() {
    let program = compile(&default_devices());
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 7)] {
        assert!(allows(&program, CHARACTER, major, minor, ALL), "{major}:{minor}");
        assert!(!allows(&program, BLOCK, major, minor, READ), "{major}:{minor}");
    }
    for (kind, major, minor) in [(CHARACTER, 1, 1), (CHARACTER, 1, 11), (BLOCK, 8, 0), (CHARACTER, 10, 229)] {
        assert!(allows(&program, kind, major, minor, MKNOD));
        for access in [READ, WRITE, READ | MKNOD] {
            assert!(
                !allows(&program, kind, major, minor, access),
                "{kind} {major}:{minor} {access}"
            );
        }
    }
}

#[test]
fn version_1_has_a_list() {
    for (text, allow, exceptions) in [
        ("", false, vec![]),
        ("- a, + c 1:3 rw, + b 8:*", false, vec!["c 1:3 rw", "b 8:* rwm"]),
        ("+ a, - b *:* w", true, vec!["b *:* w"]),
        ("- a, + c 1:3, - c 1:*", false, vec![]),
        ("- a, + a *:7 r", false, vec!["b *:7 r", "c *:7 r"]),
        ("+ c 1:3, + a", true, vec![]),
    ] {
        let list = list(&rules(text)).unwrap();
        let spelled: Vec<String> = list.exceptions.iter().map(Entry::to_string).collect();
        assert_eq!(
            (list.allow, spelled),
            (allow, exceptions.iter().map(|entry| entry.to_string()).collect()),
            "{text}"
        );
    }
    let error = list(&rules("- a, + c 1:*, - c 1:3")).unwrap_err().to_string();
    assert!(error.starts_with("`linux.resources.devices[2]`: "), "{error}");
}
