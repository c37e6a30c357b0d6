//! The commands of the runtime: what each takes, and what it prints.

mod checkpoint;
mod events;
mod lifecycle;
mod list;
mod process;
mod update;

use std::ffi::OsString;
use std::io::Write;

use super::container::Container;
use super::{Command, Context, GLOBAL, NAME, VERSION};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed};

/// All commands, in the order in which help lists them.
pub const ALL: [&Command; 18] = [
    &lifecycle::CREATE,
    &lifecycle::START,
    &lifecycle::RUN,
    &lifecycle::STATE,
    &lifecycle::KILL,
    &lifecycle::DELETE,
    &process::EXEC,
    &list::LIST,
    &list::PS,
    &lifecycle::PAUSE,
    &lifecycle::RESUME,
    &checkpoint::CHECKPOINT,
    &checkpoint::RESTORE,
    &events::EVENTS,
    &update::UPDATE,
    &super::spec::SPEC,
    &super::features::FEATURES,
    &HELP,
];

const HELP: Command = Command {
    name: "help",
    usage: "[COMMAND]",
    summary: "Print help",
    flags: &[],
    order: crate::flags::Order::Mixed,
    arguments: (0, 1),
    failure: 1,
    run: |_, parsed| help(parsed.arguments.first().map(|word| word.display().to_string()).as_deref()),
};

/// The container that the first argument names.
fn container(context: &Context, parsed: &Parsed) -> Result<Container> {
    context.root.find(&id(parsed))
}

/// The first argument.
fn id(parsed: &Parsed) -> String {
    parsed
        .arguments
        .first()
        .map(|word: &OsString| word.display().to_string())
        .unwrap_or_default()
}

/// Writes text to the standard output.
pub fn print(text: impl AsRef<[u8]>) -> Result<u8> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
    written.doing(|| "write the output").map(|()| 0)
}

/// Writes a structure to the standard output, as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<u8> {
    print(serde_json::to_string_pretty(value).map_err(Error::system)? + "\n")
}

/// Reads a number of a flag.
fn number<T: std::str::FromStr>(parsed: &Parsed, flag: &str) -> Result<Option<T>> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Error::invalid(format!("`--{flag}`: `{text}` is not such a number")))
    };
    parsed.text(flag)?.map(read).transpose()
}

/// Reads how many descriptors after the standard streams the command inherits, with those of systemd's that are announced so
/// (sd_listen_fds(3)) if `listens`. All must be there: what is opened later in their place would be ours, and the container's then.
fn preserved(parsed: &Parsed, listens: bool) -> Result<u32> {
    let listening = std::env::var("LISTEN_FDS").ok().filter(|_| listens);
    let listening: u32 = listening.and_then(|text| text.parse().ok()).unwrap_or(0);
    let count = number::<u32>(parsed, "preserve-fds")?.unwrap_or(0).saturating_add(listening);
    match (3..count.saturating_add(3)).find(|descriptor| !is_inherited(*descriptor)) {
        None => Ok(count),
        Some(missing) => Err(Error::invalid(format!(
            "`--preserve-fds` and LISTEN_FDS announce {count} descriptors, but {missing} is not open"
        ))),
    }
}

/// Whether a descriptor was open when we were executed: all of ours close on exec (proc_pid_fdinfo(5)).
fn is_inherited(descriptor: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_CLOEXEC == 0)
}

pub fn version() -> Result<u8> {
    print(format!("{NAME} version {}\nspec: {VERSION}\n", env!("CARGO_PKG_VERSION")))
}

/// Prints help about everything, or about one command.
pub fn help(name: Option<&str>) -> Result<u8> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        let commands: Vec<String> = ALL
            .iter()
            .map(|command| format!("  {:12} {}\n", command.name, command.summary))
            .collect();
        let flags = list(&GLOBAL);
        return print(format!(
            "Usage: {NAME} [FLAGS] COMMAND\n\nRuns containers from OCI bundles.\n\nCommands:\n{}\nFlags:\n{flags}",
            commands.concat()
        ));
    };
    let command = ALL.iter().find(|command| command.name == name);
    let command = command.ok_or_else(|| Error::invalid(format!("`{name}` is not a command of the runtime")))?;
    let mut text = format!("Usage: {NAME} {name} {}\n\n{}.\n", command.usage, command.summary);
    if !command.flags.is_empty() {
        text += &format!("\nFlags:\n{}", list(command.flags));
    }
    print(text)
}

fn list(flags: &[Flag]) -> String {
    crate::flags::list(flags)
}
