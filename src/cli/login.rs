//! `tinydock login` and `tinydock logout`

use std::io::{self, BufRead, Read, Write};

use super::{Command, print, warn};
use crate::engine::{Engine, LoginKept};
use crate::error::{Doing, Error, Result};
use crate::flags::{self, Flag, Order, Parsed};
use crate::kernel::terminal::{Silent, is_terminal};

const FLAGS: [Flag; 3] = [
    flags::option("username", Some(b'u'), "NAME", "Who you are there"),
    flags::option(
        "password",
        Some(b'p'),
        "PASSWORD",
        "The password, which others may see in the list of processes",
    ),
    flags::switch("password-stdin", None, "Read the password from the standard input"),
];

pub const COMMAND: Command = Command {
    name: "login",
    usage: "[FLAGS] [REGISTRY]",
    summary: "Log in to a registry, docker.io if none is named",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (0, 1),
    failure: 1,
    run: login,
};

pub const LOGOUT: Command = Command {
    name: "logout",
    usage: "[REGISTRY]",
    summary: "Forget the login for a registry",
    flags: &[],
    order: Order::Mixed,
    arguments: (0, 1),
    failure: 1,
    run: logout,
};

const HUB: &str = "docker.io";
/// What Docker calls it in its messages.
const HUB_URL: &str = "https://index.docker.io/v1/";

fn login(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let registry = registry(&parsed);
    let user = parsed.text("username")?.map(ToString::to_string);
    let from_input = parsed.is_set("password-stdin");
    let given = parsed.text("password")?.map(ToString::to_string);
    if from_input && (user.is_none() || given.is_some()) {
        return Err(Error::invalid(
            "`--password-stdin` goes with `--username`, and without `--password`",
        ));
    }
    if given.is_some() {
        warn("a password on the command line can be seen by others; `--password-stdin` keeps it from them");
    }
    let user = user.map_or_else(|| ask("Username: ", false), Ok)?;
    let password = match given {
        Some(password) => password,
        None if from_input => read_all()?,
        None => ask("Password: ", true)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(Error::invalid("a login needs a name and a password"));
    }
    if let LoginKept::InFile(path) = engine.login(&registry, &user, &password)? {
        warn(&format!(
            "the password is in `{}`, where it is not encrypted; a credential helper would keep it better",
            path.display()
        ));
    }
    print("Login Succeeded\n").map(|()| 0)
}

fn logout(engine: &Engine, parsed: Parsed) -> Result<u8> {
    let registry = registry(&parsed);
    let shown = if registry == HUB { HUB_URL } else { &registry };
    let text = match engine.logout(&registry)? {
        true => format!("Removing login credentials for {shown}\n"),
        false => format!("Not logged in to {shown}\n"),
    };
    print(text).map(|()| 0)
}

/// The registry that is meant: a URL will do as well.
fn registry(parsed: &Parsed) -> String {
    let text = parsed
        .arguments
        .first()
        .map(|text| text.display().to_string())
        .unwrap_or_else(|| HUB.into());
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => HUB.into(),
        host => host.to_string(),
    }
}

/// Asks at the terminal, where secrets are typed unseen.
fn ask(question: &str, is_secret: bool) -> Result<String> {
    let stdin = io::stdin();
    if !is_terminal(&stdin) {
        return Err(Error::invalid("there is no terminal to ask at").hint("use `--username` and `--password-stdin`"));
    }
    let doing = || "read what you type";
    let mut out = io::stderr();
    out.write_all(question.as_bytes()).doing(doing)?;
    let mut line = String::new();
    let silent = is_secret.then(|| Silent::enter(&stdin)).transpose().doing(doing)?;
    stdin.lock().read_line(&mut line).doing(doing)?;
    if silent.is_some() {
        out.write_all(b"\n").doing(doing)?;
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_string())
}

/// Reads the password from the standard input, without the end of its line.
fn read_all() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(1 << 20)
        .read_to_string(&mut text)
        .doing(|| "read the password")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_string())
}
