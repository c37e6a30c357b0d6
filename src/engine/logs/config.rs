//! How a container's log is kept: `--log-driver` and `--log-opt`.
//!
//! There is one format, lines of JSON as Docker's `json-file` has them, and `local` is the same. The log is rotated unless
//! somebody asks for one without end: logs that fill the disk are what hurts most users of other engines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::Spec;
use crate::error::{Doing, Error, Result};
use crate::store::Text;

/// What keeps the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    #[default]
    JsonFile,
    Local,
    None,
}

/// How a log is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    pub driver: Driver,
    /// The options as they were given. They were checked.
    pub options: BTreeMap<String, String>,
}

/// How many files there are, and how long each may become, if nothing else is asked for.
const FILES: u32 = 3;
const SIZE: u64 = 10 << 20;

/// Each file is renamed at each rotation, so there are not too many of them.
const MOST_FILES: u32 = 1000;

/// How long the attributes of a line may be: the monitor has room for a line with that many more.
const ATTRIBUTES: usize = 8 << 10;

impl Driver {
    const ALL: [Driver; 3] = [Driver::JsonFile, Driver::Local, Driver::None];

    pub fn name(self) -> &'static str {
        match self {
            Driver::JsonFile => "json-file",
            Driver::Local => "local",
            Driver::None => "none",
        }
    }
}

impl LogConfig {
    /// Reads a driver's name and options `NAME=VALUE`.
    pub fn parse(driver: Option<&str>, options: &[String]) -> Result<LogConfig> {
        let known = |name: &str| Driver::ALL.into_iter().find(|driver| driver.name() == name);
        let driver = driver.map_or(Ok(Driver::JsonFile), |name| {
            known(name).ok_or_else(|| {
                Error::invalid(format!("log driver `{name}` is not available"))
                    .hint("there are `json-file`, `local`, which is the same, and `none`")
            })
        })?;
        let options = options.iter().map(|option| {
            let wrong = || Error::invalid(format!("log option `{option}`: it must be `NAME=VALUE`"));
            let (name, value) = option.split_once('=').ok_or_else(wrong)?;
            Ok((name.to_string(), value.to_string()))
        });
        let config = LogConfig {
            driver,
            options: options.collect::<Result<_>>()?,
        };
        if driver != Driver::None {
            config.check()?;
        }
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        for (name, value) in &self.options {
            let doing = || format!("log option `{name}={value}`");
            self.check_option(name, value).doing(doing)?;
        }
        match (
            self.options.get("max-buffer-size"),
            self.options.get("mode").map(String::as_str),
        ) {
            (Some(_), None | Some("blocking")) => Err(Error::invalid("log option `max-buffer-size` needs `mode=non-blocking`")),
            _ => Ok(()),
        }
    }

    fn check_option(&self, name: &str, value: &str) -> Result<()> {
        let wrong = |why: &str| Err(Error::invalid(why));
        match name {
            "max-size" if value == "-1" => Ok(()),
            "max-size" => parse_size(value).map(|_| ()),
            "max-file" => match value.parse() {
                Ok(1..=MOST_FILES) => Ok(()),
                _ => wrong("it must be a number of files from 1 to 1000"),
            },
            "labels" | "env" => Ok(()),
            "tag" => Tag::parse(value).map(|_| ()),
            // A log is a file, which makes no writer wait for a reader: both are the same.
            "mode" if ["blocking", "non-blocking"].contains(&value) => Ok(()),
            "mode" => wrong("there are `blocking` and `non-blocking`"),
            "max-buffer-size" => parse_size(value).map(|_| ()),
            "compress" if value == "false" => Ok(()),
            "compress" => wrong("logs are not compressed"),
            "labels-regex" | "env-regex" => Err(Error::invalid("regular expressions are not supported")
                .hint(format!("name each with `{}`", name.trim_end_matches("-regex")))),
            _ => Err(Error::invalid(format!("unknown log option `{name}`"))
                .hint("there are `max-size`, `max-file`, `tag`, `labels`, `env`, `mode`, `max-buffer-size`")),
        }
    }

    /// How many files the log has at most.
    pub fn files(&self) -> u32 {
        let asked = self.options.get("max-file").and_then(|text| text.parse().ok());
        asked.unwrap_or(FILES)
    }

    /// How long each file may become; none is any length.
    pub fn size(&self) -> Option<u64> {
        match self.options.get("max-size") {
            None => Some(SIZE),
            Some(text) => parse_size(text).ok(),
        }
    }

    /// What each line of a container's log has besides its text: `"attrs":{…},`, or nothing.
    pub fn attributes(&self, spec: &Spec) -> Result<Vec<u8>> {
        let mut attributes = BTreeMap::new();
        for name in self.names("labels") {
            if let Some(value) = spec.options.labels.get(name) {
                attributes.insert(name.to_string(), value.clone());
            }
        }
        for name in self.names("env") {
            if let Some(value) = variable(&spec.options.environment, name) {
                attributes.insert(name.to_string(), value);
            }
        }
        if let Some(text) = self.options.get("tag").filter(|text| !text.is_empty()) {
            attributes.insert("tag".into(), Tag::parse(text)?.fill(spec));
        }
        if attributes.is_empty() {
            return Ok(Vec::new());
        }
        let json = serde_json::to_string(&attributes).map_err(Error::system)?;
        let text = format!("\"attrs\":{json},").into_bytes();
        if text.len() > ATTRIBUTES {
            return Err(Error::invalid("the attributes of the log are longer than 8 KiB")
                .hint("name fewer with `--log-opt labels=` or `env=`"));
        }
        Ok(text)
    }

