//! A filter as the OCI runtime specification describes it (`config-linux.md`, "Seccomp").

use serde::{Deserialize, Deserializer, Serialize};

use super::assemble::action;
use super::decision::Test;
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    pub default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Syscall>,
}

/// What becomes of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall {
    #[serde(deserialize_with = "or_nothing")]
    pub names: Vec<String>,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
}

/// A condition on an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    pub index: u32,
    pub value: u64,
    #[serde(default)]
    pub value_two: u64,
    pub op: String,
}

/// Reads a list that may also be `null`, as programs in Go write an empty one.
pub fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> std::result::Result<Vec<T>, D::Error> {
    Option::deserialize(input).map(Option::unwrap_or_default)
}

const EPERM: u32 = 1;

/// The ways into the kernel that this machine has.
pub const X86_64: &str = "SCMP_ARCH_X86_64";
pub const X86: &str = "SCMP_ARCH_X86";
pub const X32: &str = "SCMP_ARCH_X32";

/// The ways of other machines, which may be listed, too.
const FOREIGN: &str = "ARM AARCH64 LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 PPC PPC64 \
    PPC64LE RISCV64 S390 S390X SH SHEB";

/// The flags of seccomp(2) that a profile can name.
const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 1),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE),
];
const WAIT_KILLABLE: u32 = 0x20;

impl Profile {
    /// Whether there is nothing in it, which means no filter.
    pub fn is_empty(&self) -> bool {
        self.default_action.is_empty() && self.syscalls.is_empty()
    }

    /// Whether some calls are left to a program outside of the container.
    pub fn notifies(&self) -> bool {
        self.syscalls.iter().any(|call| call.action == "SCMP_ACT_NOTIFY")
    }

    /// The flags for seccomp(2).
    pub fn flag_bits(&self) -> u32 {
        let known = FLAGS.iter().filter(|(name, _)| self.flags.iter().any(|flag| flag == name));
        known.fold(0, |bits, (_, bit)| bits | bit)
    }

    /// Whether it can be compiled. Errors name the field, as a field of `prefix`.
    pub fn check(&self, prefix: &str) -> Result<()> {
        let wrong = |field: &str, what: &str| Err(Error::invalid(format!("`{prefix}{field}`: {what}")));
        check_action(
            &format!("{prefix}default"),
            "Action",
            &self.default_action,
            "ErrnoRet",
            self.default_errno_ret,
        )?;
        if self.default_action == "SCMP_ACT_NOTIFY" {
            return wrong("defaultAction", "not every call can be left to another program");
        }
        for (n, name) in self.architectures.iter().enumerate() {
            let short = name.strip_prefix("SCMP_ARCH_").unwrap_or_default();
            if ![X86_64, X86, X32].contains(&name.as_str()) && FOREIGN.split(' ').all(|foreign| foreign != short) {
                return wrong(&format!("architectures[{n}]"), &format!("unknown architecture `{name}`"));
            }
        }
        for (n, flag) in self.flags.iter().enumerate() {
            if FLAGS.iter().all(|(name, _)| name != flag) {
                return wrong(&format!("flags[{n}]"), &format!("unknown flag `{flag}`"));
            }
        }
        for (n, call) in self.syscalls.iter().enumerate() {
            call.check(&format!("{prefix}syscalls[{n}]."))?;
        }
        match (self.notifies(), self.listener_path.is_empty()) {
            (true, true) => wrong("listenerPath", "is missing, and `SCMP_ACT_NOTIFY` needs it"),
            (_, true) if !self.listener_metadata.is_empty() => wrong("listenerMetadata", "is nothing without `listenerPath`"),
            (false, _) if self.flag_bits() & WAIT_KILLABLE != 0 => wrong("flags", "nothing notifies, so nothing waits"),
            _ => Ok(()),
        }
    }
}

impl Syscall {
    fn check(&self, prefix: &str) -> Result<()> {
        let wrong = |field: &str, what: &str| Err(Error::invalid(format!("`{prefix}{field}`: {what}")));
        if self.names.is_empty() {
            return wrong("names", "names no system call");
        }
        if let Some(n) = self.names.iter().position(String::is_empty) {
            return wrong(&format!("names[{n}]"), "is empty");
        }
        check_action(prefix, "action", &self.action, "errnoRet", self.errno_ret)?;
        for (n, argument) in self.args.iter().enumerate() {
            if argument.index > 5 {
                return wrong(&format!("args[{n}].index"), "a system call has six arguments, from 0 to 5");
            }
            if argument.test().is_none() {
                let unknown = format!("unknown operator `{}`", argument.op);
                return wrong(&format!("args[{n}].op"), &unknown);
            }
        }
        Ok(())
    }
}

impl Argument {
    /// The test that the operator means, the value to test with, and whether the test has to fail.
    pub fn test(&self) -> Option<(Test, u64, bool)> {
        Some(match self.op.as_str() {
            "SCMP_CMP_EQ" => (Test::Equal, self.value, false),
            "SCMP_CMP_NE" => (Test::Equal, self.value, true),
            "SCMP_CMP_GT" => (Test::Above, self.value, false),
            "SCMP_CMP_LE" => (Test::Above, self.value, true),
            "SCMP_CMP_GE" => (Test::AtLeast, self.value, false),
            "SCMP_CMP_LT" => (Test::AtLeast, self.value, true),
            "SCMP_CMP_MASKED_EQ" => (Test::Masked(self.value), self.value_two & self.value, false),
            _ => return None,
        })
    }
}

/// What a filter returns for an action with an error.
pub fn action_of(name: &str, error: Option<u32>) -> Option<u32> {
    let error = error.unwrap_or(EPERM);
    Some(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => action::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => action::KILL_PROCESS,
        "SCMP_ACT_TRAP" => action::TRAP,
        "SCMP_ACT_ERRNO" => action::ERRNO | error,
        "SCMP_ACT_TRACE" => action::TRACE | error,
        "SCMP_ACT_NOTIFY" => action::NOTIFY,
        "SCMP_ACT_LOG" => action::LOG,
        "SCMP_ACT_ALLOW" => action::ALLOW,
        _ => return None,
    })
}

fn check_action(prefix: &str, field: &str, name: &str, error_field: &str, error: Option<u32>) -> Result<()> {
    if action_of(name, None).is_none() {
        return Err(Error::invalid(format!("`{prefix}{field}`: unknown action `{name}`")));
    }
    let what = match error {
        Some(_) if !["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"].contains(&name) => format!("`{name}` returns no error"),
        Some(error) if error > 0xffff => format!("`{error}` is no error"),
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("`{prefix}{error_field}`: {what}")))
}
