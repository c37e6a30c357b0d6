//! `tinydock completion` and `tinydock manual`: what shells and man(1) want to know, made from the table of commands.

use std::fmt::Write;

use super::{COMMANDS, Command, GLOBAL, print};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Order, Parsed};

pub const COMPLETION: Command = Command {
    name: "completion",
    usage: "bash|zsh|fish",
    summary: "Print the completion script for a shell",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: completion,
};

pub const MANUAL: Command = Command {
    name: "manual",
    usage: "",
    summary: "Print the manual page, for man(1)",
    flags: &[],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: manual,
};

fn completion(_: &Engine, parsed: Parsed) -> Result<u8> {
    let shell = parsed.arguments[0].display().to_string();
    let script = match shell.as_str() {
        "bash" => bash(),
        "zsh" => format!("#compdef tinydock\nautoload -U +X bashcompinit && bashcompinit\n{}", bash()),
        "fish" => fish(),
        _ => return Err(Error::invalid(format!("no completion for `{shell}`")).hint("there is one for bash, zsh and fish")),
    };
    print(script).map(|()| 0)
}

/// All words that can follow the words in `before`: commands, or their second words.
fn words(before: &str) -> Vec<&'static str> {
    let rest = COMMANDS.iter().filter_map(|command| command.name.strip_prefix(before));
    let mut words: Vec<&str> = rest.map(|rest| rest.split(' ').next().unwrap_or_default()).collect();
    words.dedup();
    words
}

fn bash() -> String {
    let mut cases = String::new();
    for command in COMMANDS {
        let flags: Vec<String> = command.flags.iter().map(|flag| format!("--{}", flag.long)).collect();
        let _ = writeln!(cases, "    '{}') words='{} --help' ;;", command.name, flags.join(" "));
    }
    format!(
        "_tinydock() {{\n  local words=''\n  local line=\"${{COMP_WORDS[1]}}\"\n  [ \"$line\" = network ] && line=\"$line ${{COMP_WORDS[2]}}\"\n  \
         case \"$line\" in\n{cases}    *) words='{}' ;;\n  esac\n  [ \"${{COMP_WORDS[1]}}\" = network ] && [ \"$COMP_CWORD\" = 2 ] && words='{}'\n  \
         [ \"$COMP_CWORD\" = 1 ] && words='{}'\n  case \"${{COMP_WORDS[1]}}\" in\n    exec|logs|stop|rm|commit)\n      \
         [[ \"${{COMP_WORDS[COMP_CWORD]}}\" == -* ]] || words=\"$(tinydock ls -a -q 2>/dev/null)\" ;;\n  esac\n  \
         COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\ncomplete -o default -F _tinydock tinydock\n",
        words("").join(" "),
        words("network ").join(" "),
        words("").join(" "),
    )
}

fn fish() -> String {
    let mut text = String::from("complete -c tinydock -f\n");
    for command in COMMANDS {
        let (first, rest) = command.name.split_once(' ').unwrap_or((command.name, ""));
        if rest.is_empty() {
            let _ = writeln!(
                text,
                "complete -c tinydock -n __fish_use_subcommand -a {first} -d '{}'",
                command.summary
            );
        } else {
            let _ = writeln!(
                text,
                "complete -c tinydock -n '__fish_seen_subcommand_from {first}' -a {rest} -d '{}'",
                command.summary
            );
        }
        for flag in command.flags {
            let short = flag.short.map_or(String::new(), |short| format!(" -s {}", char::from(short)));
            let takes = if flag.value.is_some() { " -r" } else { "" };
            let _ = writeln!(
                text,
                "complete -c tinydock -n '__fish_seen_subcommand_from {first}' -l {}{short}{takes} -d '{}'",
                flag.long, flag.help
            );
        }
    }
    text.push_str(
        "complete -c tinydock -n '__fish_seen_subcommand_from exec logs stop rm commit' -a '(tinydock ls -a -q 2>/dev/null)'\n",
    );
    text
}

fn manual(_: &Engine, _: Parsed) -> Result<u8> {
    let mut text = String::from(
        ".TH TINYDOCK 1\n.SH NAME\ntinydock \\- run containers, and show every step\n.SH SYNOPSIS\n.B tinydock\n[\\-\\-root DIRECTORY] COMMAND\n\
         .SH DESCRIPTION\nA container engine in one static binary, without a daemon.\n.SH COMMANDS\n",
    );
    for command in COMMANDS {
        let _ = writeln!(
            text,
            ".SS tinydock {} {}\n{}.",
            escape(command.name),
            escape(command.usage),
            escape(command.summary)
        );
        command.flags.iter().for_each(|flag| describe(&mut text, flag));
    }
    text.push_str(".SH OPTIONS\n");
    GLOBAL.iter().for_each(|flag| describe(&mut text, flag));
    text.push_str(
        ".SH EXIT STATUS\n.B run\nand\n.B exec\nexit with the status of the command: 128+n if signal n killed it, 127 if it was not found, 126 if it \
         could not be executed, 125 if tinydock itself failed.\n.SH FILES\n.TP\n.I /var/lib/tinydock/image/registry/NAME.tar.gz\nA root file system \
         that is the image NAME.\n",
    );
    print(text).map(|()| 0)
}

fn describe(text: &mut String, flag: &crate::flags::Flag) {
    let short = flag
        .short
        .map_or(String::new(), |short| format!("\\-{}, ", char::from(short)));
    let value = flag.value.map_or(String::new(), |value| format!(" {}", escape(value)));
    let _ = writeln!(text, ".TP\n{short}\\-\\-{}{value}\n{}.", escape(flag.long), escape(flag.help));
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
