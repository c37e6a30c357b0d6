//! Profiles, judged call by call as their text says, to compare filters with.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::profile::{Argument, Syscall, action_of};
use super::super::{compile, names};
use super::*;

const X32_BIT: u32 = 0x4000_0000;

/// What becomes of a call by a profile.
fn judge(profile: &Profile, call: Call) -> u32 {
    let default = action_of(&profile.default_action, profile.default_errno_ret).unwrap();
    let listed = |name: &str| profile.architectures.iter().any(|architecture| architecture == name);
    let x32 = call.way == WIDE && call.number >= X32_BIT;
    let (column, number) = match call.way {
        WIDE if !x32 => (0, call.number),
        WIDE if listed("SCMP_ARCH_X32") => (2, call.number - X32_BIT),
        WIDE if call.number == u32::MAX => return default,
        assemble::NARROW if listed("SCMP_ARCH_X86") => (1, call.number),
        _ => return action::KILL_PROCESS,
    };
    let calls = names::all();
    let number_of = |name: &str| calls.get(name).and_then(|numbers| numbers[column]);
    let newest = profile
        .syscalls
        .iter()
        .flat_map(|rule| &rule.names)
        .filter_map(|name| number_of(name))
        .max();
    let allowing = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].contains(&profile.default_action.as_str());
    if !allowing && newest.is_some_and(|newest| number > newest) {
        return action::ERRNO | libc::ENOSYS as u32;
    }
    let bits = if column == 0 { u64::MAX } else { u32::MAX.into() };
    let mut rules: Vec<(Vec<Argument>, u32)> = Vec::new();
    for rule in &profile.syscalls {
        let action = action_of(&rule.action, rule.errno_ret).unwrap();
        for name in rule.names.iter().filter(|_| action != default) {
            for args in split(&rule.args) {
                let through = names::multiplexed(name).filter(|_| column == 1);
                if let Some((_, mask, which)) = through.filter(|(through, ..)| number_of(through) == Some(number)) {
                    let which = Argument {
                        index: 0,
                        value: mask,
                        value_two: which,
                        op: "SCMP_CMP_MASKED_EQ".into(),
                    };
                    let others = args.iter().filter(|argument| argument.index != 0).cloned();
                    rules.push(([which].into_iter().chain(others).collect(), action));
                }
                if number_of(name) == Some(number) {
                    rules.push((args, action));
                }
            }
        }
    }
    for (args, _) in &mut rules {
        args.retain(|argument| argument.op != "SCMP_CMP_MASKED_EQ" || argument.value & bits != 0);
        args.sort_by_key(|argument| argument.index);
    }
    if let Some((_, action)) = rules.iter().find(|(args, _)| args.is_empty()) {
        return *action;
    }
    let fits = |(args, _): &&(Vec<Argument>, u32)| args.iter().all(|argument| holds_for(argument, call, bits));
    let fitting = rules.iter().filter(fits);
    let first = fitting.min_by(|a, b| particular(&b.0, &a.0, bits).then(Ordering::Equal));
    first.map_or(default, |(_, action)| *action)
}

/// A rule with two conditions on the same argument is one rule for each condition.
fn split(args: &[Argument]) -> Vec<Vec<Argument>> {
    let twice = args
        .iter()
        .any(|one| args.iter().filter(|other| other.index == one.index).count() > 1);
    if twice {
        args.iter().map(|argument| vec![argument.clone()]).collect()
    } else {
        vec![args.to_vec()]
    }
}

fn holds_for(argument: &Argument, call: Call, bits: u64) -> bool {
    let (found, value) = (call.arguments[argument.index as usize] & bits, argument.value & bits);
    match argument.op.as_str() {
        "SCMP_CMP_NE" => found != value,
        "SCMP_CMP_LT" => found < value,
        "SCMP_CMP_LE" => found <= value,
        "SCMP_CMP_EQ" => found == value,
        "SCMP_CMP_GE" => found >= value,
        "SCMP_CMP_GT" => found > value,
        "SCMP_CMP_MASKED_EQ" => found & value == argument.value_two & value,
        op => panic!("{op}"),
    }
}

/// Whether one rule is more particular than another.
fn particular(one: &[Argument], other: &[Argument], bits: u64) -> Ordering {
    let rank = |argument: &Argument| match argument.op.as_str() {
        "SCMP_CMP_GT" | "SCMP_CMP_GE" => (argument.index, 1, argument.value & bits),
        "SCMP_CMP_LT" | "SCMP_CMP_LE" => (argument.index, 2, !(argument.value & bits)),
        "SCMP_CMP_MASKED_EQ" => (argument.index, 3, argument.value_two & argument.value & bits),
        _ => (argument.index, 3, argument.value & bits),
    };
    for (one, other) in one.iter().zip(other) {
        if rank(one) != rank(other) {
            return rank(one).cmp(&rank(other));
        }
    }
    other.len().cmp(&one.len())
}

