//! tinydock on another kernel, in a virtual machine: Debian 12's, with cgroups of version 2 only.

use std::process::Command;

use crate::host::{Done, TINYDOCK};

#[test]
fn a_kernel_with_cgroups_of_version_2_only() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/run.sh");
    let tests = std::env::current_exe().expect("this executable");
    let mut machine = Command::new(script);
    let done: Done = machine.arg(TINYDOCK).arg(tests).output().expect("start the machine").into();
    // A test that fails is a line, and what was expected and printed. All else is of use only if there is none.
    let failed: Vec<&str> = done
        .stdout
        .split("\nok ")
        .filter_map(|part| part.split_once("FAILED"))
        .map(|(_, what)| what)
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stdout.matches(" passed; 0 failed").count(), 3, "{}", done.stdout);
}