    fn names(&self, option: &str) -> impl Iterator<Item = &str> {
        let names = self.options.get(option).map(|names| names.split(','));
        names.into_iter().flatten().map(str::trim).filter(|name| !name.is_empty())
    }
}

/// The value of a variable of lines `NAME=VALUE`.
fn variable(lines: &[Text], name: &str) -> Option<String> {
    let lines = lines.iter().rev().map(|line| line.to_string());
    let mut values = lines.filter_map(|line| {
        line.split_once('=')
            .map(|(name, value)| (name.to_string(), value.to_string()))
    });
    values.find(|(other, _)| other == name).map(|(_, value)| value)
}

/// A tag: text with `{{.Field}}` for what is known of the container.
struct Tag<'a> {
    /// What is before each field, and the field.
    parts: Vec<(&'a str, &'a str)>,
    rest: &'a str,
}

const FIELDS: [&str; 6] = [".ID", ".FullID", ".Name", ".ImageName", ".DaemonName", ".ImageID"];

impl<'a> Tag<'a> {
    fn parse(text: &'a str) -> Result<Tag<'a>> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let field = after.split_once("}}").map(|(field, after)| (field.trim(), after));
            let Some((field, after)) = field.filter(|(field, _)| FIELDS.contains(field)) else {
                return Err(Error::invalid("unknown field of a tag").hint(format!("there are {}", FIELDS.join(", "))));
            };
            parts.push((before, field));
            rest = after;
        }
        Ok(Tag { parts, rest })
    }

    fn fill(&self, spec: &Spec) -> String {
        let value = |field: &str| match field {
            ".ID" => spec.id.short().to_string(),
            ".FullID" => spec.id.to_string(),
            ".Name" => spec.name.clone(),
            ".DaemonName" => "tinydock".into(),
            ".ImageName" => spec.options.image.clone(),
            _ => spec.layers.last().map(ToString::to_string).unwrap_or_default(),
        };
        let parts = self.parts.iter().map(|(before, field)| before.to_string() + &value(field));
        parts.collect::<String>() + self.rest
    }
}

/// Reads a size: `10m`, `1.5g`, `200kb` count in thousands as Docker does, `10MiB` in 1024.
pub fn parse_size(text: &str) -> Result<u64> {
    let wrong = || Error::invalid("it must be a size greater than 0, such as `10m`, or -1 for any");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let unit = text[end..].trim_start().to_ascii_lowercase();
    let (prefix, base) = match unit.strip_suffix("ib") {
        Some(prefix) => (prefix, 1024f64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000.0),
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == prefix);
    let size = number * base.powi(power.ok_or_else(wrong)? as i32);
    if (1.0..1e18).contains(&size) {
        Ok(size as u64)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(driver: &str, options: &[&str]) -> Result<LogConfig> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        LogConfig::parse(Some(driver), &options)
    }

    #[test]
    fn a_log_is_rotated_unless_it_must_not_be() {
        for (options, files, size) in [
            (&[][..], 3, Some(10 << 20)),
            (&["max-size=1k"], 3, Some(1000)),
            (&["max-size=1.5MiB", "max-file=7"], 7, Some(3 << 19)),
            (&["max-size=-1", "max-file=1"], 1, None),
            (
                &["max-size=2gb", "mode=non-blocking", "max-buffer-size=4m"],
                3,
                Some(2_000_000_000),
            ),
        ] {
            for driver in ["json-file", "local"] {
                let config = parse(driver, options).unwrap();
                assert_eq!((config.files(), config.size()), (files, size), "{options:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (driver, options, wrong) in [
            ("syslog", &[][..], "log driver `syslog` is not available"),
            ("json-file", &["max-size"], "log option `max-size`: it must be `NAME=VALUE`"),
            ("json-file", &["nope=1"], "log option `nope=1`: unknown log option `nope`"),
            ("json-file", &["max-size=0"], "log option `max-size=0`: it must be a size"),
            ("local", &["max-size=-2"], "log option `max-size=-2`: it must be a size"),
            ("local", &["max-size=10x"], "log option `max-size=10x`: it must be a size"),
            ("json-file", &["max-file=0"], "log option `max-file=0`: it must be a number"),
            (
                "json-file",
                &["max-file=1001"],
                "log option `max-file=1001`: it must be a number",
            ),
            ("json-file", &["mode=fast"], "log option `mode=fast`: there are `blocking`"),
            (
                "json-file",
                &["compress=true"],
                "log option `compress=true`: logs are not compressed",
            ),
            (
                "json-file",
                &["env-regex=^A"],
                "log option `env-regex=^A`: regular expressions",
            ),
            ("json-file", &["tag={{.Nope}}"], "log option `tag={{.Nope}}`: unknown field"),
            ("json-file", &["max-buffer-size=1m"], "log option `max-buffer-size` needs"),
        ] {
            let error = parse(driver, options).unwrap_err().to_string();
            assert!(error.starts_with(wrong), "{error}");
        }
        assert_eq!(parse("none", &["anything=1"]).unwrap().driver, Driver::None);
    }
}
