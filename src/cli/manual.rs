//! `tinydock manual`: the pages for man(1), made from the table of commands: one about all, and one for each command.

use std::fmt::Write;

use super::{ALIASES, COMMANDS, Command, GLOBAL, named, print};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, switch};

pub const COMMAND: Command = Command {
    name: "manual",
    usage: "[--names] [COMMAND]",
    summary: "Print a manual page, for man(1)",
    flags: &[switch("names", None, "Print the names of the pages that commands have")],
    order: Order::Mixed,
    arguments: (0, 2),
    failure: 1,
    run,
};

fn run(_: &Engine, parsed: Parsed) -> Result<u8> {
    if parsed.is_set("names") {
        let names = COMMANDS.iter().map(|command| command.name.replace(' ', "-") + "\n");
        return print(names.collect::<String>()).map(|()| 0);
    }
    let words: Vec<String> = parsed.arguments.iter().map(|word| word.display().to_string()).collect();
    let name = words.join(" ");
    let text = match named(&name).or_else(|| {
        COMMANDS
            .iter()
            .copied()
            .find(|command| command.name.replace(' ', "-") == name)
    }) {
        _ if name.is_empty() => overview(),
        Some(command) => page(command),
        None => return Err(Error::invalid(format!("`{name}` is not a tinydock command"))),
    };
    print(text).map(|()| 0)
}

/// The page of a command.
fn page(command: &Command) -> String {
    let (name, usage) = (escape(command.name), escape(command.usage));
    let title = command.name.replace(' ', "-").to_uppercase();
    let mut text = format!(
        ".TH TINYDOCK-{} 1\n.SH NAME\ntinydock\\-{} \\- {}\n.SH SYNOPSIS\n.B tinydock {name}\n{usage}\n",
        escape(&title),
        escape(&command.name.replace(' ', "-")),
        escape(command.summary),
    );
    let others: Vec<String> = ALIASES
        .iter()
        .filter(|(_, name)| *name == command.name)
        .map(|(alias, _)| format!(".B tinydock {}\n", escape(alias)))
        .collect();
    let _ = write!(text, ".SH DESCRIPTION\n{}.\n", escape(command.summary));
    if !others.is_empty() {
        let _ = write!(text, ".SH OTHER NAMES\n{}", others.join(".br\n"));
    }
    if !command.flags.is_empty() {
        text.push_str(".SH OPTIONS\n");
        command.flags.iter().for_each(|flag| describe(&mut text, flag));
    }
    text.push_str(".SH SEE ALSO\n.BR tinydock (1)\n");
    text
}

/// The page about all.
fn overview() -> String {
    let mut text = String::from(
        ".TH TINYDOCK 1\n.SH NAME\ntinydock \\- run containers, and show every step\n.SH SYNOPSIS\n.B tinydock\n[\\-\\-root DIRECTORY] COMMAND\n\
         .SH DESCRIPTION\nA container engine in one static binary, without a daemon.\n.SH COMMANDS\n",
    );
    for command in COMMANDS {
        let _ = writeln!(
            text,
            ".SS tinydock\\ {} {}\n{}.",
            escape(command.name).replace(' ', "\\ "),
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
    text
}

fn describe(text: &mut String, flag: &Flag) {
    let short = flag
        .short
        .map_or(String::new(), |short| format!("\\-{}, ", char::from(short)));
    let value = flag.value.map_or(String::new(), |value| format!(" {}", escape(value)));
    let _ = writeln!(text, ".TP\n{short}\\-\\-{}{value}\n{}.", escape(flag.long), escape(flag.help));
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
