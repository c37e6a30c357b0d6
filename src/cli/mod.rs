//! The command line: what Docker's users type, one file per command. Only this floor writes to the terminal.

mod archives;
mod attach;
mod commands;
mod commit;
mod completion;
mod confirm;
mod container;
mod cp;
mod create;
mod debug;
mod diff;
mod disk;
mod events;
mod exec;
mod explain;
mod export;
mod filter;
mod fsck;
mod help;
mod history;
mod image;
mod images;
mod info;
mod inspect;
mod kill;
mod listing;
mod login;
mod logs;
mod ls;
mod manual;
mod network;
mod pattern;
mod pause;
mod port;
mod progress;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod rm;
mod run;
mod start;
mod stats;
mod stop;
mod system;
mod table;
mod template;
mod top;
mod units;
mod update;
mod version;
mod volume;
mod wait;
mod why;

use std::ffi::OsString;
use std::io::Write;

use commands::{ALIASES, COMMANDS};

use crate::engine::Engine;
use crate::error::{Doing, Error, Result, plain};
use crate::flags::{self, Flag, Order, Parsed};
use crate::store::Store;

/// A command and all that help, completion and the manual say about it.
pub struct Command {
    /// Its words: `network create`.
    pub name: &'static str,
    /// Its arguments, as usage lines have them.
    pub usage: &'static str,
    pub summary: &'static str,
    pub flags: &'static [Flag],
    pub order: Order,
    /// How many arguments it takes: at least and at most.
    pub arguments: (usize, usize),
    /// The exit status of an error that is not the container's own.
    pub failure: u8,
    pub run: fn(&Engine, Parsed) -> Result<u8>,
}

/// What asks for help about a group of commands.
const HELP: [&str; 3] = ["-h", "-help", "--help"];

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// The flags that come before the command.
const GLOBAL: [Flag; 3] = [
    flags::option(
        "root",
        None,
        "DIRECTORY",
        "Keep everything below this directory (TINYDOCK_ROOT)",
    ),
    flags::switch("version", Some(b'v'), "Print the version"),
    flags::switch("help", Some(b'h'), "Print help"),
];

/// Runs a command line. Returns the status to exit with.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let failure = std::cell::Cell::new(125);
    match dispatch(arguments, &failure) {
        Ok(status) => status,
        Err(error) => {
            report(&error);
            if error.exit_status() == 125 {
                failure.get()
            } else {
                error.exit_status()
            }
        }
    }
}

/// Writes an error to the terminal.
pub fn report(error: &Error) {
    let _ = writeln!(std::io::stderr(), "tinydock: {}", plain(&error.to_string()));
}

/// Writes something the user should know to the terminal.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "tinydock: warning: {}", plain(text));
}

/// Undoes what killed processes have left; where many containers run, only some are looked at, others each time. That this fails is no
/// reason not to do what was asked for.
fn tidy(engine: &Engine) {
    if let Err(error) = engine.recover_some() {
        warn(&error.to_string());
    }
}

/// The same, and all are looked at: for what is about all that there is.
fn tidy_all(engine: &Engine) {
    if let Err(error) = engine.recover() {
        warn(&error.to_string());
    }
}

/// Writes text to the standard output. A reader that has gone ends us quietly.
fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .doing(|| "write the output")
}

fn dispatch(arguments: Vec<OsString>, failure: &std::cell::Cell<u8>) -> Result<u8> {
    let global = flags::parse(&GLOBAL, Order::FlagsFirst, arguments)?;
    if global.is_set("version") {
        return print(format!("tinydock {}\n", env!("CARGO_PKG_VERSION"))).map(|()| 0);
    }
    let mut words = global.arguments.clone().into_iter();
    let first = words.next().map(|word| word.display().to_string());
    let Some(first) = first.filter(|word| !global.is_set("help") && word != "help") else {
        return help::print(
            words
                .map(|word| word.display().to_string())
                .collect::<Vec<_>>()
                .join(" ")
                .as_str(),
        );
    };
    let words: Vec<OsString> = words.collect();
    if is_group(&first) && words.first().is_none_or(|word| HELP.iter().any(|help| word == help)) {
        return help::print(&first);
    }
    let (command, words) = find(&first, words)?;
    failure.set(command.failure);
    if wants_help(command, &words) {
        return help::print(command.name);
    }
    let parsed = flags::parse(command.flags, command.order, words).map_err(|error| see_help(error, command))?;
    check_count(command, parsed.arguments.len()).map_err(|error| see_help(error, command))?;
    let root = global.last("root").map(Into::into);
    (command.run)(&Engine::new(Store::find(root)?), parsed)
}

