//! One method per system call that a program can make. Each takes typed arguments, the reason last, and returns a
//! [`Register`] where the call makes a descriptor. The manual page of the same name says what the call does.

use std::borrow::Cow;

use super::flags::{Names, clone};
use super::instruction::Failure;
use super::{Argument as Arg, Call, Fd, Input, Program, Register, Success};
use crate::kernel::memory::bytes_of;

/// Names a system call as the manual does, with its number.
macro_rules! call {
    ($name:literal, $number:ident) => {
        Call {
            name: $name,
            number: libc::$number as u16,
        }
    };
}

/// Defines methods that make one call each: `name(typed parameters) = call(arguments)`.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $method:ident($($parameter:ident: $type:ty),*) = $name:literal $number:ident $arguments:expr;)*) => {
        impl Program {
            $($(#[$doc])*
            pub fn $method(&mut self, $($parameter: $type,)* why: impl Into<Cow<'static, str>>) {
                self.push(call!($name, $number), $arguments.into(), Success::Required, why);
            })*
        }
    };
}

mod files;
mod interfaces;
mod mounts;
mod process;

pub use mounts::{MountChange, show as show_change};
pub use process::{CapabilitySets, Schedule};

/// The errors after which the next candidate along PATH is tried, as execvp(3) does.
const NEXT_CANDIDATE: &[u8] = &[libc::ENOENT as u8, libc::EACCES as u8, libc::ENOTDIR as u8];

fn flags(value: u64, names: &'static Names) -> Arg {
    Arg::Flags(value, names)
}

fn fd(fd: impl Into<Fd>) -> Arg {
    Arg::Fd(fd.into())
}

impl Program {
    /// Makes a call whose result later steps use as `name`.
    fn keeping(
        &mut self,
        call: Call,
        name: impl Into<Cow<'static, str>>,
        arguments: Vec<Arg>,
        why: impl Into<Cow<'static, str>>,
    ) -> Register {
        self.push(call, arguments, Success::Required, why);
        self.keep(name)
    }

    /// Has a copy of init, a child of whoever started init, take the steps that follow, in new namespaces (`CLONE_NEW…` flags).
    pub fn fork(&mut self, namespaces: u64, why: impl Into<Cow<'static, str>>) {
        let flags = flags(clone::PARENT | namespaces, clone::NAMES);
        let arguments = vec![flags, Arg::Null, Arg::Null, Arg::Null, Arg::Int(0)];
        self.push(call!("clone", SYS_clone), arguments, Success::Forking, why);
    }

    /// Has a child of init take the steps that follow, while init itself passes on signals and reaps for as long as that child lives.
    pub fn stay(&mut self, why: impl Into<Cow<'static, str>>) {
        let arguments = vec![Arg::Int(libc::SIGCHLD.into()), Arg::Null, Arg::Null, Arg::Null, Arg::Int(0)];
        self.push(call!("clone", SYS_clone), arguments, Success::Staying, why);
    }

    /// Waits for a byte.
    pub fn wait(&mut self, input: Input, why: impl Into<Cow<'static, str>>) {
        let arguments = vec![fd(Fd::Given(input)), Arg::Buffer(1), Arg::Int(1)];
        self.push(call!("read", SYS_read), arguments, Success::Awaiting, why);
    }

    /// Tells whoever reads init's reports that it has come so far.
    pub fn tell(&mut self, why: impl Into<Cow<'static, str>>) {
        let report = Failure {
            step: self.steps().len() as u32,
            errno: 0,
        };
        let report = Arg::structure(bytes_of(&report).to_vec(), format!("{{step {}, reached}}", report.step + 1));
        let length = Arg::Int(size_of::<Failure>() as i64);
        self.push(
            call!("write", SYS_write),
            vec![fd(Fd::Given(Input::Report)), report, length],
            Success::Required,
            why,
        );
    }

    /// Waits until somebody connects to a socket, and reports to them from then on.
    pub fn wait_for_start(&mut self, why: impl Into<Cow<'static, str>>) {
        let cloexec = flags(super::flags::socket::CLOEXEC, super::flags::socket::NAMES);
        let accept = vec![fd(Fd::Given(Input::Start)), Arg::Null, Arg::Null, cloexec];
        let starter = self.keeping(call!("accept4", SYS_accept4), "starter", accept, why);
        for (input, why) in [
            (Input::Report, "whoever starts the command learns what becomes of it"),
            (Input::Release, "and can hold it up once more"),
        ] {
            let cloexec = flags(super::flags::open::CLOEXEC, super::flags::open::NAMES);
            let redirect = vec![fd(starter), fd(Fd::Given(input)), cloexec];
            self.push(call!("dup3", SYS_dup3), redirect, Success::Required, why);
        }
    }

    /// Executes the first of `candidates` that exists and can be executed. Nothing follows it.
    pub fn execute(&mut self, candidates: &[Vec<u8>], arguments: &[Vec<u8>], environment: &[Vec<u8>]) {
        for (n, candidate) in candidates.iter().enumerate() {
            let last = n + 1 == candidates.len();
            let success = if last {
                Success::Trying(&[])
            } else {
                Success::Trying(NEXT_CANDIDATE)
            };
            let why = if n == 0 {
                "become the user's command"
            } else {
                "the command may be the next one along PATH"
            };
            let list = vec![
                Arg::text(candidate),
                Arg::List(arguments.into()),
                Arg::List(environment.into()),
            ];
            self.push(call!("execve", SYS_execve), list, success, why);
        }
    }

    /// Executes an open file. Nothing follows it.
    pub fn execute_file(&mut self, file: Input, arguments: &[Vec<u8>], environment: &[Vec<u8>], why: &'static str) {
        let list = vec![
            fd(Fd::Given(file)),
            Arg::text(""),
            Arg::List(arguments.into()),
            Arg::List(environment.into()),
            flags(super::flags::at::EMPTY_PATH, super::flags::at::NAMES),
        ];
        self.push(call!("execveat", SYS_execveat), list, Success::Trying(&[]), why);
    }
}
