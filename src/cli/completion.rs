//! `tinydock completion`: what shells complete.
//!
//! A shell's script only asks: `tinydock completion words -- WORD...` prints what the last word may become. So all shells know the same,
//! and what they know is in the table of commands: what a command's arguments are follows from its usage line.

use super::{ALIASES, COMMANDS, Command, GLOBAL, named, print};
use crate::engine::{Engine, ImageFilter};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed};

pub const COMMAND: Command = Command {
    name: "completion",
    usage: "bash|zsh|fish",
    summary: "Print the completion script for a shell",
    flags: &[],
    order: Order::FlagsFirst,
    arguments: (1, super::MANY),
    failure: 1,
    run,
};

const BASH: &str = "_tinydock() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\" -- \"${COMP_WORDS[COMP_CWORD]}\"))
}
complete -o default -F _tinydock tinydock
";

const ZSH: &str = "#compdef tinydock\nautoload -U +X bashcompinit && bashcompinit\n";

const FISH: &str =
    "complete -c tinydock -f -a '(tinydock completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
complete -c tinydock -F -n 'contains -- (commandline -ct | string sub -l 1) . /'
";

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let words: Vec<String> = parsed.arguments.iter().map(|word| word.display().to_string()).collect();
    let text = match words[0].as_str() {
        "words" => {
            let given = words.get(1..).unwrap_or_default();
            let given = if given.first().is_some_and(|word| word == "--") {
                &given[1..]
            } else {
                given
            };
            candidates(engine, given).join("\n") + "\n"
        }
        "bash" => BASH.into(),
        "zsh" => format!("{ZSH}{BASH}"),
        "fish" => FISH.into(),
        shell => return Err(Error::invalid(format!("no completion for `{shell}`")).hint("there is one for bash, zsh and fish")),
    };
    print(text).map(|()| 0)
}

/// What the last word may become. Words that begin differently are left out.
fn candidates(engine: &Engine, words: &[String]) -> Vec<String> {
    let Some((current, before)) = words.split_last() else {
        return Vec::new();
    };
    let mut found = match meant(before) {
        Place::Command(prefix) => commands(&prefix),
        Place::Argument(_, _, Some(what)) => names(engine, what),
        Place::Argument(command, ..) if current.starts_with('-') => flags(command),
        Place::Argument(command, position, None) => argument(command, position).map_or_else(Vec::new, |what| names(engine, what)),
        Place::Value => Vec::new(),
    };
    found.retain(|word| word.starts_with(current.as_str()));
    found.sort();
    found.dedup();
    found
}

/// What the words before the last one lead to.
enum Place {
    /// A command, or the second word of one.
    Command(String),
    /// An argument, with its position among the arguments, or the value of a flag, if it is known what that is.
    Argument(&'static Command, usize, Option<&'static str>),
    /// The value of a flag that could be anything.
    Value,
}

fn meant(before: &[String]) -> Place {
    let mut words = before.iter().map(String::as_str).peekable();
    while let Some(word) = words.next_if(|word| word.starts_with('-')) {
        if takes_value(&GLOBAL, word).is_some() && words.next().is_none() {
            return Place::Value;
        }
    }
    let Some(first) = words.next() else {
        return Place::Command(String::new());
    };
    let command = match named(first) {
        Some(command) => command,
        None => match words.next() {
            None => return Place::Command(format!("{first} ")),
            Some(second) => match named(&format!("{first} {second}")) {
                Some(command) => command,
                None => return Place::Value,
            },
        },
    };
    let mut position = 0;
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word.len() == 1 {
            position += 1;
        } else if let Some(flag) = takes_value(command.flags, word)
            && words.next().is_none()
        {
            // A `NAME` is a new one.
            return match flag.value.and_then(kind).filter(|what| *what != "NAME") {
                Some(what) => Place::Argument(command, position, Some(what)),
                None => Place::Value,
            };
        }
    }
    Place::Argument(command, position, None)
}

/// The flag whose value is the next word: a long one without `=`, or the last of several short ones.
fn takes_value<'f>(flags: &'f [Flag], word: &str) -> Option<&'f Flag> {
    let long = word.trim_start_matches('-');
    let by_name = flags.iter().find(|flag| flag.long == long);
    let last = long.bytes().last().filter(|_| !word.starts_with("--"));
    let by_letter = || flags.iter().find(|flag| flag.short.is_some() && flag.short == last);
    by_name.or_else(by_letter).filter(|flag| flag.value.is_some())
}

