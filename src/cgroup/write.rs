//! Writing the files of a plan.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::plan::{Missing, Write};
use crate::error::{Doing, Error, Result};

/// Writes all files. Returns what could not be kept.
///
/// Of two numbers that bound each other, such as memory and memory with swap, or a quota and its period, one has to be
/// written first when they grow and the other when they shrink. So what the kernel refuses is tried again after the rest, for
/// as long as that helps.
pub fn write_all<'a>(writes: impl Iterator<Item = &'a Write>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut left: Vec<&Write> = writes.collect();
    loop {
        let before = left.len();
        let mut refused = Vec::new();
        let mut first = None;
        for write in left {
            match write_one(write, &mut warnings) {
                Err((write, error)) if is_refused(&error) => {
                    first.get_or_insert_with(|| explain(write, error));
                    refused.push(write);
                }
                Err((write, error)) => return Err(explain(write, error)),
                Ok(()) => {}
            }
        }
        match first {
            Some(error) if refused.len() == before => return Err(error),
            None => return Ok(warnings),
            Some(_) => left = refused,
        }
    }
}

/// Writes one file, or the one that there is instead.
fn write_one<'a>(write: &'a Write, warnings: &mut Vec<String>) -> std::result::Result<(), (&'a Write, io::Error)> {
    match (write_file(&write.file, &write.value), &write.missing) {
        (Ok(()), _) => Ok(()),
        (Err(error), missing) if is_missing(&error) => match missing {
            Missing::Refuse => Err((write, error)),
            Missing::Ignore => Ok(()),
            Missing::Instead(other) => write_one(other, warnings),
            Missing::Warn(field) => {
                let file = write.file.file_name().unwrap_or_default().to_string_lossy();
                warnings.push(format!("`linux.resources.{field}` is not kept: this kernel has no `{file}`"));
                Ok(())
            }
        },
        (Err(error), _) => Err((write, error)),
    }
}

fn explain(write: &Write, error: io::Error) -> Error {
    let is_busy = error.raw_os_error() == Some(libc::EBUSY);
    let error = Error::from(error).doing(format!("write `{}` to `{}`", write.value, write.file.display()));
    if is_busy && write.file.ends_with("memory.limit_in_bytes") {
        let usage = write.file.with_file_name("memory.usage_in_bytes");
        let usage = fs::read_to_string(usage).unwrap_or_default();
        return error.hint(format!("{} bytes are in use and cannot be swapped out", usage.trim()));
    }
    error
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::EOPNOTSUPP)
}

fn is_refused(error: &io::Error) -> bool {
    [Some(libc::EINVAL), Some(libc::EBUSY)].contains(&error.raw_os_error())
}

/// Enables controllers that are not enabled yet. Returns those that the kernel does not enable here, each with the reason: a
/// host may have processes in a directory that others are made in, which some controllers do not allow.
pub fn enable(file: &Path, value: &str) -> Result<Vec<(String, io::Error)>> {
    let doing = || format!("write `{value}` to `{}`", file.display());
    let enabled = fs::read_to_string(file).doing(doing)?;
    let is_enabled = |name: &str| enabled.split_whitespace().any(|controller| controller == name);
    let mut wanted = value.split_whitespace().filter(|name| !is_enabled(&name[1..])).peekable();
    if wanted.peek().is_none() || write_file(file, value).is_ok() {
        return Ok(Vec::new());
    }
    let refused = wanted.filter_map(|name| Some((name.to_string(), write_file(file, name).err()?)));
    Ok(refused.collect())
}

/// Writes to a file that exists.
pub fn write_file(file: &Path, value: &str) -> io::Result<()> {
    io::Write::write_all(&mut fs::OpenOptions::new().write(true).open(file)?, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn write(directory: &Path, file: &str, missing: Missing) -> Write {
        Write {
            file: directory.join(file),
            value: "1".into(),
            missing,
            why: "",
        }
    }

    #[test]
    fn a_missing_file_means_what_the_plan_says() {
        let directory = std::env::temp_dir().join(format!("tinydock-write-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("there"), "").unwrap();
        let file = |file: &str, missing| write(&directory, file, missing);
        let instead = file("absent", Missing::Instead(Box::new(file("there", Missing::Refuse))));
        let writes = [
            file("absent", Missing::Ignore),
            file("absent", Missing::Warn("cpu.burst")),
            instead,
        ];
        let warnings = write_all(writes.iter()).unwrap();
        assert_eq!(
            warnings,
            ["`linux.resources.cpu.burst` is not kept: this kernel has no `absent`"]
        );
        assert_eq!(fs::read_to_string(directory.join("there")).unwrap(), "1");
        let refused = [file("absent", Missing::Refuse)];
        let error = write_all(refused.iter()).unwrap_err().to_string();
        let path: PathBuf = directory.join("absent");
        assert_eq!(error, format!("write `1` to `{}`: no such file or directory", path.display()));
        fs::remove_dir_all(directory).unwrap();
    }
}
