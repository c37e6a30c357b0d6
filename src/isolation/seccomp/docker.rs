//! Docker's profiles (`--security-opt seccomp=FILE`): those of the OCI specification, with rules that are only for some machines,
//! kernels or capabilities (moby/profiles, `seccomp/seccomp.go`).

use std::fs;

use serde::Deserialize;

use super::Seccomp;
use super::compile::compile;
use super::profile::{Profile, Syscall, X86_64, or_nothing};
use crate::error::{Doing, Error, Result};
use crate::isolation::host;
use crate::program::flags::capability as cap;

/// Docker's name of this machine.
const MACHINE: &str = "amd64";

/// What Docker's form adds to the specification's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Additions {
    #[serde(deserialize_with = "or_nothing")]
    arch_map: Vec<Machine>,
    #[serde(deserialize_with = "or_nothing")]
    syscalls: Vec<Limits>,
}

/// The ways into a kernel that one machine has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    architecture: String,
    #[serde(default, deserialize_with = "or_nothing")]
    sub_architectures: Vec<String>,
}

/// When a rule counts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Limits {
    /// The only name, in profiles of old.
    name: String,
    includes: Option<Circumstances>,
    excludes: Option<Circumstances>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Circumstances {
    #[serde(deserialize_with = "or_nothing")]
    caps: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    arches: Vec<String>,
    min_kernel: String,
}

/// Where a profile is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The container's capabilities, a bit each.
    pub capabilities: u64,
    /// The first two numbers of the kernel's release.
    pub release: (u32, u32),
}

/// What init still calls once it is filtered: after these, or if one fails, it is over.
const STILL_CALLED: [(&str, i64); 9] = [
    ("prctl", libc::SYS_prctl),
    ("setgroups", libc::SYS_setgroups),
    ("setresgid", libc::SYS_setresgid),
    ("setresuid", libc::SYS_setresuid),
    ("capset", libc::SYS_capset),
    ("close_range", libc::SYS_close_range),
    ("execve", libc::SYS_execve),
    ("write", libc::SYS_write),
    ("exit_group", libc::SYS_exit_group),
];

/// Reads the file of a profile for a container with these capabilities.
pub fn read(path: &str, capabilities: u64) -> Result<Seccomp> {
    let release = host::release();
    let place = Place { capabilities, release };
    let text = fs::read_to_string(path).doing(|| format!("seccomp profile `{path}`"))?;
    let profile = resolve(&text, place)
        .and_then(usable)
        .doing(|| format!("seccomp profile `{path}`"))?;
    Ok(Seccomp::Profile(Box::new(profile)))
}

/// Makes sure that a container starts with this profile.
fn usable(profile: Profile) -> Result<Profile> {
    if profile.is_empty() {
        return Ok(profile);
    }
    let filter = compile(&profile)?;
    if filter.notifies {
        return Err(Error::invalid("there is no program that could be notified of calls"));
    }
    match STILL_CALLED.iter().find(|(_, number)| !filter.permits(*number as u32)) {
        Some((name, _)) => {
            let hint = "allow it for all arguments; the calls of the command itself are filtered, too";
            Err(Error::invalid(format!("`{name}` is not allowed, and starting a container takes it")).hint(hint))
        }
        None => Ok(profile),
    }
}

/// Reads a profile in Docker's form, and resolves it for a place. Errors name the field.
pub fn resolve(text: &str, place: Place) -> Result<Profile> {
    let syntax = |error: serde_json::Error| Error::invalid(error);
    let mut profile: Profile = serde_json::from_str(text).map_err(syntax)?;
    let additions: Additions = serde_json::from_str(text).map_err(syntax)?;
    if profile.is_empty() {
        return Ok(profile);
    }
    if !profile.architectures.is_empty() && !additions.arch_map.is_empty() {
        return Err(Error::invalid("`archMap`: `architectures` is there, too"));
    }
    for machine in additions
        .arch_map
        .into_iter()
        .filter(|machine| machine.architecture == X86_64)
    {
        profile.architectures.push(machine.architecture);
        profile.architectures.extend(machine.sub_architectures);
    }
    let mut counts = Vec::new();
    for (n, (call, limits)) in profile.syscalls.iter_mut().zip(&additions.syscalls).enumerate() {
        counts.push(limits.apply(call, place, &format!("syscalls[{n}]."))?);
    }
    // All of it, before some is left out, so that rules have the numbers that they have in the file.
    profile.check("")?;
    let mut counts = counts.into_iter();
    profile.syscalls.retain(|_| counts.next() == Some(true));
    Ok(profile)
}

impl Limits {
    /// Whether a rule counts, whose name is completed.
    fn apply(&self, call: &mut Syscall, place: Place, prefix: &str) -> Result<bool> {
        if !self.name.is_empty() {
            if !call.names.is_empty() {
                return Err(Error::invalid(format!("`{prefix}name`: `names` is there, too")));
            }
            call.names.push(self.name.clone());
        }
        let release = |limits: &Option<Circumstances>, field: &str| match limits {
            Some(limits) if !limits.min_kernel.is_empty() => parse_release(&limits.min_kernel).map(Some).ok_or_else(|| {
                let what = format!("`{}` is not VERSION.REVISION", limits.min_kernel);
                Error::invalid(format!("`{prefix}{field}.minKernel`: {what}"))
            }),
            _ => Ok(None),
        };
        let (from, before) = (release(&self.includes, "includes")?, release(&self.excludes, "excludes")?);
        let here = |machine: &String| machine == MACHINE;
        let has = |name: &String| has(place.capabilities, name);
        let included = self
            .includes
            .as_ref()
            .is_none_or(|limits| (limits.arches.is_empty() || limits.arches.iter().any(here)) && limits.caps.iter().all(has));
        let excluded = self
            .excludes
            .as_ref()
            .is_some_and(|limits| limits.arches.iter().any(here) || limits.caps.iter().any(has));
        let in_time = from.is_none_or(|from| place.release >= from) && before.is_none_or(|before| place.release < before);
        Ok(included && !excluded && in_time)
    }
}

/// Whether a set of capabilities has one by its name. What is not known is not there.
fn has(capabilities: u64, name: &str) -> bool {
    (0..=cap::CHECKPOINT_RESTORE).any(|number| capabilities & (1 << number) != 0 && cap::NAMES.name(number) == Some(name))
}

fn parse_release(text: &str) -> Option<(u32, u32)> {
    let (version, revision) = text.split_once('.')?;
    Some((version.parse().ok()?, revision.parse().ok()?))
}
