//! From `process` of the configuration to what the kernel is told: numbers for names, and what this host cannot give left out with a
//! warning.

use std::fs;

use super::config::{Config, wrong};
use super::lists;
use super::process::{Capabilities as Names, Process as Configured, Rlimit};
use super::tree::Tree;
use crate::error::{Error, Kind, Result};
use crate::isolation::{self, Capabilities, Command, Host, Identity, Labels, Process, Scheduling, Ulimit};
use crate::layer::View;
use crate::program::Schedule;
use crate::program::flags::{Names as Flags, schedule};

/// What a process of the configuration becomes.
pub struct Becoming {
    pub process: Process,
    pub scheduling: Scheduling,
    pub oom_score: Option<i32>,
    pub command: Command,
}

/// Reads `process`. What the host cannot give is left out, and said.
pub fn read(process: &Configured, config: &Config, host: &Host, warnings: &mut Vec<String>) -> Result<Becoming> {
    let bytes = |texts: &[String]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let limits = process.rlimits.iter().enumerate();
    let limits = limits
        .map(|(n, limit)| read_limit(n, limit, warnings))
        .collect::<Result<_>>()?;
    let user = &process.user;
    let read = Becoming {
        process: Process {
            identity: Identity {
                user: user.uid,
                group: user.gid,
                groups: user.additional_gids.clone(),
                home: Vec::new(),
            },
            umask: user.umask.unwrap_or(0o022),
            capabilities: read_capabilities(process.capabilities.as_ref(), host, warnings),
            no_new_privileges: process.no_new_privileges,
            filter: config.linux.seccomp.as_ref().map(isolation::compile_profile).transpose()?,
            limits,
            keeps_groups: config.denies_groups(),
            labels: Labels::of(&process.apparmor_profile, &process.selinux_label)
                .map_err(|error| wrong("process.apparmorProfile", error))?,
        },
        scheduling: read_scheduling(process, config)?,
        oom_score: oom_score(process, warnings),
        command: Command {
            arguments: bytes(&process.args),
            environment: environment(&process.env),
        },
    };
    isolation::check_filter(&read.process).map_err(|error| wrong("linux.seccomp", error))?;
    Ok(read)
}

/// The lines of an environment, of which the last counts where a name is there twice.
fn environment(lines: &[String]) -> Vec<Vec<u8>> {
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_string();
    let is_last = |(n, line): &(usize, &String)| lines[n + 1..].iter().all(|later| name(later) != name(line));
    let kept = lines.iter().enumerate().filter(is_last);
    kept.map(|(_, line)| line.as_bytes().to_vec()).collect()
}

/// Gives the command `HOME`, if its environment does not, as the root's own user database knows it.
pub fn add_home(command: &mut Command, root: &View, user: u32) -> Result<()> {
    const LARGEST: u64 = 16 << 20;
    if command.environment.iter().any(|line| line.starts_with(b"HOME=")) {
        return Ok(());
    }
    let users = isolation::Users {
        passwd: root.read(b"/etc/passwd", LARGEST)?.unwrap_or_default(),
        group: Vec::new(),
    };
    let home = users.find(&user.to_string()).map_or(b"/".to_vec(), |identity| identity.home);
    command.environment.push([b"HOME=", &home[..]].concat());
    Ok(())
}

fn read_capabilities(names: Option<&Names>, host: &Host, warnings: &mut Vec<String>) -> Capabilities {
    let Some(names) = names else { return Capabilities::default() };
    let mut unknown: Vec<String> = Vec::new();
    let mut read = |names: &[String]| {
        let mut set = 0;
        for name in names {
            match isolation::parse_capability(name) {
                Ok(bit) => set |= bit,
                Err(_) if !unknown.contains(name) => unknown.push(name.clone()),
                Err(_) => {}
            }
        }
        set
    };
    let sets = Capabilities {
        bounding: read(&names.bounding),
        effective: read(&names.effective),
        permitted: read(&names.permitted),
        inheritable: read(&names.inheritable),
        ambient: read(&names.ambient),
    };
    if !unknown.is_empty() {
        warnings.push(format!(
            "ignoring unknown or unavailable capabilities: [{}]",
            unknown.join(" ")
        ));
    }
    let missing = isolation::capability_names((sets.bounding | sets.permitted) & !host.bounding & ((1 << host.capabilities) - 1));
    if !missing.is_empty() {
        warnings.push(format!("this process has not got {} to give", missing.join(", ")));
    }
    sets
}

fn read_limit(n: usize, limit: &Rlimit, warnings: &mut Vec<String>) -> Result<Ulimit> {
    let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or("").to_ascii_lowercase();
    let text = format!("{name}={}:{}", limit.soft, limit.hard);
    let read = Ulimit::parse(&text).map_err(|error| wrong(&format!("process.rlimits[{n}]"), error))?;
    let (possible, warning) = read.possible();
    warnings.extend(warning);
    Ok(possible)
}

fn read_scheduling(process: &Configured, config: &Config) -> Result<Scheduling> {
    let io_priority = match &process.io_priority {
        None => None,
        Some(io) => {
            let class = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
                .iter()
                .position(|name| *name == io.class);
            let class = class.ok_or_else(|| wrong("process.ioPriority.class", format!("there is no `{}`", io.class)))?;
            let level = u8::try_from(io.priority).ok().filter(|level| *level < 8);
            let level = level.ok_or_else(|| wrong("process.ioPriority.priority", "is not one of 0 to 7"))?;
            Some((class as u8 + 1, level))
        }
    };
    Ok(Scheduling {
        io_priority,
        schedule: read_schedule(process)?,
        personality: read_personality(config)?,
        memory_policy: read_memory_policy(config)?,
        processors: None,
    })
}

