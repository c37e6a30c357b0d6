//! How the kernel treats a process beside others: its share of processors, disks and memory nodes, and whom it kills first.

use crate::program::flags::open;
use crate::program::{Concept, Fd, Program, Schedule};

/// What is asked for; what is not is as for any process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    pub schedule: Option<Schedule>,
    /// A class and a level in it (ioprio_set(2)).
    pub io_priority: Option<(u8, u8)>,
    /// A domain and its flags (personality(2)).
    pub personality: Option<u64>,
    /// A mode with its flags, and the nodes (set_mempolicy(2)).
    pub memory_policy: Option<(i64, Vec<u32>)>,
    /// The processors it may run on.
    pub processors: Option<Vec<u32>>,
}

/// Writes the steps that say how the process and what it starts are treated.
pub fn schedule(program: &mut Program, scheduling: &Scheduling) {
    program.concept(Concept::ProcessIsolation);
    if let Some((class, level)) = scheduling.io_priority {
        program.ioprio_set(class, level, "its disk accesses among those of others");
    }
    if let Some((mode, nodes)) = &scheduling.memory_policy {
        program.set_mempolicy(*mode, bits(nodes), format!("{nodes:?}"), "where its memory comes from");
    }
    if let Some(schedule) = &scheduling.schedule {
        program.schedule(schedule, "when it runs, among others");
    }
    if let Some(processors) = &scheduling.processors {
        program.sched_setaffinity(bits(processors), format!("{processors:?}"), "where it runs");
    }
    if let Some(domain) = scheduling.personality {
        program.personality(domain, "the kernel as its programs expect it");
    }
}

/// Writes the steps that say how soon the process is killed when memory is short (proc_pid_oom_score_adj(5)).
pub fn prefer_to_kill(program: &mut Program, adjustment: i32) {
    program.concept(Concept::ResourceLimits);
    let file = program.open(
        Fd::Cwd,
        b"/proc/self/oom_score_adj",
        open::WRONLY,
        "how soon it is killed when memory is short",
    );
    program.write(file, &adjustment.to_string(), "as the user asked");
}

/// A set of numbers as bits, in whole words of 8 bytes.
fn bits(numbers: &[u32]) -> Vec<u8> {
    let words = numbers.iter().max().map_or(0, |largest| *largest as usize / 64 + 1);
    let mut bits = vec![0; words * 8];
    for number in numbers {
        bits[*number as usize / 8] |= 1 << (number % 8);
    }
    bits
}
