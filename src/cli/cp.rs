//! `tinydock cp`

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{Command, table, tidy};
use crate::engine::{Copying, Engine};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Order, Parsed, switch};

const FLAGS: [Flag; 3] = [
    switch("archive", Some(b'a'), "Let files keep their owners on the host, too"),
    switch("follow-link", Some(b'L'), "Copy what a link as the source leads to"),
    switch("quiet", Some(b'q'), "Do not say what was copied"),
];

pub const COMMAND: Command = Command {
    name: "cp",
    usage: "[-a] [-L] [-q] CONTAINER:PATH PATH|- | PATH|- CONTAINER:PATH",
    summary: "Copy files between a container and the host; `-` is a tarball on the standard input or output",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (2, 2),
    failure: 1,
    run,
};

/// What one of the two words means.
enum Side {
    Container(String, Vec<u8>),
    Host(Vec<u8>),
    Stream,
}

impl Side {
    /// A path with a colon is one of the host if it begins with `/` or `.`, as Docker has it.
    fn parse(word: &OsString) -> Side {
        let bytes = word.as_bytes();
        let colon = bytes.iter().position(|c| *c == b':');
        match colon {
            _ if bytes == b"-" => Side::Stream,
            Some(at) if at > 0 && !bytes.starts_with(b"/") && !bytes.starts_with(b".") => {
                Side::Container(String::from_utf8_lossy(&bytes[..at]).into(), bytes[at + 1..].to_vec())
            }
            _ => Side::Host(bytes.to_vec()),
        }
    }
}

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    for (word, name) in parsed.arguments.iter().zip(["source", "destination"]) {
        if word.is_empty() {
            return Err(Error::invalid(format!("{name} can not be empty")));
        }
    }
    let how = Copying {
        follow: parsed.is_set("follow-link"),
        archive: parsed.is_set("archive"),
    };
    let quiet = parsed.is_set("quiet") || !io::stdout().is_terminal();
    let (copied, to) = match (Side::parse(&parsed.arguments[0]), Side::parse(&parsed.arguments[1])) {
        (Side::Container(name, path), Side::Host(to)) => {
            let to = absolute(to)?;
            let copied = engine.copy_out(&engine.find(&name)?, &path, &to, how)?;
            (copied, String::from_utf8_lossy(&to).into_owned())
        }
        (Side::Host(from), Side::Container(name, path)) => {
            let copied = engine.copy_in(&absolute(from)?, &engine.find(&name)?, &path, how)?;
            (copied, format!("{name}:{}", String::from_utf8_lossy(&path)))
        }
        (Side::Container(name, path), Side::Stream) => {
            if io::stdout().is_terminal() {
                return Err(Error::invalid("a tarball is not written to a terminal").hint("redirect the output, or name a path"));
            }
            let container = engine.find(&name)?;
            return engine.copy_to_stream(&container, &path, io::stdout().lock(), how).map(|()| 0);
        }
        (Side::Stream, Side::Container(name, path)) => {
            let container = engine.find(&name)?;
            return engine.copy_from_stream(io::stdin(), &container, &path).map(|()| 0);
        }
        (Side::Container(..), Side::Container(..)) => {
            return Err(Error::invalid("copying between containers is not supported")
                .hint("let one `tinydock cp` write a tarball and another one read it: `cp a:/x - | tinydock cp - b:/`"));
        }
        _ => return Err(Error::invalid("must specify at least one container source")),
    };
    if !quiet {
        eprintln!("Successfully copied {} to {to}", table::decimal(copied, 3));
    }
    Ok(0)
}

/// A path of the host from its root, with what its end says.
fn absolute(path: Vec<u8>) -> Result<Vec<u8>> {
    if path.starts_with(b"/") {
        return Ok(path);
    }
    let directory = env::current_dir().doing(|| "find the working directory")?;
    Ok([&directory.into_os_string().into_vec(), b"/".as_slice(), &path].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_read_as_docker_reads_them() {
        let read = |word: &str| match Side::parse(&word.into()) {
            Side::Container(name, path) => format!("{name} {}", String::from_utf8_lossy(&path)),
            Side::Host(path) => String::from_utf8_lossy(&path).into(),
            Side::Stream => "stream".into(),
        };
        for (word, meaning) in [
            ("web:/a:b", "web /a:b"),
            ("web:", "web "),
            ("./web:/a", "./web:/a"),
            ("/web:/a", "/web:/a"),
            ("a/b", "a/b"),
            (":/a", ":/a"),
            ("-", "stream"),
        ] {
            assert_eq!(read(word), meaning);
        }
    }
}