const NAMES: [&str; 11] = [
    "read",
    "socket",
    "bind",
    "clone",
    "personality",
    "semop",
    "shmat",
    "ioctl",
    "socketcall",
    "mq_open",
    "no_such_call",
];
const ACTIONS: [&str; 8] = [
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
];
const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

fn value() -> impl Strategy<Value = u64> {
    let near = select(vec![
        0,
        1,
        5,
        0xffff,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0005,
        0x5_0000_0005,
        u64::MAX,
    ]);
    (near, -1i64..=1).prop_map(|(value, off)| value.wrapping_add_signed(off))
}

prop_compose! {
    fn argument()(index in 0u32..3, value in value(), value_two in value(), op in select(&OPERATORS)) -> Argument {
        Argument { index, value, value_two, op: op.into() }
    }
}

prop_compose! {
    fn syscall()(
        names in prop::collection::vec(select(&NAMES), 1..4),
        (action, error) in (select(&ACTIONS), prop::option::of(1u32..3)),
        args in prop::collection::vec(argument(), 0..4),
    ) -> Syscall {
        let errno_ret = error.filter(|_| ["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"].contains(&action));
        Syscall { names: names.into_iter().map(String::from).collect(), action: action.into(), errno_ret, args }
    }
}

prop_compose! {
    fn profile()(
        default in select(&ACTIONS[..7]),
        architectures in prop::sample::subsequence(vec!["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"], 0..5),
        syscalls in prop::collection::vec(syscall(), 0..12),
    ) -> Profile {
        Profile {
            default_action: default.into(),
            architectures: architectures.into_iter().map(String::from).collect(),
            listener_path: "/agent".into(),
            syscalls,
            ..Profile::default()
        }
    }
}

/// The calls that the names stand for, their neighbours, and others.
fn number() -> impl Strategy<Value = u32> {
    let calls = names::all();
    let known = NAMES.iter().filter_map(|name| calls.get(name)).flatten().flatten();
    let near: Vec<u32> = known.flat_map(|number| [*number, number + 1, number + X32_BIT]).collect();
    prop_oneof![4 => select(near), 1 => select(vec![600, X32_BIT, X32_BIT + 600, u32::MAX]), 1 => any::<u32>()]
}

proptest! {
    #[test]
    fn filters_judge_as_their_profiles_say(
        profile in profile(),
        calls in prop::collection::vec((number(), prop::array::uniform6(value())), 40),
    ) {
        let filter = compile(&profile).unwrap();
        for (number, arguments) in calls {
            for call in [Call::wide(number, arguments), Call::narrow(number, arguments)] {
                prop_assert_eq!(run(&filter, call), judge(&profile, call), "{:?}", call);
            }
            if filter.permits(number) {
                let found = run(&filter, Call::wide(number, arguments));
                prop_assert!([action::ALLOW, action::LOG].contains(&found), "{} is permitted: {:#x}", number, found);
            }
        }
    }
}

/// A filter with so much in it that no jump can reach across.
#[test]
fn long_filters_judge_as_their_profiles_say() {
    let mut calls: Vec<_> = names::all().into_iter().collect();
    calls.sort_unstable();
    let rule = |(n, (name, _)): (usize, &(&str, _))| {
        let argument = |index| Argument {
            index,
            value: n as u64 * 0x1_0000_0001,
            value_two: 0,
            op: "SCMP_CMP_EQ".into(),
        };
        let args = match n % 6 {
            0 => vec![argument(0)],
            1 => vec![argument(1), argument(2)],
            _ => Vec::new(),
        };
        Syscall {
            names: vec![name.to_string()],
            action: "SCMP_ACT_ERRNO".into(),
            errno_ret: Some(n as u32 + 1),
            args,
        }
    };
    let profile = Profile {
        default_action: "SCMP_ACT_KILL".into(),
        architectures: vec!["SCMP_ARCH_X86".into()],
        syscalls: calls.iter().enumerate().map(rule).collect(),
        ..Profile::default()
    };
    let filter = compile(&profile).unwrap();
    assert!(filter.instructions.len() > 2000, "{}", filter.instructions.len());
    for number in 0..480 {
        let n = calls
            .iter()
            .position(|(_, numbers)| numbers.contains(&Some(number)))
            .unwrap_or_default();
        for value in [0, n as u64 * 0x1_0000_0001] {
            for call in [Call::wide(number, [value; 6]), Call::narrow(number, [value; 6])] {
                assert_eq!(run(&filter, call), judge(&profile, call), "{call:?}");
            }
        }
    }
}
