//! Help, made from the table of commands.

use std::fmt::Write;

use super::{ALIASES, COMMANDS, Command, GLOBAL, named};
use crate::error::{Error, Result};
use crate::flags::{self, list};

/// Prints help about everything, about a group of commands, or about one.
pub fn print(name: &str) -> Result<u8> {
    let text = match named(name) {
        Some(command) => about(command),
        None if name.is_empty() => overview(""),
        None if super::is_group(name) => overview(&format!("{name} ")),
        None => return Err(Error::invalid(format!("`{name}` is not a tinydock command"))),
    };
    super::print(text).map(|()| 0)
}

fn overview(group: &str) -> String {
    let mut text = format!("Usage: tinydock [--root DIRECTORY] {group}COMMAND\n\n");
    if group.is_empty() {
        text = format!("tinydock runs containers, and can show every step it takes.\n\n{text}");
    }
    text.push_str("Commands:\n");
    let commands = in_group(group);
    let width = commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, summary) in commands {
        let _ = writeln!(text, "  {name:width$}   {summary}");
    }
    if group.is_empty() {
        let _ = write!(text, "\nDocker's groups work as well, as in `tinydock container ls`.\n");
        let _ = write!(text, "\nFlags:\n{}", list(&GLOBAL));
    }
    let _ = writeln!(text, "\n`tinydock COMMAND --help` tells more about a command.");
    text
}

/// The names and summaries of a group's commands; those of other names are in groups only.
fn in_group(group: &str) -> Vec<(&'static str, &'static str)> {
    let own = COMMANDS.iter().map(|command| (command.name, command.summary));
    let other = ALIASES
        .iter()
        .filter(|_| !group.is_empty())
        .filter_map(|(alias, name)| Some((*alias, named(name)?.summary)));
    own.chain(other).filter(|(name, _)| name.starts_with(group)).collect()
}

fn about(command: &Command) -> String {
    let mut text = format!("Usage: tinydock {} {}\n\n{}.\n", command.name, command.usage, command.summary);
    if !command.flags.is_empty() {
        let _ = write!(text, "\nFlags:\n{}", list(command.flags));
    }
    text
}

/// The command whose name is nearest to a mistyped one, if any is near: its last word, where the words in `group` come before it.
pub fn nearest(word: &str, group: &str) -> Option<&'static str> {
    let own = COMMANDS.iter().map(|command| command.name);
    let other = ALIASES.iter().map(|(alias, _)| *alias);
    flags::nearest(word, own.chain(other).filter_map(|name| name.strip_prefix(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_commands_have_a_nearest_one() {
        for (word, near) in [
            ("rnu", Some("run")),
            ("log", Some("logs")),
            ("stpo", Some("stop")),
            ("frobnicate", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, ""), near, "{word}");
        }
        assert_eq!(nearest("craete", "network "), Some("create"));
        assert_eq!(nearest("exce", "container "), Some("exec"));
        assert_eq!(nearest("frobnicate", "network "), None);
    }

    #[test]
    fn help_names_every_command_and_flag() {
        let text = overview("");
        assert!(COMMANDS.iter().all(|command| text.contains(command.name)));
        for command in COMMANDS {
            let text = about(command);
            assert!(
                command.flags.iter().all(|flag| text.contains(&format!("--{}", flag.long))),
                "{}",
                command.name
            );
        }
    }
}
