//! Profiles of the OCI specification.

use serde_json::{Value, json};

use super::super::compile;
use super::*;

const EPERM: u32 = action::ERRNO | libc::EPERM as u32;
const READ: u32 = libc::SYS_read as u32;

fn profile(text: Value) -> Profile {
    serde_json::from_value(text).unwrap()
}

fn filter(text: Value) -> Filter {
    compile(&profile(text)).unwrap()
}

#[test]
fn each_action_is_what_the_kernel_calls_it() {
    for (name, error, expected) in [
        ("KILL", None, action::KILL_THREAD),
        ("KILL_THREAD", None, action::KILL_THREAD),
        ("KILL_PROCESS", None, action::KILL_PROCESS),
        ("TRAP", None, action::TRAP),
        ("ERRNO", None, EPERM),
        ("ERRNO", Some(libc::ENOSYS), action::ERRNO | libc::ENOSYS as u32),
        ("TRACE", None, action::TRACE | libc::EPERM as u32),
        ("TRACE", Some(7), action::TRACE | 7),
        ("LOG", None, action::LOG),
        ("NOTIFY", None, action::NOTIFY),
    ] {
        let name = format!("SCMP_ACT_{name}");
        let rule = json!({"names": ["read"], "action": name, "errnoRet": error});
        let made = filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/agent", "syscalls": [rule]}));
        assert_eq!(run(&made, Call::wide(READ, [0; 6])), expected, "{name}");
        assert_eq!(run(&made, Call::wide(1, [0; 6])), action::ALLOW, "{name}");
        assert_eq!(made.notifies, name == "SCMP_ACT_NOTIFY");
        assert_eq!(made.flags, if made.notifies { 8 } else { 0 });
    }
}

#[test]
fn each_operator_compares_64_bits() {
    const V: u64 = 0x2_0000_0002;
    for (op, fitting, others) in [
        ("NE", vec![0, V + 1, 2], vec![V]),
        ("LT", vec![0, V - 1, 0x1_ffff_ffff], vec![V, V + 1, 0x3_0000_0000]),
        ("LE", vec![0, V], vec![V + 1, 0x3_0000_0000, u64::MAX]),
        ("EQ", vec![V], vec![2, 0x2_0000_0000, V + 1]),
        ("GE", vec![V, V + 1, 0x3_0000_0000], vec![0, V - 1, 0xffff_ffff]),
        ("GT", vec![V + 1, u64::MAX], vec![V, 0xffff_ffff]),
        ("MASKED_EQ", vec![0, 5, 0x5_0000_0005], vec![V, 2, 0x2_0000_0000]),
    ] {
        let rule = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 5, "value": V, "valueTwo": 0, "op": format!("SCMP_CMP_{op}")}]});
        let made = filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}));
        for (values, expected) in [(fitting, action::ALLOW), (others, EPERM)] {
            for value in values {
                assert_eq!(
                    run(&made, Call::wide(READ, [0, 0, 0, 0, 0, value])),
                    expected,
                    "{op} {value:#x}"
                );
            }
        }
    }
}

#[test]
fn rules_about_one_call_are_tried_as_libseccomp_does() {
    let equal = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let refuse = |error: u32, args: Value| json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": args});
    let allow = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW"});
    let above = json!({"index": 0, "value": 1, "op": "SCMP_CMP_GT"});
    for (rules, cases) in [
        // All conditions of a rule have to hold …
        (
            json!([refuse(5, json!([equal(0, 1), equal(1, 2)]))]),
            [([1, 2], 5), ([1, 3], 1), ([2, 2], 1)],
        ),
        // … but those on the same argument are alternatives.
        (
            json!([refuse(5, json!([equal(0, 1), equal(0, 2)]))]),
            [([1, 0], 5), ([2, 0], 5), ([3, 0], 1)],
        ),
        (
            json!([refuse(5, json!([equal(0, 1)])), refuse(6, json!([equal(0, 2)]))]),
            [([1, 0], 5), ([2, 0], 6), ([3, 0], 1)],
        ),
        // One value counts more than a range, in either order.
        (
            json!([refuse(5, json!([above])), refuse(6, json!([equal(0, 2)]))]),
            [([2, 0], 6), ([3, 0], 5), ([1, 0], 1)],
        ),
        // No conditions override all conditions; the first of several rules without counts.
        (
            json!([refuse(5, json!([equal(0, 1)])), allow, refuse(6, json!([]))]),
            [([1, 0], 0), ([2, 0], 0), ([3, 0], 0)],
        ),
        // A rule that says what is so by default says nothing.
        (json!([refuse(1, json!([])), allow]), [([1, 0], 0), ([2, 0], 0), ([3, 0], 0)]),
    ] {
        let made = filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
        for ([first, second], error) in cases {
            let expected = if error == 0 { action::ALLOW } else { action::ERRNO | error };
            assert_eq!(
                run(&made, Call::wide(READ, [first, second, 0, 0, 0, 0])),
                expected,
                "{rules} {first} {second}"
            );
        }
    }
}

