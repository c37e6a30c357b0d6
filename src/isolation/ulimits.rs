//! Limits of single processes: `--ulimit`, which the kernel calls resource limits (getrlimit(2)).

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::program::Program;

/// The names that Docker has, and `as`, with the kernel's.
static NAMES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// No limit (`RLIM_INFINITY`).
const UNLIMITED: u64 = u64::MAX;

/// A limit of every process of a container, in the resource's own unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ulimit {
    /// Its name and the kernel's.
    kind: &'static (&'static str, Resource),
    /// What is in force. Processes may raise it up to `hard`.
    soft: u64,
    hard: u64,
}

impl Ulimit {
    /// Reads `NAME=SOFT[:HARD]`, where `-1` or `unlimited` is no limit.
    pub fn parse(text: &str) -> Result<Ulimit> {
        let invalid = |what: &str| Error::invalid(format!("invalid ulimit `{text}`: {what}"));
        let (name, values) = text.split_once('=').ok_or_else(|| invalid("it is not NAME=SOFT[:HARD]"))?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let kind = known.ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name).join(" ");
            invalid(&format!("no resource is named `{name}`")).hint(format!("there are {names}"))
        })?;
        let number = |text: &str| match text {
            "-1" | "unlimited" => Ok(UNLIMITED),
            text => text.parse().map_err(|_| invalid(&format!("`{text}` is not a number"))),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let limit = Ulimit {
            kind,
            soft: number(soft)?,
            hard: number(hard)?,
        };
        if limit.soft > limit.hard {
            return Err(invalid("the soft limit is above the hard one"));
        }
        Ok(limit)
    }

    /// Its name, what is in force, and how far that may be raised.
    pub fn parts(&self) -> (&'static str, u64, u64) {
        (self.kind.0, self.soft, self.hard)
    }

    /// The same limit as far as this process can give it, and what is to be said if that is less. Who may not raise limits
    /// (capabilities(7), `CAP_SYS_RESOURCE`) can give no more than what it has.
    pub fn possible(self) -> (Ulimit, Option<String>) {
        let free = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
        let own = getrlimit(self.kind.1).maximum.unwrap_or(UNLIMITED);
        if free || self.hard <= own {
            return (self, None);
        }
        let warning = format!(
            "this process may not raise `{}`: containers get its own limit, {own}",
            self.kind.0
        );
        let (soft, hard) = (self.soft.min(own), own);
        (Ulimit { soft, hard, ..self }, Some(warning))
    }
}

impl TryFrom<String> for Ulimit {
    type Error = Error;

    fn try_from(text: String) -> Result<Ulimit> {
        Ulimit::parse(&text)
    }
}

impl From<Ulimit> for String {
    fn from(limit: Ulimit) -> String {
        let [soft, hard] = [limit.soft, limit.hard].map(|value| match value {
            UNLIMITED => "unlimited".to_string(),
            value => value.to_string(),
        });
        format!("{}={soft}:{hard}", limit.kind.0)
    }
}

/// Writes the steps that limit the process and all that it starts.
pub fn set(program: &mut Program, limits: &[Ulimit]) {
    for limit in limits {
        let why = format!("what `{}` each process may use", limit.kind.0);
        program.prlimit(limit.kind.1 as u64, limit.soft, limit.hard, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        for (text, soft, hard) in [
            ("nofile=1024", 1024, 1024),
            ("nofile=1024:2048", 1024, 2048),
            ("core=0:unlimited", 0, UNLIMITED),
            ("nproc=-1", UNLIMITED, UNLIMITED),
        ] {
            let limit = Ulimit::parse(text).unwrap();
            assert_eq!((limit.soft, limit.hard), (soft, hard), "{text}");
            assert_eq!(Ulimit::parse(&String::from(limit.clone())).unwrap(), limit);
        }
        for (text, what) in [
            ("nofile", "NAME=SOFT"),
            ("files=3", "no resource is named `files`"),
            ("nofile=many", "`many` is not a number"),
            ("nofile=2:1", "above the hard one"),
            ("nofile=", "`` is not a number"),
        ] {
            let error = Ulimit::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
