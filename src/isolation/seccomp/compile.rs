//! Compiles a profile, with the meaning that libseccomp, and with it runc and crun, gives to what the specification leaves open:
//!
//! - A rule whose action is the default action is left out.
//! - A rule without conditions overrides all others about its call, wherever it stands; the first of several counts.
//! - Rules with conditions are tried from the most to the least particular one, in whatever order they are written.
//! - A rule with several conditions on one argument is as many rules.
//! - Unknown names are left out: a profile is written for many kernels. Instead, calls newer than all that it names do not exist.
//! - 32-bit calls that are made by way of `socketcall` and `ipc` are meant, too, and of arguments the lower half.

use std::collections::{BTreeMap, HashMap};

use super::Filter;
use super::assemble::{NARROW, WIDE, Way, action, assemble};
use super::decision::{Condition, Decision, Rule, Test};
use super::names::{self, Numbers};
use super::profile::{self, Profile, Syscall, X32, X86};
use crate::error::{Error, Result};

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;
/// The most conditions on one call, which are placed by recursion.
const DEEPEST: usize = 512;

const ENOSYS: u32 = 38;
/// The bit that x32 calls have in their number.
const X32_BIT: u32 = 0x4000_0000;
const NEW_LISTENER: u32 = 8;
const TSYNC: u32 = 1;
/// Has seccomp(2) fail in another way, since with a listener its result is a descriptor.
const TSYNC_ESRCH: u32 = 16;

/// Makes the filter that a profile describes.
pub fn compile(profile: &Profile) -> Result<Filter> {
    profile.check("linux.seccomp.")?;
    let calls = names::all();
    let listed = |name: &str| profile.architectures.iter().any(|architecture| architecture == name);
    let wide = Table::of(profile, &calls, 0)?;
    let mut ranges = wide.ranges(0);
    if listed(X32) {
        ranges.extend(Table::of(profile, &calls, 2)?.ranges(X32_BIT));
    } else {
        ranges.push((X32_BIT, Decision::always(action::KILL_PROCESS)));
        // A tracer makes this the number of a call to have it skipped.
        ranges.push((u32::MAX, Decision::always(wide.default)));
    }
    let mut ways = vec![Way {
        architecture: WIDE,
        ranges,
    }];
    if listed(X86) {
        ways.push(Way {
            architecture: NARROW,
            ranges: Table::of(profile, &calls, 1)?.ranges(0),
        });
    }
    let instructions = assemble(&ways);
    if instructions.len() > LONGEST {
        let what = format!(
            "the filter has {} instructions, and the kernel takes {LONGEST}",
            instructions.len()
        );
        return Err(Error::invalid(format!("`linux.seccomp.syscalls`: {what}")));
    }
    let mut flags = profile.flag_bits();
    if profile.notifies() {
        flags |= NEW_LISTENER | if flags & TSYNC != 0 { TSYNC_ESRCH } else { 0 };
    }
    Ok(Filter {
        instructions,
        flags,
        notifies: profile.notifies(),
    })
}

/// The rules about the calls that come one way.
struct Table {
    rules: BTreeMap<u32, Vec<Rule>>,
    default: u32,
    /// What becomes of calls that are newer than all that the profile names, from this number on.
    newer: Option<(u32, u32)>,
}

impl Table {
    fn of(profile: &Profile, calls: &HashMap<&str, Numbers>, way: usize) -> Result<Table> {
        let default = profile::action_of(&profile.default_action, profile.default_errno_ret).expect("a checked profile");
        let mut table = Table {
            rules: BTreeMap::new(),
            default,
            newer: None,
        };
        let number = |name: &str| calls.get(name).and_then(|numbers| numbers[way]);
        for call in &profile.syscalls {
            let rules = rules(call, way == 0);
            for name in &call.names {
                if let Some((through, mask, value)) = names::multiplexed(name).filter(|_| way == 1) {
                    let rules = rules.iter().map(|rule| rule.through(mask, value));
                    table.add(through, number(through).expect("a known call"), rules)?;
                }
                if let Some(number) = number(name) {
                    table.newer = table.newer.max(Some((number + 1, action::ERRNO | ENOSYS)));
                    table.add(name, number, rules.iter().cloned())?;
                }
            }
        }
        // Where calls are allowed unless a rule says otherwise, newer ones are as well.
        table.newer = table
            .newer
            .filter(|_| !matches!(default & 0xffff_0000, action::ALLOW | action::LOG | action::TRACE));
        Ok(table)
    }

