//! The files of a log and places in them.
//!
//! A log is `log` and, older, `log.1`, `log.2` and so on. The monitor may rename them while they are read. They are opened
//! from the newest to the oldest: what is renamed meanwhile is met a second time, and nothing is missed but what is removed.
//! Where to begin is found from the ends: by time with a binary search, or by counting lines backwards. So a long log costs
//! what is shown of it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::time::Duration;

use serde::Deserialize;

use super::{Driver, Line};
use crate::engine::Container;
use crate::error::{Doing, Result};
use crate::store::clock;

/// How much is read at once when a place is looked for.
const BLOCK: u64 = 8 << 10;

/// One file of a log, of which lines are read from a place on.
pub struct Part {
    file: File,
    identity: (u64, u64),
    /// Where the next line begins.
    pub at: u64,
}

impl Part {
    fn open(container: &Container, number: u32) -> Result<Option<Part>> {
        let path = container.file(&name(number));
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.doing(|| format!("open `{}`", path.display()))?,
        };
        let metadata = file.metadata().doing(|| "read the log")?;
        Ok(Some(Part {
            identity: (metadata.dev(), metadata.ino()),
            file,
            at: 0,
        }))
    }

    /// Whether this is the file that is written to.
    pub fn is_newest(&self, container: &Container) -> bool {
        let newest = container.file(&name(0)).metadata();
        newest.is_ok_and(|newest| (newest.dev(), newest.ino()) == self.identity)
    }

    /// Reads at a place, as much as there is.
    pub fn read(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        rustix::io::retry_on_intr(|| {
            self.file
                .read_at(buffer, at)
                .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
        })
        .doing(|| "read the log")
    }

    fn length(&self) -> Result<u64> {
        Ok(self.file.metadata().doing(|| "read the log")?.len())
    }

    /// Where the last `count` lines begin, and how many there are. What follows the last line feed is no line.
    fn last_lines(&self, count: u64) -> Result<(u64, u64)> {
        let mut buffer = vec![0; BLOCK as usize];
        let (mut found, mut end) = (0, self.length()?);
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            let length = self.read(&mut buffer[..(end - start) as usize], start)?;
            for at in (0..length).rev().filter(|at| buffer[*at] == b'\n') {
                // The line before this end is one more, if it is wanted.
                if found == count {
                    return Ok((start + at as u64 + 1, found));
                }
                found += 1;
            }
            end = start;
        }
        Ok((0, found))
    }

    /// Where the first line begins that is not older than `since`. Lines are in the order of their times.
    fn first_since(&self, since: Duration) -> Result<u64> {
        // The line at or after `low` may be too old; the one at or after `high` is not, or there is none.
        let (mut low, mut high) = (0, self.length()?);
        while high - low > BLOCK {
            let middle = low + (high - low) / 2;
            match self.time_after(middle, high)? {
                Some((_, time)) if time >= since => high = middle,
                Some((begin, _)) => low = begin.max(low + 1),
                None => high = middle,
            }
        }
        self.line_at_or_after(low)
    }

    /// The first line that begins at or after a place and before `end`, and that has a time.
    fn time_after(&self, place: u64, end: u64) -> Result<Option<(u64, Duration)>> {
        let mut begin = self.line_at_or_after(place)?;
        while begin < end {
            let Some(line) = self.line(begin)? else { return Ok(None) };
            if let Some(time) = time_of(&line) {
                return Ok(Some((begin, time)));
            }
            begin += line.len() as u64;
        }
        Ok(None)
    }

    /// Where the first line begins that begins at or after a place.
    fn line_at_or_after(&self, place: u64) -> Result<u64> {
        match place {
            0 => Ok(0),
            _ => Ok(place - 1 + self.line(place - 1)?.map_or(1, |line| line.len() as u64)),
        }
    }

    /// What is there from a place up to the end of a line, if that is written yet.
    fn line(&self, at: u64) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let length = self.read(&mut buffer, at + line.len() as u64)?;
            match buffer[..length].iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend(&buffer[..=end]);
                    return Ok(Some(line));
                }
                None if length == 0 => return Ok(None),
                None => line.extend(&buffer[..length]),
            }
        }
    }
}

/// When a line was written.
fn time_of(line: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Time<'a> {
        time: &'a str,
    }
    clock::parse(serde_json::from_slice::<Time>(line).ok()?.time)
}

impl Line {
    /// Reads a line. What is none was left by somebody who was killed while writing it.
    pub fn parse(line: &[u8]) -> Option<Line> {
        serde_json::from_slice(line).ok()
    }
}

fn name(number: u32) -> String {
    if number == 0 { "log".into() } else { format!("log.{number}") }
}

