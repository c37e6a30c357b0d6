//! The arguments of a step: what the kernel is given, in a form that can be shown.

use super::calls::{MountChange, show_change};
use super::flags::Names;
use super::{Fd, Program, Register};

/// One argument of a system call. A program has some thousand of them, so what is large and rare is kept elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    Int(i64),
    /// A set of flags, or one constant, shown by name.
    Flags(u64, &'static Names),
    /// A file mode, shown in octal.
    Mode(u32),
    Device {
        major: u32,
        minor: u32,
    },
    Fd(Fd),
    Null,
    /// A string; NUL-terminated in memory.
    Text(Box<[u8]>),
    /// A NULL-terminated array of strings, as `execve` takes them.
    List(Box<[Vec<u8>]>),
    /// A structure passed by address, and how it is shown.
    Struct(Box<(Vec<u8>, String)>),
    /// A filter of system calls: its instructions, 8 bytes each.
    Filter(Box<[u8]>),
    /// How a mount is changed, as a `struct mount_attr`.
    Mount(Box<MountChange>),
    /// Room for the kernel to write this many bytes into.
    Buffer(usize),
    /// A message without text that carries one descriptor (unix(7), `SCM_RIGHTS`).
    Message(Register),
}

const _: () = assert!(size_of::<Argument>() == 24);

impl Argument {
    pub fn text(text: impl AsRef<[u8]>) -> Argument {
        Argument::Text(text.as_ref().into())
    }

    pub fn structure(bytes: Vec<u8>, shown: impl Into<String>) -> Argument {
        Argument::Struct(Box::new((bytes, shown.into())))
    }

    /// The number that the kernel is given, where that does not depend on who takes the step.
    pub fn number(&self) -> Option<u64> {
        Some(match self {
            Argument::Int(n) => *n as u64,
            Argument::Flags(value, _) => *value,
            Argument::Mode(mode) => u64::from(*mode),
            Argument::Device { major, minor } => libc::makedev(*major, *minor),
            Argument::Fd(Fd::Cwd) => libc::AT_FDCWD as u64,
            Argument::Fd(Fd::Number(n)) => *n as u64,
            Argument::Null => 0,
            _ => return None,
        })
    }

    /// The argument as a reader of strace(1) expects it.
    pub fn show(&self, program: &Program) -> String {
        match self {
            Argument::Int(n) => n.to_string(),
            Argument::Flags(value, names) => names.show(*value),
            Argument::Mode(mode) => show_mode(*mode),
            Argument::Device { major, minor } => format!("makedev({major}, {minor})"),
            Argument::Fd(fd) => show_fd(*fd, program),
            Argument::Null => "NULL".into(),
            Argument::Text(text) => quote(text),
            Argument::List(list) => format!("[{}]", list.iter().map(|s| quote(s)).collect::<Vec<_>>().join(", ")),
            Argument::Struct(of) => of.1.clone(),
            Argument::Filter(bytes) => format!("{{{} instructions}}", bytes.len() / 8),
            Argument::Mount(change) => show_change(change),
            Argument::Buffer(_) => "buffer".into(),
            Argument::Message(register) => format!("{{SCM_RIGHTS: {}}}", show_fd(Fd::Kept(*register), program)),
        }
    }
}

/// A mode in octal, after the kind of file if it has one.
fn show_mode(mode: u32) -> String {
    let kind = match mode & libc::S_IFMT {
        libc::S_IFCHR => "S_IFCHR|",
        libc::S_IFBLK => "S_IFBLK|",
        libc::S_IFIFO => "S_IFIFO|",
        _ => "",
    };
    format!("{kind}0{:o}", mode & 0o7777)
}

/// A descriptor by its name; one that a step made also by that step's number.
fn show_fd(fd: Fd, program: &Program) -> String {
    match fd {
        Fd::Cwd => "AT_FDCWD".into(),
        Fd::Given(input) => format!("{input:?}").to_lowercase(),
        Fd::Number(n) => n.to_string(),
        Fd::Kept(Register(index)) => {
            let name = program.steps()[index].keeps.as_deref().unwrap_or("descriptor");
            format!("{name}:{}", index + 1)
        }
    }
}

/// A string in double quotes, with what does not print escaped.
fn quote(text: &[u8]) -> String {
    format!("\"{}\"", text.escape_ascii().to_string().replace("\\'", "'"))
}
