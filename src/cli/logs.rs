//! `tinydock logs`

use std::io::{self, BufWriter, Stderr, Stdout, Write};

use super::{Command, tidy};
use crate::engine::{Engine, LogLine, LogReader, LogsAsked, Stream};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::store::{clock, parse_moment};

const FLAGS: [Flag; 6] = [
    switch("follow", Some(b'f'), "Go on until the container ends"),
    option("tail", Some(b'n'), "NUMBER", "Begin with so many of the last lines, or `all`"),
    option(
        "since",
        None,
        "TIME",
        "Leave out what is older: a date, seconds since 1970, or `10m`",
    ),
    option("until", None, "TIME", "Leave out what is newer"),
    switch("timestamps", Some(b't'), "Show when each line was written"),
    switch("details", None, "Show what `--log-opt` adds to each line"),
];

pub const COMMAND: Command = Command {
    name: "logs",
    usage: "[FLAGS] CONTAINER",
    summary: "Print what a container has written",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let now = clock::since_1970();
    let moment = |flag| parsed.text(flag)?.map(|text| parse_moment(text, now)).transpose();
    let asked = LogsAsked {
        follow: parsed.is_set("follow"),
        tail: parsed.text("tail")?.map_or(Ok(None), tail)?,
        since: moment("since")?,
        until: moment("until")?,
    };
    tidy(engine);
    let container = engine.find(&parsed.arguments[0].display().to_string())?;
    let mut screen = Screen {
        stdout: BufWriter::new(io::stdout()),
        stderr: BufWriter::new(io::stderr()),
        last: Stream::Stdout,
        timestamps: parsed.is_set("timestamps"),
        details: parsed.is_set("details"),
    };
    engine.logs(&container, &asked, &mut screen).map(|()| 0)
}

/// Reads how many lines to begin with. All are as many as nothing says, and as a negative number says in Docker.
fn tail(text: &str) -> Result<Option<u64>> {
    match (text, text.parse::<i64>()) {
        ("all", _) => Ok(None),
        (_, Ok(number)) => Ok(u64::try_from(number).ok()),
        _ => Err(Error::invalid(format!("invalid number of lines `{text}`")).hint("give a number, or `all`")),
    }
}

/// Both of our streams. What is written to one comes after what was written to the other before.
struct Screen {
    stdout: BufWriter<Stdout>,
    stderr: BufWriter<Stderr>,
    last: Stream,
    timestamps: bool,
    details: bool,
}

impl Screen {
    fn write(&mut self, line: &LogLine) -> io::Result<()> {
        if line.stream != self.last {
            self.flush()?;
            self.last = line.stream;
        }
        let to: &mut dyn Write = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if self.timestamps {
            write!(to, "{} ", line.time)?;
        }
        if self.details {
            let attributes = line
                .attrs
                .iter()
                .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
            write!(to, "{} ", attributes.collect::<Vec<_>>().join(","))?;
        }
        to.write_all(line.log.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()?;
        self.stderr.flush()
    }
}

impl LogReader for Screen {
    fn show(&mut self, line: &LogLine) -> Result<()> {
        self.write(line).doing(|| "write the output")
    }

    fn pause(&mut self) -> Result<()> {
        self.flush().doing(|| "write the output")
    }
}

/// Escapes what separates attributes, as in a query of a URL, which is what Docker prints.
fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let bytes = text.bytes().map(|byte| match byte {
        b' ' => "+".to_string(),
        byte if plain(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_a_number_or_all() {
        for (text, count) in [("all", None), ("-1", None), ("0", Some(0)), ("20", Some(20))] {
            assert_eq!(tail(text).unwrap(), count, "{text}");
        }
        assert!(tail("x").is_err() && tail("").is_err());
    }
}
