//! Steps that this process takes instead of init: what needs none of the container's processes can be made before there are any.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Argument, Fd, Input, Program, Register, Step, Success};
use crate::error::Result;
use crate::kernel::direct::{self, Value};

/// The descriptors that steps have returned. Those that nobody takes are closed.
pub struct Kept(Vec<Option<OwnedFd>>);

impl Kept {
    /// A descriptor, for whom it is kept. It is taken once.
    pub fn take(&mut self, register: Register) -> OwnedFd {
        let kept = self.0[register.0].take();
        kept.expect("a step that keeps its descriptor was taken, and nobody has that")
    }

    fn get(&self, register: Register) -> BorrowedFd<'_> {
        let kept = self.0[register.0].as_ref();
        kept.expect("steps use what earlier ones have returned").as_fd()
    }
}

impl Program {
    /// Takes all steps in order in this thread, which has the inputs that `given` finds. They may make file systems and files, no more.
    /// Fails as the first step does that must not fail, and undoes nothing but to close what was kept.
    pub fn take_here<'g>(&self, given: impl Fn(Input) -> Option<BorrowedFd<'g>>) -> Result<Kept> {
        let mut kept = Kept(Vec::with_capacity(self.steps.len()));
        for (index, step) in self.steps.iter().enumerate() {
            let fd = match (take(step, &kept, &given), step.success) {
                (Ok(fd), _) => fd,
                (Err(error), Success::Forgiving(errors)) if errors.iter().any(|&known| known == errno(&error) as u8) => None,
                (Err(error), _) => return Err(self.failure(index, errno(&error))),
            };
            kept.0.push(fd);
        }
        Ok(kept)
    }
}

fn errno(error: &io::Error) -> i32 {
    // A text with a NUL in it never comes to a call.
    error.raw_os_error().unwrap_or(libc::EINVAL)
}

fn take<'g>(step: &Step, kept: &Kept, given: &impl Fn(Input) -> Option<BorrowedFd<'g>>) -> io::Result<Option<OwnedFd>> {
    let texts = step.arguments.iter().map(|argument| match argument {
        Argument::Text(text) => CString::new(&text[..]).map(Some),
        _ => Ok(None),
    });
    let texts = texts.collect::<std::result::Result<Vec<_>, _>>()?;
    let mut values = Vec::with_capacity(texts.len());
    for (argument, text) in step.arguments.iter().zip(&texts) {
        values.push(match (argument, text, argument.number()) {
            (_, Some(text), _) => Value::Text(text),
            (_, _, Some(number)) => Value::Number(number),
            (Argument::Fd(Fd::Kept(register)), ..) => Value::Descriptor(kept.get(*register)),
            (Argument::Fd(Fd::Given(input)), ..) => Value::Descriptor(given(*input).expect("all inputs of these steps are given")),
            (other, ..) => unreachable!("only init can be given {other:?}"),
        });
    }
    direct::call(step.call.number, &values)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::program::Concept;
    use crate::program::flags::open;

    fn program() -> Program {
        let mut program = Program::default();
        program.concept(Concept::ProcessIsolation);
        program
    }

    #[test]
    fn steps_use_what_others_have_kept() {
        let directory = std::env::temp_dir().join(format!("tinydock-here-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let mut program = program();
        let path = directory.as_os_str().as_encoded_bytes();
        let opened = program.open(Fd::Cwd, path, open::PATH | open::DIRECTORY, "a directory");
        program.mkdir(Fd::Kept(opened), b"below", 0o755, "one below it");
        program.mkdir_missing(Fd::Kept(opened), b"below", "that is there already");
        program.symlink("below", opened, "link", "another name");
        let mut kept = program.take_here(|_| None).unwrap();
        let number = kept.take(opened);
        let place = format!("/proc/self/fd/{}", number.as_raw_fd());
        assert_eq!(fs::read_link(place).unwrap(), directory);
        assert!(directory.join("link").is_dir());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_step_that_fails_is_named() {
        let mut program = program();
        let null = program.open(Fd::Cwd, b"/dev/null", open::PATH, "no directory");
        program.mkdir(Fd::Kept(null), b"below", 0o755, "nothing can be below it");
        program.mkdir(Fd::Cwd, b"/dev/null", 0o755, "is not tried any more");
        let error = program.take_here(|_| None).err().unwrap().to_string();
        assert!(
            error.starts_with("step 2, mkdirat(") && error.ends_with("not a directory"),
            "{error}"
        );
    }
}
