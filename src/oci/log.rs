//! Where the runtime says what is wrong: to the terminal, and to the file that its caller reads (`--log`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Doing, Error, Result, plain};
use crate::store::clock;

pub struct Log {
    file: Option<File>,
    json: bool,
}

/// A line of the log, as engines read it.
#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    msg: &'a str,
    time: String,
}

impl Log {
    /// Only the terminal.
    pub fn terminal() -> Log {
        Log { file: None, json: false }
    }

    pub fn open(path: Option<PathBuf>, format: Option<&str>) -> Result<Log> {
        let json = match format {
            None | Some("" | "text") => false,
            Some("json") => true,
            Some(other) => return Err(Error::invalid(format!("`--log-format`: there is no `{other}`"))),
        };
        let open = |path: &PathBuf| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.doing(|| format!("open the log `{}`", path.display()))
        };
        Ok(Log {
            file: path
                .as_ref()
                .filter(|path| path.as_os_str() != "/dev/stderr")
                .map(open)
                .transpose()?,
            json,
        })
    }

    pub fn warn(&mut self, text: &str) {
        self.write("warning", text);
        if self.file.is_none() {
            let _ = writeln!(std::io::stderr(), "{}: warning: {}", super::NAME, plain(text));
        }
    }

    pub fn error(mut self, error: &Error) {
        self.write("error", &error.to_string());
        let _ = writeln!(std::io::stderr(), "{}: error: {}", super::NAME, plain(&error.to_string()));
    }

    fn write(&mut self, level: &str, text: &str) {
        let Some(file) = &mut self.file else { return };
        let line = Line {
            level,
            msg: text,
            time: clock::now(),
        };
        let line = if self.json {
            serde_json::to_string(&line).unwrap_or_default()
        } else {
            format!("time={:?} level={level} msg={text:?}", line.time)
        };
        // Nobody is left to tell that it cannot be told.
        let _ = writeln!(file, "{line}");
    }
}
