//! The flags about the container itself and its process.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::cli::attach;
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed, option, switch};
use crate::store::Text;

pub const FLAGS: &[Flag] = &[
    switch("interactive", Some(b'i'), "Keep the container's standard input open"),
    switch("tty", Some(b't'), "Give the container a terminal"),
    switch("rm", None, "Remove the container when it ends"),
    switch("detach", Some(b'd'), "Leave the container running and print its id"),
    option(
        "attach",
        Some(b'a'),
        "STREAM",
        "Connect only to `stdin`, `stdout` or `stderr`",
    ),
    attach::DETACH_KEYS,
    attach::SIG_PROXY,
    switch("trace", None, "Show each step of the start with its microseconds"),
    option("name", None, "NAME", "Name the container"),
    option("hostname", Some(b'h'), "NAME", "The container's own host name"),
    option("domainname", None, "NAME", "The container's own NIS domain name"),
    option("label", Some(b'l'), "NAME[=VALUE]", "Note something about the container"),
    option("label-file", None, "FILE", "The same, from the lines of a file"),
    option(
        "annotation",
        None,
        "NAME=VALUE",
        "Note something for those who run the container",
    ),
    option(
        "cidfile",
        None,
        "FILE",
        "Write the container's id to a file that is not there yet",
    ),
    option(
        "entrypoint",
        None,
        "PROGRAM",
        "What is executed, with the command as its arguments",
    ),
    option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
    option("env-file", None, "FILE", "The same, from the lines of a file"),
    option("workdir", Some(b'w'), "DIRECTORY", "The working directory"),
    option("user", Some(b'u'), "USER[:GROUP]", "Run as a user, by name or number"),
    option("group-add", None, "GROUP", "A further group of the user, by name or number"),
    option("ulimit", None, "NAME=SOFT[:HARD]", "Limit what each process may use"),
];

/// The entry point that is asked for. An empty one is none, so that the image's is not used.
pub fn entrypoint(parsed: &Parsed) -> Option<Vec<Text>> {
    let word = parsed.last("entrypoint")?;
    Some(if word.is_empty() {
        Vec::new()
    } else {
        vec![word.clone().into()]
    })
}

/// Labels or annotations, `NAME[=VALUE]`: those of files first.
pub fn labels(parsed: &Parsed, flag: &str, files: Option<&str>) -> Result<BTreeMap<String, String>> {
    let mut lines = Vec::new();
    for path in files.iter().flat_map(|files| parsed.all(files)) {
        lines.extend(read_lines(path)?.into_iter().map(|(_, line)| line));
    }
    lines.extend(parsed.all(flag).cloned());
    lines.iter().map(|line| label(&line.display().to_string())).collect()
}

fn label(line: &str) -> Result<(String, String)> {
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    if name.is_empty() {
        return Err(Error::invalid(format!("invalid label `{line}`: its name is empty")));
    }
    Ok((name.into(), value.into()))
}

/// The lines of a file that say something, with their numbers.
fn read_lines(path: &OsString) -> Result<Vec<(usize, OsString)>> {
    let text = fs::read(path).doing(|| format!("read `{}`", path.display()))?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.map(|(n, line)| (n + 1, line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start()));
    Ok(lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(n, line)| (n, OsString::from_vec(line.to_vec())))
        .collect())
}

/// The variables that are set, those of files first. One without a value has the user's own; if the user has none, it is left out.
pub fn environment(parsed: &Parsed) -> Result<Vec<Text>> {
    let mut all = Vec::new();
    for path in parsed.all("env-file") {
        for (number, line) in read_lines(path)? {
            let name = line.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
            if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
                let wrong = Error::invalid(format!("`{}` is no variable's name", name.escape_ascii()));
                return Err(wrong.doing(format!("`{}`, line {number}", path.display())));
            }
            all.push(line);
        }
    }
    all.extend(parsed.all("env").cloned());
    Ok(all.iter().filter_map(variable).collect())
}

fn variable(line: &OsString) -> Option<Text> {
    if line.is_empty() || line.as_bytes().contains(&b'=') {
        return Some(line.clone().into());
    }
    let value = env::var_os(line)?;
    Some([line.as_bytes(), b"=", &value.into_vec()].concat().into())
}