/// Opens a container's log to be written to, if it is to have one. Tells how long it is, and whether it ends within a line, since
/// whoever wrote to it before was killed.
pub fn open_to_append(container: &Container) -> Result<(Option<File>, u64, bool)> {
    if container.spec.options.log.driver == Driver::None {
        return Ok((None, 0, false));
    }
    let mut options = File::options();
    options.read(true).append(true).create(true).mode(0o640);
    let file = options.open(container.file(&name(0))).doing(|| "open the log")?;
    let doing = || "read the log";
    let length = file.metadata().doing(doing)?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1).doing(doing)?;
    }
    Ok((Some(file), length, last != *b"\n"))
}

/// The files of a container's log, oldest first, each from its beginning.
pub fn open(container: &Container) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for number in 0..container.spec.options.log.files() {
        let Some(part) = Part::open(container, number)? else {
            continue;
        };
        match parts.iter().position(|known| known.identity == part.identity) {
            // It was renamed meanwhile: what was opened since then is newer.
            Some(at) => parts.truncate(at + 1),
            None => parts.push(part),
        }
    }
    parts.reverse();
    Ok(parts)
}

/// The files that are newer than one, oldest first. If that one is gone, those are all that there are.
pub fn newer(container: &Container, than: &Part) -> Result<Vec<Part>> {
    let mut parts = open(container)?;
    let known = parts.iter().position(|part| part.identity == than.identity);
    parts.drain(..known.map_or(0, |at| at + 1));
    Ok(parts)
}

/// Leaves out all but the last `count` lines.
pub fn keep_last(parts: &mut Vec<Part>, mut count: u64) -> Result<()> {
    for n in (0..parts.len()).rev() {
        let (at, found) = parts[n].last_lines(count)?;
        parts[n].at = parts[n].at.max(at);
        count -= found;
        if count == 0 {
            parts.drain(..n);
            break;
        }
    }
    Ok(())
}

/// Leaves out what is older than `since`.
pub fn keep_since(parts: &mut Vec<Part>, since: Duration) -> Result<()> {
    // The last file whose first line is too old is the one in which to begin.
    let mut first = 0;
    for (n, part) in parts.iter().enumerate().rev() {
        if part.time_after(0, part.length()?)?.is_some_and(|(_, time)| time < since) {
            first = n;
            break;
        }
    }
    parts.drain(..first);
    if let Some(part) = parts.first_mut() {
        part.at = part.at.max(part.first_since(since)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file whose line `n` was written at second `n`, with texts of many lengths and sometimes a torn line before it.
    fn part(lines: u64) -> Part {
        let path = std::env::temp_dir().join(format!("tinydock-log-{}-{lines}", std::process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut text = String::new();
        for n in 0..lines {
            let (time, filler) = (clock::spell(Duration::from_secs(n)), "x".repeat((n * 7 % 300) as usize));
            if n % 10 == 3 {
                text += "{\"log\":\"torn\n";
            }
            text += &format!("{{\"log\":\"{n} {filler}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n");
        }
        file.write_all(text.as_bytes()).unwrap();
        file.write_all(b"{\"log\":\"not finished").unwrap();
        Part {
            file,
            identity: (0, lines),
            at: 0,
        }
    }

    /// The numbers of the first and the last line from a place on, and how many there are.
    fn numbers(part: &Part, mut at: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(line) = part.line(at).unwrap() {
            at += line.len() as u64;
            let number = Line::parse(&line).map(|line| line.log.split(' ').next().unwrap().parse::<u64>().unwrap());
            numbers.extend(number);
        }
        numbers
    }

    #[test]
    fn a_time_is_found_in_files_of_any_length() {
        for lines in [0, 1, 2, 30, 100, 1000] {
            let part = part(lines);
            for since in (0..lines + 3).step_by(1 + lines as usize / 50) {
                let found = numbers(&part, part.first_since(Duration::from_secs(since)).unwrap());
                let first = found.first().copied().unwrap_or(lines);
                // Of a file that is searched, the last block is left to be read.
                assert!(
                    first <= since && (first + 200 > since || lines < since),
                    "{since} of {lines}: {first}"
                );
                assert_eq!(found, (first..lines).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        for lines in [0, 1, 2, 30, 1000] {
            let part = part(lines);
            let torn = (0..lines).filter(|n| n % 10 == 3).count() as u64;
            for count in [0, 1, 2, 29, 30, 31, 999, 5000] {
                let (at, found) = part.last_lines(count).unwrap();
                assert_eq!(found, count.min(lines + torn), "{count} of {lines}");
                assert!(numbers(&part, at).len() as u64 <= count);
                assert_eq!(at == 0, lines == 0 || found == lines + torn, "{count} of {lines}");
            }
        }
    }
}
