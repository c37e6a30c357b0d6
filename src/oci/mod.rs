//! The OCI runtime: containers from bundles, for engines that bring their own images, networks and logs (runtime-spec 1.2). Its
//! command line is runc's, since that is what Docker, Podman, containerd and so Kubernetes call.
//!
//! It is the same house with another front door: a configuration is planned into a program, and init executes it. What the engine
//! has beyond that, it does not need: no images, no networks, no monitor.
//!
//! | file | what it is about |
//! |---|---|
//! | `config` `linux` `process` | the configuration: types, and what makes no sense |
//! | `plan` `birth` `sources` `mounts` `mount_options` `tree` `cover` `devices` `settings` `become_process` | from it to a program |
//! | `container` | what is on disk, and what is true |
//! | `checkpoint` `criu` | saved and made again, by criu(8) |
//! | `create` `descriptors` `start` `exec` `enter` `hooks` `notify` `end` `attach` | what is done |
//! | `commands` … | what is said: one function for each word of the command line |

mod ahead;
mod attach;
mod become_process;
mod birth;
mod checkpoint;
mod commands;
mod config;
mod container;
mod cover;
mod create;
mod criu;
mod descriptors;
mod devices;
mod end;
mod enter;
mod exec;
mod features;
mod hooks;
mod linux;
mod lists;
mod log;
mod mount_options;
mod mounts;
mod namespaces;
mod notify;
mod plan;
mod process;
mod settings;
mod sources;
mod spec;
mod start;
#[cfg(test)]
mod tests;
mod tmpfs;
mod tree;

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::flags::{self, Flag, Order, Parsed, option, switch};
use container::{Root, Status};
use log::Log;

/// The version of the specification that is followed.
const VERSION: &str = "1.2.1";

/// Any number of arguments.
const MANY: usize = usize::MAX;

/// As what the binary is the runtime.
pub const NAME: &str = "tinydock-runtime";

/// A command of the runtime.
struct Command {
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    flags: &'static [Flag],
    order: Order,
    arguments: (usize, usize),
    /// The exit status of an error.
    failure: u8,
    run: fn(&Context, Parsed) -> Result<u8>,
}

/// What every command works with.
struct Context {
    root: Root,
    log: RefCell<Log>,
    /// The criu(8) that saves and restores.
    criu: PathBuf,
}

impl Context {
    /// Says something that the user should know, and that is no error.
    fn warn(&self, text: &str) {
        self.log.borrow_mut().warn(text);
    }
}

const GLOBAL: [Flag; 9] = [
    option("root", None, "DIRECTORY", "Where the states of containers are kept"),
    option("log", None, "FILE", "Write errors and warnings to this file"),
    option("log-format", None, "FORMAT", "`text` or `json`"),
    switch("debug", None, "Log more"),
    switch(
        "systemd-cgroup",
        None,
        "Have systemd make the cgroups, whose path is then `slice:prefix:name`",
    ),
    option(
        "rootless",
        None,
        "BOOL",
        "`auto`, `true` or `false`: that there is no root is found out in any case",
    ),
    option("criu", None, "PATH", "The criu(8) that saves and restores containers"),
    switch("version", Some(b'v'), "Print the version"),
    switch("help", Some(b'h'), "Print help"),
];

/// Runs a command line of the runtime. Returns the status to exit with.
pub fn main(arguments: Vec<OsString>) -> u8 {
    match run(arguments) {
        Ok(status) => status,
        Err(Failed { error, log, status }) => {
            log.into_inner().error(&error);
            status
        }
    }
}

struct Failed {
    error: Error,
    log: RefCell<Log>,
    status: u8,
}

fn run(arguments: Vec<OsString>) -> std::result::Result<u8, Failed> {
    let early = |error| Failed {
        error,
        log: RefCell::new(Log::terminal()),
        status: 1,
    };
    let global = flags::parse(&GLOBAL, Order::FlagsFirst, arguments).map_err(early)?;
    let context = open(&global).map_err(early)?;
    let mut words = global.arguments.iter().cloned();
    let name = words.next().map(|word| word.display().to_string()).unwrap_or_default();
    let mut status = 1;
    let done = if global.is_set("version") {
        commands::version()
    } else if name.is_empty() || name == "help" || global.is_set("help") {
        let about = words.next().map(|word| word.display().to_string().replace("--help", "help"));
        commands::help(about.as_deref())
    } else {
        dispatch(&context, &name, words.collect(), &mut status)
    };
    done.map_err(|error| Failed {
        error,
        log: context.log,
        status,
    })
}

fn open(global: &Parsed) -> Result<Context> {
    let log = Log::open(global.last("log").map(PathBuf::from), global.text("log-format")?)?;
    Ok(Context {
        root: Root {
            path: global.last("root").map_or_else(default_root, PathBuf::from),
            systemd_cgroup: global.is_set("systemd-cgroup"),
        },
        log: RefCell::new(log),
        criu: global
            .last("criu")
            .filter(|path| !path.is_empty())
            .map_or_else(|| "criu".into(), PathBuf::from),
    })
}

/// Where states are kept if nothing is said: what dies with the boot, of root or of the user.
fn default_root() -> PathBuf {
    let user = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !rustix::process::geteuid().is_root());
    user.map_or_else(|| "/run".into(), PathBuf::from).join(NAME)
}

fn dispatch(context: &Context, name: &str, words: Vec<OsString>, status: &mut u8) -> Result<u8> {
    let command = commands::ALL.iter().find(|command| command.name == name);
    let command =
        command.ok_or_else(|| Error::invalid(format!("`{name}` is not a command of the runtime")).hint("`help` lists them"))?;
    *status = command.failure;
    let asks_for_help = |word: &OsString| word == "--help" || word == "-h";
    if words
        .iter()
        .take_while(|word| word.as_encoded_bytes().starts_with(b"-"))
        .any(asks_for_help)
    {
        return commands::help(Some(name));
    }
    let parsed = flags::parse(command.flags, command.order, words)?;
    let (least, most) = command.arguments;
    if !(least..=most).contains(&parsed.arguments.len()) {
        let wrong = format!("`{name}` takes other arguments: {name} {}", command.usage);
        return Err(Error::invalid(wrong));
    }
    (command.run)(context, parsed)
}

/// A status as it is written.
fn word(status: Status) -> &'static str {
    match status {
        Status::Creating => "creating",
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Stopped => "stopped",
    }
}
