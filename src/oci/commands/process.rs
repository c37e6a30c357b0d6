//! `exec`: what it takes, and who waits for it.

use std::path::{Path, PathBuf};

use super::super::attach::{Console, attach, catch};
use super::super::container::Container;
use super::super::descriptors::connect_to;
use super::super::exec::{Request, exec};
use super::super::process::{Capabilities, Process, User};
use super::super::{Command, Context, MANY};
use super::{container, preserved};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option, switch};

pub const EXEC: Command = Command {
    name: "exec",
    usage: "[FLAGS] CONTAINER [COMMAND [ARGUMENT...]]",
    summary: "Run another process in a container that runs",
    flags: &[
        option(
            "process",
            Some(b'p'),
            "FILE",
            "A file that describes the process, as `process` in config.json",
        ),
        option(
            "console-socket",
            None,
            "PATH",
            "A socket that takes the other end of the process's terminal",
        ),
        option("cwd", None, "DIRECTORY", "The working directory"),
        option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
        switch("tty", Some(b't'), "Give the process a terminal"),
        option("user", Some(b'u'), "UID[:GID]", "Run as this user"),
        option("additional-gids", Some(b'g'), "GID", "Give it this group as well"),
        switch("detach", Some(b'd'), "Leave it running"),
        option("pid-file", None, "FILE", "Write the process id to this file"),
        option("process-label", None, "LABEL", "Its SELinux label"),
        option("apparmor", None, "PROFILE", "Its AppArmor profile"),
        switch("no-new-privs", None, "No file that it executes gives privileges"),
        option("cap", Some(b'c'), "CAPABILITY", "Give it this capability"),
        option(
            "preserve-fds",
            None,
            "NUMBER",
            "Descriptors after the standard streams that it inherits",
        ),
        option("cgroup", None, "PATH", "Run it in this cgroup below the container's own"),
        switch("ignore-paused", None, "Do not refuse when the container is paused"),
        switch("no-subreaper", None, "Has no effect: nothing here becomes one"),
    ],
    order: Order::FlagsFirst,
    arguments: (1, MANY),
    failure: 255,
    run,
};

fn run(context: &Context, parsed: Parsed) -> Result<u8> {
    let container = container(context, &parsed)?;
    let process = process_of(&container, &parsed)?;
    process.check()?;
    let detach = parsed.is_set("detach");
    let signals = (!detach).then(catch).transpose()?;
    let socket = parsed.last("console-socket").filter(|path| !path.is_empty());
    let mut console = socket
        .map(|path| connect_to(Path::new(path)))
        .transpose()
        .doing(|| "`--console-socket`")?;
    let mut own = None;
    if console.is_none() && process.terminal {
        if detach {
            return Err(Error::invalid(
                "a terminal that is left alone needs `--console-socket`, which takes its other end",
            ));
        }
        let (ours, theirs) = Console::new()?;
        (own, console) = (Some(ours), Some(theirs));
    }
    let request = Request {
        pid_file: parsed.last("pid-file").filter(|path| !path.is_empty()).map(PathBuf::from),
        preserve_fds: preserved(&parsed, false)?,
        ignore_paused: parsed.is_set("ignore-paused"),
        cgroup: parsed.text("cgroup")?.map(str::to_string),
    };
    let child = exec(&container, &process, &request, console, &|text| context.warn(text))?;
    match signals {
        None => Ok(0),
        Some(signals) => attach(&child, signals, own),
    }
}

/// The process that is asked for: one that a file describes, or the container's own with another command.
fn process_of(container: &Container, parsed: &Parsed) -> Result<Process> {
    if let Some(file) = parsed.last("process") {
        return Process::read(Path::new(file));
    }
    let mut process = container.config.process()?.clone();
    process.args = parsed.arguments[1..].iter().map(|word| word.display().to_string()).collect();
    process.terminal = parsed.is_set("tty");
    process.env.extend(parsed.all("env").map(|line| line.display().to_string()));
    if let Some(directory) = parsed.text("cwd")? {
        process.cwd = directory.into();
    }
    if let Some(user) = parsed.text("user")? {
        process.user = read_user(user)?;
    }
    for group in parsed.all("additional-gids") {
        process
            .user
            .additional_gids
            .push(read_id("additional-gids", &group.display().to_string())?);
    }
    if let Some(label) = parsed.text("process-label")? {
        process.selinux_label = label.into();
    }
    if let Some(profile) = parsed.text("apparmor")? {
        process.apparmor_profile = profile.into();
    }
    process.no_new_privileges |= parsed.is_set("no-new-privs");
    add_capabilities(&mut process, parsed);
    Ok(process)
}

fn read_user(text: &str) -> Result<User> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    Ok(User {
        uid: read_id("user", user)?,
        gid: group.map_or(Ok(0), |group| read_id("user", group))?,
        ..User::default()
    })
}

fn read_id(flag: &str, text: &str) -> Result<u32> {
    text.parse()
        .map_err(|_| Error::invalid(format!("`--{flag}`: `{text}` is not a number of a user or group")))
}

fn add_capabilities(process: &mut Process, parsed: &Parsed) {
    let added: Vec<String> = parsed.all("cap").map(|name| name.display().to_string()).collect();
    if added.is_empty() {
        return;
    }
    let sets = process.capabilities.get_or_insert_with(Capabilities::default);
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.extend(added.iter().cloned());
    }
}
