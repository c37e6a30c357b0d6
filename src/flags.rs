//! Reading flags as Docker's users and the seed's users write them.
//!
//! A token that is a long flag's name after one dash or two is that flag: `--rm` and `-rm`, `--network=x` and `-network x`.
//! Otherwise what follows one dash is a cluster of short flags, the last of which may take a value from the rest of the token or
//! from the next one: `-itd`, `-p8080:80`, `-eA=b`, `-m 512m`. `--` ends the flags.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::{Error, Result};

/// A flag that a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    pub long: &'static str,
    pub short: Option<u8>,
    /// What its value stands for; none for a switch.
    pub value: Option<&'static str>,
    pub help: &'static str,
}

/// A switch.
pub const fn switch(long: &'static str, short: Option<u8>, help: &'static str) -> Flag {
    Flag {
        long,
        short,
        value: None,
        help,
    }
}

/// A flag with a value.
pub const fn option(long: &'static str, short: Option<u8>, value: &'static str, help: &'static str) -> Flag {
    Flag {
        long,
        short,
        value: Some(value),
        help,
    }
}

/// How many flags there are in several groups.
pub const fn count(groups: &[&[Flag]]) -> usize {
    let (mut n, mut group) = (0, 0);
    while group < groups.len() {
        n += groups[group].len();
        group += 1;
    }
    n
}

/// The flags of several groups, in order.
pub const fn concat<const N: usize>(groups: &[&[Flag]]) -> [Flag; N] {
    let mut all = [switch("", None, ""); N];
    let (mut n, mut group) = (0, 0);
    while group < groups.len() {
        let mut flag = 0;
        while flag < groups[group].len() {
            all[n] = groups[group][flag];
            (n, flag) = (n + 1, flag + 1);
        }
        group += 1;
    }
    all
}

/// Where the flags of a command line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// At the first argument: what follows belongs to somebody else.
    FlagsFirst,
    /// Nowhere.
    Mixed,
}

/// A command line that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    values: Vec<(&'static str, OsString)>,
    pub arguments: Vec<OsString>,
}

impl Parsed {
    /// Whether a switch is on: the last word about it counts.
    pub fn is_set(&self, long: &str) -> bool {
        self.last(long).is_some_and(|value| value == "true")
    }

    /// The last value of a flag.
    pub fn last(&self, long: &str) -> Option<&OsString> {
        self.all(long).last()
    }

    /// The last value of a flag, which must be UTF-8.
    pub fn text(&self, long: &str) -> Result<Option<&str>> {
        let text = |value: &'_ OsString| {
            value
                .to_str()
                .ok_or_else(|| Error::invalid(format!("`--{long}`: not UTF-8")))
                .map(str::len)
        };
        self.last(long)
            .map(|value| text(value).map(|_| value.to_str().unwrap_or_default()))
            .transpose()
    }

    /// All values of a flag, in order.
    pub fn all(&self, long: &str) -> impl Iterator<Item = &OsString> {
        self.values
            .iter()
            .filter(move |(name, _)| *name == long)
            .map(|(_, value)| value)
    }
}

/// Reads a command line.
pub fn parse(flags: &[Flag], order: Order, tokens: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        let bytes = token.as_bytes();
        if bytes == b"--" {
            parsed.arguments.extend(tokens);
            break;
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            parsed.arguments.push(token);
            if order == Order::FlagsFirst {
                parsed.arguments.extend(tokens);
                break;
            }
            continue;
        }
        match long(flags, bytes) {
            Some((flag, value)) => parsed.take(flag, value, &mut tokens)?,
            None if bytes.starts_with(b"--") => return Err(unknown(flags, bytes)),
            None => parsed.cluster(flags, bytes, &mut tokens)?,
        }
    }
    Ok(parsed)
}

