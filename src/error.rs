//! What went wrong, told in the order a reader asks: what was asked, what was being done, what the system said.
//!
//! ```text
//! tinydock: publish port `8080`: already published by container `api`
//!   hint: choose another host port, or let tinydock choose one with `-p 80`
//! ```
//!
//! The kind decides the exit status. Errors are returned or shown, never both.

use std::fmt::{self, Display};
use std::io;

use serde::{Deserialize, Serialize};

/// A result of anything that tinydock does.
pub type Result<T> = std::result::Result<T, Error>;

/// Which sort of error this is, for those who act on it rather than read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// What was asked for makes no sense, or not here.
    Invalid,
    /// It does not exist.
    NotFound,
    /// It exists, is in use, or is in the wrong state for this.
    Conflict,
    /// The container's command does not exist.
    CommandNotFound,
    /// The container's command exists but cannot be executed.
    CommandNotExecutable,
    /// The system refused or failed.
    System,
}

/// An error: its clauses from the outside in, and what its reader can do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: Kind,
    clauses: Vec<String>,
    hint: Option<String>,
}

impl Error {
    pub fn new(kind: Kind, wrong: impl Display) -> Error {
        Error {
            kind,
            clauses: vec![wrong.to_string()],
            hint: None,
        }
    }

    pub fn invalid(wrong: impl Display) -> Error {
        Error::new(Kind::Invalid, wrong)
    }

    pub fn not_found(wrong: impl Display) -> Error {
        Error::new(Kind::NotFound, wrong)
    }

    pub fn conflict(wrong: impl Display) -> Error {
        Error::new(Kind::Conflict, wrong)
    }

    pub fn system(wrong: impl Display) -> Error {
        Error::new(Kind::System, wrong)
    }

    /// Says what was being done.
    #[must_use]
    pub fn doing(mut self, doing: impl Display) -> Error {
        self.clauses.insert(0, doing.to_string());
        self
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Error {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says the same in other words.
    #[must_use]
    pub fn map(mut self, words: impl Fn(&str) -> String) -> Error {
        for clause in &mut self.clauses {
            *clause = words(clause);
        }
        self
    }

    /// Says what the reader can do about it, unless that is said already.
    #[must_use]
    pub fn or_hint(self, hint: impl Display) -> Error {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// The clauses in one line, without the hint.
    pub fn message(&self) -> String {
        self.clauses.join(": ")
    }

    /// The status that the process exits with: Docker's numbers for what went wrong before the command could run.
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            Kind::CommandNotFound => 127,
            Kind::CommandNotExecutable => 126,
            _ => 125,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.message())?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

impl std::error::Error for Error {}

/// A text without what a terminal would take for commands: messages quote what archives, registries and containers say.
pub fn plain(text: &str) -> String {
    let is_command = |letter: char| letter.is_control() && !['\n', '\t'].contains(&letter);
    text.replace(is_command, "\u{fffd}")
}

/// Names what was being done when something failed.
pub trait Doing<T> {
    /// Adds the clause that `clause` gives, which is only asked for it when there is an error.
    fn doing<D: Display>(self, clause: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Doing<T> for std::result::Result<T, E> {
    fn doing<D: Display>(self, clause: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().doing(clause()))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        let text = match error.raw_os_error() {
            Some(number) => errno_text(number),
            None => error.to_string(),
        };
        Error::system(text)
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Error {
        Error::system(errno_text(errno.raw_os_error()))
    }
}

/// Errors for which musl has other words than glibc, and with it most of what a user has on the host.
const USUAL_WORDS: [(i32, &str); 29] = [
    (libc::EIO, "input/output error"),
    (libc::ECHILD, "no child processes"),
    (libc::ENOMEM, "cannot allocate memory"),
    (libc::EBUSY, "device or resource busy"),
    (libc::EXDEV, "invalid cross-device link"),
    (libc::EMFILE, "too many open files"),
    (libc::ENOTTY, "inappropriate ioctl for device"),
    (libc::ESPIPE, "illegal seek"),
    (libc::ERANGE, "numerical result out of range"),
    (libc::EDEADLK, "resource deadlock avoided"),
    (libc::ENAMETOOLONG, "file name too long"),
    (libc::ELOOP, "too many levels of symbolic links"),
    (libc::EOVERFLOW, "value too large for defined data type"),
    (libc::ENOTSOCK, "socket operation on non-socket"),
    (libc::EMSGSIZE, "message too long"),
    (libc::EOPNOTSUPP, "operation not supported"),
    (libc::EADDRINUSE, "address already in use"),
    (libc::EADDRNOTAVAIL, "cannot assign requested address"),
    (libc::ENETUNREACH, "network is unreachable"),
    (libc::ECONNABORTED, "software caused connection abort"),
    (libc::EISCONN, "transport endpoint is already connected"),
    (libc::ENOTCONN, "transport endpoint is not connected"),
    (libc::ETIMEDOUT, "connection timed out"),
    (libc::EHOSTUNREACH, "no route to host"),
    (libc::EUCLEAN, "structure needs cleaning"),
    (libc::EDQUOT, "disk quota exceeded"),
    (libc::ELIBBAD, "accessing a corrupted shared library"),
    (libc::EILSEQ, "invalid or incomplete multibyte or wide character"),
    (libc::EUSERS, "too many users"),
];

/// The system's words for an error number, without the number and in lower case.
pub fn errno_text(number: i32) -> String {
    if let Some((_, words)) = USUAL_WORDS.iter().find(|(known, _)| *known == number) {
        return words.to_string();
    }
    let text = io::Error::from_raw_os_error(number).to_string();
    // That musl has no words for it is no information for anybody.
    let text = text.split(" (os error").next().filter(|text| *text != "No error information");
    let text = text.unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => format!("error {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_from_the_outside_in() {
        let error: Result<()> = Err(rustix::io::Errno::PERM).doing(|| "mount `proc`").doing(|| "start `web`");
        assert_eq!(
            error.unwrap_err().to_string(),
            "start `web`: mount `proc`: operation not permitted"
        );
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn words_that_differ_are_those_of_glibc() {
        for (number, words) in USUAL_WORDS {
            let text = io::Error::from_raw_os_error(number).to_string().to_lowercase();
            assert_eq!(text, format!("{words} (os error {number})"));
        }
    }

    #[test]
    fn errors_have_the_words_that_users_know() {
        let text = |errno: rustix::io::Errno| errno_text(errno.raw_os_error());
        assert_eq!(text(rustix::io::Errno::BUSY), "device or resource busy");
        assert_eq!(text(rustix::io::Errno::NOENT), "no such file or directory");
        assert_eq!(
            errno_text(4000),
            if cfg!(target_env = "gnu") {
                "unknown error 4000"
            } else {
                "error 4000"
            }
        );
    }

    #[test]
    fn a_hint_has_a_line_of_its_own() {
        let error = Error::conflict("port `80` is taken").hint("choose another one");
        assert_eq!(error.to_string(), "port `80` is taken\n  hint: choose another one");
    }

    #[test]
    fn the_kind_decides_the_exit_status() {
        for (kind, status) in [
            (Kind::Invalid, 125),
            (Kind::CommandNotExecutable, 126),
            (Kind::CommandNotFound, 127),
        ] {
            assert_eq!(Error::new(kind, "").exit_status(), status);
        }
    }
}
