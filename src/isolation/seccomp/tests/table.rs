//! The names of system calls, compared with the kernel's headers that the C compiler has.

use std::fs;

use super::super::names;

#[test]
fn numbers_are_those_of_the_kernels_headers() {
    let calls = names::all();
    for (way, name) in ["64", "32", "x32"].into_iter().enumerate() {
        let header = fs::read_to_string(format!("/usr/include/x86_64-linux-gnu/asm/unistd_{name}.h")).unwrap();
        let defined = header.lines().filter_map(|line| line.strip_prefix("#define __NR_"));
        let mut count = 0;
        for (name, value) in defined.filter_map(|line| line.split_once(' ')) {
            let value = value.trim_start_matches("(__X32_SYSCALL_BIT + ").trim_end_matches(')');
            assert_eq!(calls.get(name).and_then(|numbers| numbers[way]), value.parse().ok(), "{name}");
            count += 1;
        }
        assert!(count > 300, "{name}: {count}");
    }
}

#[test]
fn calls_that_go_through_another_are_calls() {
    let calls = names::all();
    assert_eq!(calls["socketcall"], [None, Some(102), None]);
    assert_eq!(calls["ipc"], [None, Some(117), None]);
    for name in ["socket", "sendmmsg", "shmctl", "semtimedop"] {
        assert!(calls[name][0].is_some() && names::multiplexed(name).is_some(), "{name}");
    }
    assert_eq!(names::multiplexed("read"), None);
}