/// The long flag that a token names, and the value after `=`.
fn long(flags: &[Flag], token: &[u8]) -> Option<(Flag, Option<OsString>)> {
    let text = token.strip_prefix(b"--").or(token.strip_prefix(b"-"))?;
    let (name, value) = match text.iter().position(|c| *c == b'=') {
        Some(at) => (&text[..at], Some(OsString::from_vec(text[at + 1..].to_vec()))),
        None => (text, None),
    };
    let flag = flags.iter().find(|flag| flag.long.as_bytes() == name)?;
    Some((*flag, value))
}

impl Parsed {
    fn take(&mut self, flag: Flag, value: Option<OsString>, tokens: &mut impl Iterator<Item = OsString>) -> Result<()> {
        let value = match (flag.value, value) {
            (None, None) => "true".into(),
            (None, Some(value)) if ["true", "1", "t"].iter().any(|yes| value == *yes) => "true".into(),
            (None, Some(value)) if ["false", "0", "f"].iter().any(|no| value == *no) => "false".into(),
            (None, Some(value)) => {
                return Err(Error::invalid(format!(
                    "`--{}` is a switch and takes no `{}`",
                    flag.long,
                    value.display()
                )));
            }
            (Some(_), Some(value)) => value,
            (Some(what), None) => tokens
                .next()
                .ok_or_else(|| Error::invalid(format!("`--{}` needs a value, {what}", flag.long)))?,
        };
        self.values.push((flag.long, value));
        Ok(())
    }

    fn cluster(&mut self, flags: &[Flag], token: &[u8], tokens: &mut impl Iterator<Item = OsString>) -> Result<()> {
        let mut rest = &token[1..];
        while let [letter, after @ ..] = rest {
            let flag = flags
                .iter()
                .find(|flag| flag.short == Some(*letter))
                .ok_or_else(|| unknown(flags, token))?;
            let has_value = flag.value.is_some() || after.first() == Some(&b'=');
            if has_value && !after.is_empty() {
                let value = after.strip_prefix(b"=").unwrap_or(after);
                return self.take(*flag, Some(OsString::from_vec(value.to_vec())), tokens);
            }
            self.take(*flag, None, tokens)?;
            rest = after;
        }
        Ok(())
    }
}

/// The lines that help has about flags.
pub fn list(flags: &[Flag]) -> String {
    let names: Vec<String> = flags.iter().map(spell).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let lines = names
        .iter()
        .zip(flags)
        .map(|(name, flag)| format!("  {name:width$}   {}\n", flag.help));
    lines.collect()
}

/// A flag's names and what its value stands for.
fn spell(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".into(), |short| format!("-{}, ", char::from(short)));
    let value = flag.value.map_or(String::new(), |value| format!(" {value}"));
    format!("{short}--{}{value}", flag.long)
}

/// The error about a token that is no flag, with the flag that it may have been meant to be.
fn unknown(flags: &[Flag], token: &[u8]) -> Error {
    let token = String::from_utf8_lossy(token);
    let error = Error::invalid(format!("unknown flag: `{token}`"));
    let name = token.trim_start_matches('-').split('=').next().unwrap_or_default();
    // Letters after one dash are rather a cluster.
    let is_long = token.starts_with("--") || name.len() > 4;
    match nearest(name, flags.iter().map(|flag| flag.long)).filter(|_| is_long) {
        Some(near) => error.hint(format!("did you mean `--{near}`?")),
        None => error,
    }
}

/// The candidate that is nearest to a mistyped word, if any is near.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let key = |candidate: &'c str| (distance(word, candidate), candidate.len().abs_diff(word.len()), candidate);
    let near = candidates.map(key).min()?;
    (near.0 <= 2 && near.0 < word.len().min(near.2.len())).then_some(near.2)
}

/// How many letters must be added, removed, replaced or exchanged with the next one to make one word of another.
fn distance(one: &str, other: &str) -> usize {
    let exchanged = exchanges(one, other);
    replacements(one, other) - exchanged
}

/// How many pairs of neighbours are only in the wrong order: each counts as two replacements.
fn exchanges(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return 0;
    }
    let pairs = one.windows(2).zip(other.windows(2));
    pairs.filter(|(a, b)| a[0] != a[1] && a[0] == b[1] && a[1] == b[0]).count()
}

