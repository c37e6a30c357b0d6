//! The house: which room may know of which.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the others it may import. `error` is for all, and `flags` for the front doors.
const ROOMS: [(&str, &[&str]); 11] = [
    ("kernel", &[]),
    ("program", &["kernel"]),
    ("store", &["kernel"]),
    ("isolation", &["kernel", "program"]),
    ("cgroup", &["kernel", "program"]),
    ("layer", &["kernel", "program", "store"]),
    ("network", &["kernel", "program", "store"]),
    ("image", &["kernel", "layer", "store"]),
    (
        "engine",
        &[
            "kernel",
            "program",
            "store",
            "isolation",
            "cgroup",
            "layer",
            "network",
            "image",
        ],
    ),
    (
        "oci",
        &["kernel", "program", "store", "isolation", "cgroup", "layer", "network"],
    ),
    (
        "cli",
        &[
            "engine",
            "program",
            "store",
            "isolation",
            "cgroup",
            "layer",
            "network",
            "image",
            "kernel",
        ],
    ),
];

/// Longer files say why at their head, or are split.
const LONGEST: usize = 400;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("read a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rooms that a file's code names after `crate::`.
fn imports(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("read a file");
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let name = |rest: &str| {
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    code.split("crate::")
        .skip(1)
        .map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        let found = files(&source().join(room));
        assert!(!found.is_empty(), "no room `{room}`");
        for file in found {
            for import in imports(&file) {
                if import != room
                    && import != "error"
                    && !(import == "flags" && ["cli", "oci"].contains(&room))
                    && !allowed.contains(&import.as_str())
                {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_is_listed() {
    let rooms = fs::read_dir(source())
        .expect("read the source")
        .flatten()
        .filter(|entry| entry.path().is_dir());
    for room in rooms {
        let name = room.file_name().into_string().expect("a name");
        assert!(ROOMS.iter().any(|(room, _)| *room == name), "`{name}` is not in the table");
    }
}

#[test]
fn files_stay_readable() {
    for file in files(&source()) {
        let text = fs::read_to_string(&file).expect("read a file");
        assert!(text.starts_with("//!"), "{} does not say what it is", file.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", file.display());
    }
}
