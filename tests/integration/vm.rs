//! tinydock on another kernel, in a virtual machine: Debian 12's, with cgroups of version 2 only.

use std::process::Command;

use crate::host::{Done, TINYDOCK};

#[test]
fn a_kernel_with_cgroups_of_version_2_only() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/run.sh");
    let done: Done = Command::new(script).arg(TINYDOCK).output().expect("start the machine").into();
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stdout.matches(" passed; 0 failed").count(), 2, "{}", done.stdout);
}