/// All words that can follow the words in `prefix`: commands, or their second words.
fn commands(prefix: &str) -> Vec<String> {
    let own = COMMANDS.iter().map(|command| command.name);
    let all = own.chain(ALIASES.iter().map(|(alias, _)| *alias));
    let rest = all.filter_map(|name| name.strip_prefix(prefix)?.split(' ').next());
    rest.map(String::from).collect()
}

fn flags(command: &Command) -> Vec<String> {
    let own = command.flags.iter().map(|flag| format!("--{}", flag.long));
    own.chain(["--help".to_string()]).collect()
}

/// What the argument at a position is, as the usage line has it: the last one may be repeated.
fn argument(command: &Command, position: usize) -> Option<&'static str> {
    let mut depth = 0;
    let mut arguments = Vec::new();
    for word in command.usage.split(' ') {
        let is_flag = depth > 0 || word.starts_with("[-") || word == "[FLAGS]";
        if is_flag {
            depth += word.matches('[').count();
            depth -= word.matches(']').count().min(depth);
        } else {
            arguments.push(word);
        }
    }
    let last = arguments.last().filter(|word| word.contains("..."));
    kind(arguments.get(position).or(last)?)
}

/// What a word of a usage line stands for, if it is something that has names.
fn kind(word: &str) -> Option<&'static str> {
    let known = ["CONTAINER", "IMAGE", "NETWORK", "VOLUME", "NAME"];
    let letters = word.trim_matches(|c: char| !c.is_ascii_uppercase());
    known
        .into_iter()
        .find(|known| letters == *known || letters.split(['|', ':']).any(|part| part == *known))
}

/// The names of what there is. What cannot be read has none.
fn names(engine: &Engine, what: &str) -> Vec<String> {
    let containers = || {
        let listed = engine.list(true, |_| ()).unwrap_or_default();
        listed.into_iter().map(|listed| listed.brief.name).collect::<Vec<_>>()
    };
    let images = || {
        let listed = engine.images(&ImageFilter::default(), |_| ()).unwrap_or_default();
        let names = listed.iter().filter_map(|image| image.name());
        names
            .map(|name| name.strip_suffix(":latest").unwrap_or(&name).to_string())
            .collect::<Vec<_>>()
    };
    let networks = || {
        let listed = engine.networks().unwrap_or_default();
        let modes = ["bridge", "host", "none"].map(String::from);
        listed
            .into_iter()
            .map(|network| network.name)
            .chain(modes)
            .collect::<Vec<_>>()
    };
    let volumes = || {
        let listed = engine.volumes().unwrap_or_default();
        listed.into_iter().map(|(volume, _)| volume.name).collect::<Vec<_>>()
    };
    match what {
        "CONTAINER" => containers(),
        "IMAGE" => images(),
        "NETWORK" => networks(),
        "VOLUME" => volumes(),
        _ => [containers(), images(), networks(), volumes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_lines_tell_what_arguments_are() {
        for (name, position, what) in [
            ("rm", 0, Some("CONTAINER")),
            ("container rm", 3, Some("CONTAINER")),
            ("run", 0, Some("IMAGE")),
            ("run", 1, None),
            ("network rm", 0, Some("NETWORK")),
            ("volume rm", 1, Some("VOLUME")),
            ("port", 0, Some("CONTAINER")),
            ("port", 1, None),
            ("inspect", 2, Some("NAME")),
            ("image inspect", 0, Some("IMAGE")),
            ("ps", 0, None),
            ("exec", 0, Some("CONTAINER")),
        ] {
            assert_eq!(argument(named(name).unwrap(), position), what, "{name} {position}");
        }
    }

    #[test]
    fn the_words_before_tell_the_place() {
        let place = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(String::from).collect();
            match meant(&words) {
                Place::Command(prefix) => format!("command `{prefix}`"),
                Place::Argument(command, position, what) => format!("{} {position} {what:?}", command.name),
                Place::Value => "value".into(),
            }
        };
        for (line, expected) in [
            ("", "command ``"),
            ("--root /x", "command ``"),
            ("--root", "value"),
            ("network", "command `network `"),
            ("container exec", "exec 0 None"),
            ("run --network", "run 0 Some(\"NETWORK\")"),
            ("run --name", "value"),
            ("run --rm -it", "run 0 None"),
            ("run -e A=b busybox", "run 1 None"),
            ("run -e", "value"),
            ("rm -f a", "rm 1 None"),
        ] {
            assert_eq!(place(line), expected, "{line}");
        }
    }
}