    fn add(&mut self, name: &str, number: u32, rules: impl Iterator<Item = Rule>) -> Result<()> {
        let default = self.default;
        let all = self.rules.entry(number).or_default();
        all.extend(rules.filter(|rule| rule.action != default));
        if all.iter().map(|rule| rule.conditions.len()).sum::<usize>() > DEEPEST {
            let what = format!("there are more than {DEEPEST} conditions on `{name}`");
            return Err(Error::invalid(format!("`linux.seccomp.syscalls`: {what}")));
        }
        Ok(())
    }

    /// The decisions on ranges of numbers, which begin at `base`.
    fn ranges(&self, base: u32) -> Vec<(u32, Decision)> {
        let mut ranges = vec![(base, Decision::always(self.default))];
        let mut put = |first: u32, decision: Decision| {
            if ranges.last().is_some_and(|(last, _)| *last == first) {
                ranges.pop();
            }
            if ranges.last().is_none_or(|(_, last)| *last != decision) {
                ranges.push((first, decision));
            }
        };
        for (number, rules) in &self.rules {
            put(base + number, decide(rules, self.default));
            put(base + number + 1, Decision::always(self.default));
        }
        if let Some((number, action)) = self.newer {
            put(base + number, Decision::always(action));
        }
        ranges
    }
}

/// The rules for each of a group's calls.
fn rules(call: &Syscall, wide: bool) -> Vec<Rule> {
    let action = profile::action_of(&call.action, call.errno_ret).expect("a checked profile");
    let condition = |argument: &profile::Argument| {
        let (test, value, not) = argument.test().expect("a checked profile");
        Condition {
            argument: argument.index,
            wide,
            test,
            value,
            not,
        }
    };
    let mut conditions: Vec<_> = call.args.iter().map(condition).collect();
    conditions.sort_by_key(|condition| condition.argument);
    let twice = conditions.windows(2).any(|pair| pair[0].argument == pair[1].argument);
    let groups: Vec<_> = if twice {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![conditions]
    };
    let rule = |mut conditions: Vec<Condition>| {
        conditions.retain(|condition| !condition.holds_always());
        Rule { conditions, action }
    };
    groups.into_iter().map(rule).collect()
}

/// Puts the rules about one call in the order in which they are tried.
fn decide(rules: &[Rule], default: u32) -> Decision {
    if let Some(rule) = rules.iter().find(|rule| rule.conditions.is_empty()) {
        return Decision::always(rule.action);
    }
    let mut rules = rules.to_vec();
    rules.sort_by(|a, b| {
        let pairs = a.conditions.iter().zip(&b.conditions);
        let differ = pairs.map(|(a, b)| b.rank().cmp(&a.rank())).find(|order| order.is_ne());
        differ.unwrap_or(a.conditions.len().cmp(&b.conditions.len()))
    });
    Decision {
        rules,
        otherwise: default,
    }
}

impl Rule {
    /// The same for a call that is made by way of another, whose first argument tells which one it is.
    fn through(&self, mask: u64, value: u64) -> Rule {
        let which = Condition {
            argument: 0,
            wide: false,
            test: Test::Masked(mask),
            value,
            not: false,
        };
        let others = self.conditions.iter().filter(|condition| condition.argument != 0).cloned();
        Rule {
            conditions: [which].into_iter().chain(others).collect(),
            action: self.action,
        }
    }
}

impl Condition {
    fn holds_always(&self) -> bool {
        let bits = if self.wide { u64::MAX } else { u32::MAX.into() };
        matches!(self.test, Test::Masked(mask) if mask & bits == 0)
    }

    /// How particular it is: one value before all up to a value before all from a value on, and those of later arguments first.
    fn rank(&self) -> (u32, u8, u64) {
        let value = if self.wide { self.value } else { self.value & 0xffff_ffff };
        match (self.test, self.not) {
            (Test::Equal | Test::Masked(_), _) => (self.argument, 3, value),
            (_, true) => (self.argument, 2, !value),
            (_, false) => (self.argument, 1, value),
        }
    }
}