#[test]
fn calls_come_the_ways_that_are_listed() {
    let rule = json!({"names": ["read", "socket", "pidfd_open", "no_such_call"], "action": "SCMP_ACT_ALLOW"});
    let made = |architectures: Value| {
        filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": [rule]}))
    };
    let few = made(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]));
    let all = made(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]));
    let enosys = action::ERRNO | libc::ENOSYS as u32;
    let kill = action::KILL_PROCESS;
    for (call, of_few, of_all) in [
        (Call::wide(0, [0; 6]), action::ALLOW, action::ALLOW),
        (Call::wide(1, [0; 6]), EPERM, EPERM),
        // What is newer than all that the profile knows does not exist.
        (Call::wide(434, [0; 6]), action::ALLOW, action::ALLOW),
        (Call::wide(435, [0; 6]), enosys, enosys),
        (Call::wide(0x4000_0000, [0; 6]), kill, action::ALLOW),
        (Call::wide(0x4000_0001, [0; 6]), kill, EPERM),
        (Call::wide(u32::MAX, [0; 6]), EPERM, enosys),
        (Call::narrow(3, [0; 6]), kill, action::ALLOW),
        (Call::narrow(0, [0; 6]), kill, EPERM),
        (Call::narrow(359, [0; 6]), kill, action::ALLOW),
        // socketcall, for `socket` and for `bind`.
        (Call::narrow(102, [1; 6]), kill, action::ALLOW),
        (Call::narrow(102, [2; 6]), kill, EPERM),
        (
            Call {
                way: 0xc000_00b7,
                number: 0,
                arguments: [0; 6],
            },
            kill,
            kill,
        ),
    ] {
        assert_eq!((run(&few, call), run(&all, call)), (of_few, of_all), "{call:?}");
    }
    let logging = filter(json!({"defaultAction": "SCMP_ACT_LOG", "syscalls": [rule]}));
    assert_eq!(
        run(&logging, Call::wide(600, [0; 6])),
        action::LOG,
        "unknown calls are not kept from who only logs"
    );
}

#[test]
fn flags_are_seccomps() {
    let flags = |names: Value, action: &str| {
        let rule = json!({"names": ["read"], "action": action});
        filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": names, "listenerPath": "/agent", "syscalls": [rule]})).flags
    };
    assert_eq!(flags(json!([]), "SCMP_ACT_LOG"), 0);
    assert_eq!(flags(json!(null), "SCMP_ACT_LOG"), 0);
    assert_eq!(
        flags(
            json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
            "SCMP_ACT_LOG"
        ),
        6
    );
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC"]), "SCMP_ACT_LOG"), 1);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC"]), "SCMP_ACT_NOTIFY"), 1 | 8 | 16);
    assert_eq!(
        flags(json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), "SCMP_ACT_NOTIFY"),
        8 | 0x20
    );
}

#[test]
fn errors_name_the_field() {
    let rule =
        |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}, rule]});
    let argument = |index: u32, op: &str| {
        rule(json!({"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": index, "value": 0, "op": op}]}))
    };
    for (text, expected) in [
        (
            json!({"defaultAction": "SCMP_ACT_BAN"}),
            "`linux.seccomp.defaultAction`: unknown action `SCMP_ACT_BAN`",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "`linux.seccomp.defaultAction`: not every call can be left to another program",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}),
            "`linux.seccomp.defaultErrnoRet`: `SCMP_ACT_KILL` returns no error",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_KILL", "architectures": ["SCMP_ARCH_VAX"]}),
            "`linux.seccomp.architectures[0]`: unknown architecture `SCMP_ARCH_VAX`",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_KILL", "flags": ["FAST"]}),
            "`linux.seccomp.flags[0]`: unknown flag `FAST`",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_KILL", "listenerMetadata": "x"}),
            "`linux.seccomp.listenerMetadata`: is nothing without `listenerPath`",
        ),
        (
            rule(json!({"names": [], "action": "SCMP_ACT_TRAP"})),
            "`linux.seccomp.syscalls[1].names`: names no system call",
        ),
        (
            rule(json!({"names": ["a", ""], "action": "SCMP_ACT_TRAP"})),
            "`linux.seccomp.syscalls[1].names[1]`: is empty",
        ),
        (
            rule(json!({"names": ["read"], "action": ""})),
            "`linux.seccomp.syscalls[1].action`: unknown action ``",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000})),
            "`linux.seccomp.syscalls[1].errnoRet`: `70000` is no error",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})),
            "`linux.seccomp.listenerPath`: is missing, and `SCMP_ACT_NOTIFY` needs it",
        ),
        (
            argument(6, "SCMP_CMP_EQ"),
            "`linux.seccomp.syscalls[1].args[0].index`: a system call has six arguments, from 0 to 5",
        ),
        (
            argument(0, "SCMP_CMP_IS"),
            "`linux.seccomp.syscalls[1].args[0].op`: unknown operator `SCMP_CMP_IS`",
        ),
    ] {
        assert_eq!(compile(&profile(text)).unwrap_err().to_string(), expected);
    }
    let equal = |name: &str, value: u64| json!({"names": [name], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]});
    for (names, count, expected) in [
        (vec!["read"], 513, "there are more than 512 conditions on `read`"),
        (vec!["read", "write", "open"], 512, " instructions, and the kernel takes 4096"),
    ] {
        let values = (0..count).flat_map(|value| names.iter().zip(value * 0x1_0000_0003..));
        let rules: Vec<_> = values.map(|(name, value)| equal(name, value)).collect();
        let made = compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})));
        let error = made.map(|filter| filter.instructions.len()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_permitted_is_known() {
    let argument = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_GE"}]);
    let made = filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["write"], "action": "SCMP_ACT_LOG"},
        {"names": ["open"], "action": "SCMP_ACT_ALLOW", "args": argument},
        {"names": ["close"], "action": "SCMP_ACT_TRACE"},
    ]}));
    assert_eq!(
        [0, 1, 2, 3, 4, 600].map(|number| made.permits(number)),
        [true, true, false, false, false, false]
    );
}