fn read_schedule(process: &Configured) -> Result<Option<Schedule>> {
    let Some(asked) = &process.scheduler else { return Ok(None) };
    let names: &Flags = schedule::NAMES;
    let policy = (0..8).find(|n| names.name(*n) == Some(asked.policy.as_str()));
    let policy = policy.ok_or_else(|| wrong("process.scheduler.policy", format!("there is no `{}`", asked.policy)))?;
    const FLAGS: [(&str, u64); 7] = [
        ("SCHED_FLAG_RESET_ON_FORK", 1),
        ("SCHED_FLAG_RECLAIM", 2),
        ("SCHED_FLAG_DL_OVERRUN", 4),
        ("SCHED_FLAG_KEEP_POLICY", 8),
        ("SCHED_FLAG_KEEP_PARAMS", 0x10),
        ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
        ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
    ];
    let mut flags = 0;
    for (n, name) in asked.flags.iter().enumerate() {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        flags |= known
            .ok_or_else(|| wrong(&format!("process.scheduler.flags[{n}]"), format!("there is no `{name}`")))?
            .1;
    }
    if (asked.deadline != 0 && asked.runtime > asked.deadline) || (asked.period != 0 && asked.deadline > asked.period) {
        return Err(wrong("process.scheduler", "runtime, deadline and period must not decrease"));
    }
    Ok(Some(Schedule {
        policy: policy as u32,
        flags,
        nice: asked.nice,
        priority: asked.priority,
        runtime: asked.runtime,
        deadline: asked.deadline,
        period: asked.period,
    }))
}

/// The domains of personality(2).
const LINUX: u64 = 0;
const LINUX32: u64 = 8;

fn read_personality(config: &Config) -> Result<Option<u64>> {
    let Some(asked) = &config.linux.personality else {
        return Ok(None);
    };
    if !asked.flags.is_empty() {
        return Err(wrong("linux.personality.flags", "there are none"));
    }
    match asked.domain.as_str() {
        "LINUX" => Ok(Some(LINUX)),
        "LINUX32" => Ok(Some(LINUX32)),
        other => Err(wrong("linux.personality.domain", format!("there is no `{other}`"))),
    }
}

fn read_memory_policy(config: &Config) -> Result<Option<(i64, Vec<u32>)>> {
    let Some(asked) = &config.linux.memory_policy else {
        return Ok(None);
    };
    const MODES: [&str; 7] = [
        "MPOL_DEFAULT",
        "MPOL_PREFERRED",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_LOCAL",
        "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ];
    const FLAGS: [(&str, i64); 3] = [
        ("MPOL_F_NUMA_BALANCING", 1 << 13),
        ("MPOL_F_RELATIVE_NODES", 1 << 14),
        ("MPOL_F_STATIC_NODES", 1 << 15),
    ];
    let mode = MODES.iter().position(|mode| *mode == asked.mode);
    let mut mode = mode.ok_or_else(|| wrong("linux.memoryPolicy.mode", format!("there is no `{}`", asked.mode)))? as i64;
    for (n, name) in asked.flags.iter().enumerate() {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        mode |= known
            .ok_or_else(|| wrong(&format!("linux.memoryPolicy.flags[{n}]"), format!("there is no `{name}`")))?
            .1;
    }
    let nodes = lists::parse(&asked.nodes).ok_or_else(|| wrong("linux.memoryPolicy.nodes", "is no list such as `0-1,3`"))?;
    Ok(Some((mode, nodes)))
}

/// Checks that there is a command to execute. Engines tell a container that cannot be started by what `create` says.
pub fn check_command(command: &Command, tree: &Tree, directory: &str) -> Result<()> {
    let mut found = None;
    for candidate in command.candidates() {
        let path = [directory.as_bytes(), b"/", &candidate].concat();
        let path = if candidate.starts_with(b"/") { candidate } else { path };
        let mode = tree.mode(&path)?;
        found = found.or(mode);
        if mode.is_some_and(|mode| mode & libc::S_IFMT == libc::S_IFREG && mode & 0o111 != 0) {
            return Ok(());
        }
    }
    let name = String::from_utf8_lossy(&command.arguments[0]).into_owned();
    let error = match found {
        None => Error::new(
            Kind::CommandNotFound,
            "executable file not found in $PATH: no such file or directory",
        ),
        Some(_) => Error::new(Kind::CommandNotExecutable, "permission denied"),
    };
    Err(error.doing(format!("execute `{name}`")))
}

/// How soon the process is killed when memory is short, if that is to be changed. Who may not make it less likely than its own
/// (capabilities(7), `CAP_SYS_RESOURCE`) goes without.
fn oom_score(process: &Configured, warnings: &mut Vec<String>) -> Option<i32> {
    let asked = process.oom_score_adj?;
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/self/{name}"))
            .ok()?
            .trim()
            .parse::<i32>()
            .ok()
    };
    let own = read("oom_score_adj").unwrap_or(0);
    if asked < own && !isolation::may(crate::program::flags::capability::SYS_RESOURCE) {
        warnings.push(format!(
            "this process may not lower `process.oomScoreAdj` to {asked}: it stays {own}"
        ));
        return None;
    }
    Some(asked)
}

/// An error of a command that cannot be executed, in the words that engines look for.
pub fn explain(error: Error) -> Error {
    match error.kind {
        Kind::CommandNotFound => Error::new(
            Kind::CommandNotFound,
            "executable file not found in $PATH: no such file or directory",
        )
        .doing(error),
        _ => error,
    }
}