fn replacements(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = n + 1;
        for (m, other) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 8] = [
        switch("interactive", Some(b'i'), ""),
        switch("tty", Some(b't'), ""),
        switch("detach", Some(b'd'), ""),
        switch("rm", None, ""),
        option("env", Some(b'e'), "NAME=VALUE", ""),
        option("publish", Some(b'p'), "PORTS", ""),
        option("network", None, "NETWORK", ""),
        option("memory", Some(b'm'), "BYTES", ""),
    ];

    fn read(tokens: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
        let parsed = parse(&FLAGS, Order::FlagsFirst, tokens.iter().map(OsString::from))?;
        let values = parsed
            .values
            .iter()
            .map(|(name, value)| format!("{name}={}", value.display()))
            .collect();
        Ok((
            values,
            parsed
                .arguments
                .iter()
                .map(|argument| argument.display().to_string())
                .collect(),
        ))
    }

    #[test]
    fn flags_are_read_as_docker_and_the_seed_read_them() {
        for (tokens, values, arguments) in [
            (vec!["--rm", "a"], vec!["rm=true"], vec!["a"]),
            (vec!["-rm", "a"], vec!["rm=true"], vec!["a"]),
            (
                vec!["-it", "-rm", "a", "-i", "-e", "x"],
                vec!["interactive=true", "tty=true", "rm=true"],
                vec!["a", "-i", "-e", "x"],
            ),
            (vec!["-itd"], vec!["interactive=true", "tty=true", "detach=true"], vec![]),
            (vec!["-network", "n", "a"], vec!["network=n"], vec!["a"]),
            (vec!["-network=n", "--network=o"], vec!["network=n", "network=o"], vec![]),
            (
                vec!["-p8080:80", "-p", "1:2", "--publish=3"],
                vec!["publish=8080:80", "publish=1:2", "publish=3"],
                vec![],
            ),
            (
                vec!["-eA=b", "-e=A=b", "-e", "-x"],
                vec!["env=A=b", "env=A=b", "env=-x"],
                vec![],
            ),
            (vec!["-m512m"], vec!["memory=512m"], vec![]),
            (
                vec!["-i=false", "--tty=false", "--rm=true"],
                vec!["interactive=false", "tty=false", "rm=true"],
                vec![],
            ),
            (
                vec!["-itp", "80:80", "a"],
                vec!["interactive=true", "tty=true", "publish=80:80"],
                vec!["a"],
            ),
            (vec!["--", "-it"], vec![], vec!["-it"]),
            (vec!["-", "-it"], vec![], vec!["-", "-it"]),
            (vec!["a", "", "b c\nd"], vec![], vec!["a", "", "b c\nd"]),
        ] {
            let (read_values, read_arguments) = read(&tokens).unwrap();
            assert_eq!(read_values, values, "{tokens:?}");
            assert_eq!(read_arguments, arguments, "{tokens:?}");
        }
    }

    #[test]
    fn mixed_flags_may_follow_arguments() {
        let parsed = parse(&FLAGS, Order::Mixed, ["a", "-rm", "b"].map(OsString::from)).unwrap();
        assert!(parsed.is_set("rm"));
        assert_eq!(parsed.arguments, ["a", "b"]);
    }

    #[test]
    fn wrong_flags_are_named() {
        for (tokens, wrong) in [
            (vec!["--nope"], "unknown flag: `--nope`"),
            (vec!["-x"], "unknown flag: `-x`"),
            (vec!["-itx"], "unknown flag: `-itx`"),
            (vec!["-e"], "`--env` needs a value, NAME=VALUE"),
            (vec!["--rm=maybe"], "`--rm` is a switch and takes no `maybe`"),
        ] {
            assert_eq!(read(&tokens).unwrap_err().to_string(), wrong, "{tokens:?}");
        }
        let near = read(&["--pubilsh=80"]).unwrap_err().to_string();
        assert_eq!(near, "unknown flag: `--pubilsh=80`\n  hint: did you mean `--publish`?");
    }
}