/// The command that the first words name, and the words after them.
fn find(first: &str, mut words: Vec<OsString>) -> Result<(&'static Command, Vec<OsString>)> {
    if let Some(command) = named(first) {
        return Ok((command, words));
    }
    if is_group(first) {
        let second = words.first().map(|word| word.display().to_string()).unwrap_or_default();
        if let Some(command) = named(&format!("{first} {second}")) {
            words.remove(0);
            return Ok((command, words));
        }
        let unknown = Error::invalid(format!("`{second}` is not a command of `tinydock {first}`"));
        return Err(match help::nearest(&second, &format!("{first} ")) {
            Some(near) => unknown.hint(format!("did you mean `{first} {near}`?")),
            None => unknown.hint(format!("`tinydock help {first}` lists them")),
        });
    }
    let known = Error::invalid(format!("`{first}` is not a tinydock command"));
    Err(match help::nearest(first, "") {
        Some(near) => known.hint(format!("did you mean `{near}`?")),
        None => known.hint("`tinydock help` lists them"),
    })
}

/// The command with this name.
fn named(name: &str) -> Option<&'static Command> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    COMMANDS.iter().copied().find(|command| command.name == name)
}

/// Whether a word is what several commands begin with.
fn is_group(word: &str) -> bool {
    let names = COMMANDS.iter().map(|command| command.name);
    let mut names = names.chain(ALIASES.iter().map(|(alias, _)| *alias));
    names.any(|name| name.split_once(' ').is_some_and(|(group, _)| group == word))
}

/// Whether the words before the first argument ask for help.
fn wants_help(command: &Command, words: &[OsString]) -> bool {
    let own = words
        .iter()
        .take_while(|word| *word != "--" && (command.order == Order::Mixed || word.as_encoded_bytes().starts_with(b"-")));
    own.into_iter().any(|word| word == "--help" || word == "-help")
}

fn check_count(command: &Command, count: usize) -> Result<()> {
    let (least, most) = command.arguments;
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let number = |n: usize| format!("{n} argument{}", if n == 1 { "" } else { "s" });
    let wanted = match (least, most) {
        (0, 0) => "accepts no arguments".to_string(),
        (least, most) if least == most => format!("requires exactly {}", number(least)),
        (least, _) if count < least => format!("requires at least {}", number(least)),
        (_, most) => format!("accepts at most {}", number(most)),
    };
    Err(Error::invalid(format!("'tinydock {}' {wanted}", command.name)))
}

fn see_help(error: Error, command: &Command) -> Error {
    error.or_hint(format!("see `tinydock {} --help`", command.name))
}

/// Does something with each of several containers or networks. All are tried; the errors are reported as they come, and the
/// status tells whether there were any.
fn for_each(names: &[OsString], mut act: impl FnMut(&str) -> Result<()>) -> Result<u8> {
    for_those(names, |name| act(name).map(|()| true))
}

/// The same where something is not done with all of them, which is no error: the names of those are not printed.
fn for_those(names: &[OsString], mut act: impl FnMut(&str) -> Result<bool>) -> Result<u8> {
    let mut status = 0;
    for name in names {
        let name = name.display().to_string();
        match act(&name) {
            Ok(true) => print(format!("{name}\n"))?,
            Ok(false) => {}
            Err(error) => {
                report(&error);
                status = 1;
            }
        }
    }
    Ok(status)
}
