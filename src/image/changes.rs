//! Changes of a configuration, as the lines of a Dockerfile spell them: what `commit -c` and `import -c` understand.

use serde_json::{Map, Value};

use super::config::Set;
use super::{Execution, Healthcheck};
use crate::error::{Doing, Error, Result};
use crate::store::parse_duration;

impl Execution {
    /// Applies changes one after the other. An entry point is not given the arguments that were meant for another one: it takes the
    /// command away, unless a change before it has said what that is (Dockerfile reference, "Understand how CMD and ENTRYPOINT interact").
    pub fn change_all(&mut self, lines: &[String]) -> Result<()> {
        let mut has_command = false;
        for line in lines {
            let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
            let word = word.to_ascii_uppercase();
            if word == "ENTRYPOINT" && !has_command {
                self.cmd = None;
            }
            has_command |= word == "CMD";
            self.apply(&word, rest.trim())
                .doing(|| format!("change `{}`", line.escape_debug()))?;
        }
        Ok(())
    }

    /// Applies one change, such as `ENTRYPOINT ["/app"]` or `ENV A=b C="d e"`.
    fn apply(&mut self, word: &str, rest: &str) -> Result<()> {
        if rest.is_empty() {
            return Err(Error::invalid("it says nothing after its first word"));
        }
        match word {
            "CMD" => self.cmd = Some(command(rest)),
            "ENTRYPOINT" => self.entrypoint = Some(command(rest)),
            "ENV" => {
                for (name, value) in pairs(rest)? {
                    self.env.retain(|line| line.split('=').next() != Some(&name));
                    self.env.push(format!("{name}={value}"));
                }
            }
            "LABEL" => self.labels.extend(pairs(rest)?),
            "EXPOSE" => {
                for port in words(rest)? {
                    let port = if port.contains('/') { port } else { format!("{port}/tcp") };
                    let (number, protocol) = port.split_once('/').unwrap_or((&port, ""));
                    if number.parse::<u16>().is_err() || !["tcp", "udp", "sctp"].contains(&protocol) {
                        return Err(Error::invalid(format!("`{port}` is no port")));
                    }
                    self.exposed_ports.insert(port, Value::Object(Map::new()));
                }
            }
            "VOLUME" => self.volumes.extend(volumes(rest)?),
            "USER" => self.user = rest.into(),
            "WORKDIR" if rest.starts_with('/') => self.working_dir = rest.into(),
            "WORKDIR" => self.working_dir = format!("{}/{rest}", self.working_dir.trim_end_matches('/')),
            "STOPSIGNAL" => match crate::kernel::signal::parse(rest) {
                Some(_) => self.stop_signal = rest.into(),
                None => return Err(Error::invalid(format!("`{rest}` is no signal"))),
            },
            "ONBUILD" => self.on_build.push(rest.into()),
            "SHELL" => self.shell = Some(list(rest).ok_or_else(|| Error::invalid("it takes a list in JSON"))?),
            "HEALTHCHECK" => self.healthcheck = Some(healthcheck(rest)?),
            _ => {
                return Err(Error::invalid("it is none that tinydock knows").hint(
                    "there are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR",
                ));
            }
        }
        Ok(())
    }
}

/// A list in JSON.
fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

/// A command: a list in JSON, or a line for the shell.
fn command(text: &str) -> Vec<String> {
    list(text).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), text.into()])
}

fn volumes(text: &str) -> Result<Set> {
    let paths = list(text).map_or_else(|| words(text), Ok)?;
    Ok(paths.into_iter().map(|path| (path, Value::Object(Map::new()))).collect())
}

/// `NAME=VALUE` pairs, or one name and its value with a space between them.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text)?;
    if words.first().is_some_and(|word| !word.contains('=')) {
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok(vec![(name.into(), value.trim().into())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err(Error::invalid(format!("`{word}` is no NAME=VALUE"))),
    };
    words.into_iter().map(pair).collect()
}

/// The words of a line. Quotes and backslashes keep spaces together.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Error::invalid("a quote has no end"));
    }
    words.extend(word);
    Ok(words)
}

fn healthcheck(text: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let wrong = || Error::invalid(format!("`--{flag}` is no flag of a health check"));
        let time = || parse_duration(value).map(|time| time.as_nanos() as u64);
        match name {
            "interval" => check.interval = Some(time()?),
            "timeout" => check.timeout = Some(time()?),
            "start-period" => check.start_period = Some(time()?),
            "start-interval" => check.start_interval = Some(time()?),
            "retries" => check.retries = Some(value.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
        rest = after.trim_start();
    }
    check.test = match rest
        .split_once(char::is_whitespace)
        .map_or((rest, ""), |(word, rest)| (word, rest.trim()))
    {
        ("NONE", "") => vec!["NONE".into()],
        ("CMD", "") => return Err(Error::invalid("it names no command")),
        ("CMD", line) => match list(line) {
            Some(words) => ["CMD".to_string()].into_iter().chain(words).collect(),
            None => vec!["CMD-SHELL".into(), line.into()],
        },
        _ => return Err(Error::invalid("it is neither `NONE` nor `CMD` and a command")),
    };
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_lines_of_a_dockerfile() {
        let mut execution = Execution::default();
        let lines = [
            r#"CMD ["a", "b c"]"#,
            "entrypoint run it",
            r#"ENV A=1 B="two words" C=three\ words"#,
            "ENV A 2 and more",
            "LABEL k=v",
            "EXPOSE 80 53/udp",
            r#"VOLUME ["/data"]"#,
            "VOLUME /more /yet",
            "USER 1:2",
            "WORKDIR /a",
            "WORKDIR b",
            "STOPSIGNAL SIGINT",
            "HEALTHCHECK --interval=1m30s --retries=2 CMD curl x",
        ];
        execution.change_all(&lines.map(String::from)).unwrap();
        assert_eq!(execution.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(execution.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(execution.env, ["B=two words", "C=three words", "A=2 and more"]);
        assert_eq!(execution.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(execution.volumes.keys().collect::<Vec<_>>(), ["/data", "/more", "/yet"]);
        assert_eq!(execution.working_dir, "/a/b");
        let check = execution.healthcheck.unwrap();
        assert_eq!((check.interval, check.retries), (Some(90_000_000_000), Some(2)));
        assert_eq!(check.test, ["CMD-SHELL", "curl x"]);
    }

    #[test]
    fn an_entry_point_takes_the_command_of_others_away() {
        for (lines, command) in [
            (&["ENTRYPOINT x"][..], None),
            (&["entrypoint x", "CMD [\"y\"]"], Some("y")),
            (&["cmd [\"y\"]", "ENTRYPOINT x"], Some("y")),
            (&["ENV A=b"], Some("old")),
        ] {
            let mut execution = Execution {
                cmd: Some(vec!["old".into()]),
                ..Execution::default()
            };
            let given: Vec<String> = lines.iter().map(ToString::to_string).collect();
            execution.change_all(&given).unwrap();
            assert_eq!(execution.cmd.map(|words| words.concat()).as_deref(), command, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for line in [
            "",
            "RUN x",
            "ENV",
            "ENV =x",
            "ENV A=\"x",
            "EXPOSE x",
            "STOPSIGNAL SIGNOTHING",
            "HEALTHCHECK x",
            "SHELL sh",
        ] {
            assert!(Execution::default().change_all(&[line.to_string()]).is_err(), "{line}");
        }
    }
}
