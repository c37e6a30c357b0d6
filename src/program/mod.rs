//! A container as data: the ordered list of system calls that turns a fresh process into a container.
//!
//! Each concept writes its part of a container as [`Step`]s: one system call each, with its arguments, the concept it
//! belongs to and the reason it is there. Nothing here touches the system, so a program can be printed
//! ([`explain`](crate::program::explain)), compared and checked without being run. [`encode`](Program::encode) turns it
//! into the bytes that init executes (see `init/main.rs`).
//!
//! A step that makes a descriptor returns a [`Register`] for later steps to use:
//!
//! ```text
//! let fs = p.fsopen("proc", "…");
//! p.fsconfig_create(fs, "…");
//! let mount = p.fsmount(fs, mount_attr::NOSUID, "…");
//! p.move_mount(mount, Fd::Kept(rootfs), "proc", "…");
//! ```
//!
//! There are no branches and no loops. Whatever needs thought is thought while the program is written.

mod argument;
mod calls;
mod data;
mod encode;
pub mod explain;
pub mod flags;
mod here;
mod image;
#[path = "../../init/instruction.rs"]
mod instruction;
mod report;
mod wires;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use argument::Argument;
pub use calls::{CapabilitySets, MountChange, Schedule};
pub use data::Data;
pub use encode::Descriptors;
pub use here::Kept;
pub use image::Image;
use instruction::Failure;
pub use instruction::Timing;
pub use report::{Report, Tail};
pub use wires::{Letter, Wires, pipe};

/// What a container is made of, and a step of it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concept {
    ProcessIsolation,
    ResourceLimits,
    FileSystemLayering,
    BridgeNetworking,
    BaseImages,
}

impl Concept {
    /// The concept's name as a reader knows it.
    pub fn name(self) -> &'static str {
        match self {
            Concept::ProcessIsolation => "process isolation",
            Concept::ResourceLimits => "resource limits",
            Concept::FileSystemLayering => "file system layering",
            Concept::BridgeNetworking => "bridge networking",
            Concept::BaseImages => "base image management",
        }
    }
}

/// A system call: its name in the manual and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: &'static str,
    pub number: u16,
}

/// What counts as a step's success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// Any error ends the program.
    Required,
    /// These errors, as errno(3) numbers, are as good as success.
    Forgiving(&'static [u8]),
    /// The call must return more than 0: a byte arrived, the writer did not just die.
    Awaiting,
    /// The call makes a copy of init, which takes the steps that follow, while init itself tells which process that is, and ends.
    Forking,
    /// The same, but init itself stays as the first process, which passes on signals and reaps.
    Staying,
    /// These errors lead to the next step, which tries another candidate.
    Trying(&'static [u8]),
}

/// One system call of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub concept: Concept,
    pub call: Call,
    pub arguments: Vec<Argument>,
    pub success: Success,
    /// The name of the descriptor the call returns, where a later step uses it.
    pub keeps: Option<Cow<'static, str>>,
    /// Why the step is there, as a clause without a full stop.
    pub why: Cow<'static, str>,
}

/// The descriptor that a step returned: the index of that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(usize);

/// A descriptor that init has from its start, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Takes the report of the step that failed; closes by itself when the user's command is executed.
    Report,
    /// Gives a byte when what the host does for the container is done.
    Release,
    /// Takes the terminal's other end.
    Console,
    Stdin,
    Stdout,
    Stderr,
    /// Refers to the process whose namespaces are entered.
    Target,
    /// A namespace to enter.
    Namespace(u8),
    /// The user namespace whose ids the container has.
    Users,
    /// Takes the connection of whoever starts the command.
    Start,
    /// A mount that whoever started init has made, attached nowhere.
    Mount(u16),
    /// The root, which is such a mount.
    Root,
    /// A file to execute.
    Executable,
}

/// A descriptor as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fd {
    /// The working directory (`AT_FDCWD`).
    Cwd,
    Given(Input),
    Kept(Register),
    Number(i32),
}

impl From<Register> for Fd {
    fn from(register: Register) -> Fd {
        Fd::Kept(register)
    }
}

impl From<Input> for Fd {
    fn from(input: Input) -> Fd {
        Fd::Given(input)
    }
}

/// An ordered list of steps.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Program {
    steps: Vec<Step>,
    concept: Option<Concept>,
    /// Steps, by their indices, whose failure is the user's mistake, with what that is about.
    asked: Vec<(usize, String)>,
}

impl Program {
    /// An empty one with room for so many steps, so that they need not be moved as they get more.
    pub fn with_room(steps: usize) -> Program {
        Program {
            steps: Vec::with_capacity(steps),
            ..Program::default()
        }
    }

    /// The steps in the order init takes them.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Says which concept the steps that follow belong to.
    pub fn concept(&mut self, concept: Concept) {
        self.concept = Some(concept);
    }

    /// Appends a step.
    fn push(&mut self, call: Call, arguments: Vec<Argument>, success: Success, why: impl Into<Cow<'static, str>>) {
        let concept = self.concept.expect("a program's first step follows its concept");
        self.steps.push(Step {
            concept,
            call,
            arguments,
            success,
            keeps: None,
            why: why.into(),
        });
    }

    /// Says what the user has asked for that a step opens: if it cannot, that is what the error names, instead of the step.
    pub fn asks(&mut self, opened: Register, what: String) {
        self.asked.push((opened.0, what));
    }

    /// Names the descriptor that the last step returns.
    fn keep(&mut self, name: impl Into<Cow<'static, str>>) -> Register {
        let index = self.steps.len() - 1;
        self.steps[index].keeps = Some(name.into());
        Register(index)
    }
}
