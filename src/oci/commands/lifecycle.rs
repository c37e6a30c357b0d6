//! `create`, `start`, `run`, `state`, `kill`, `delete`, `pause` and `resume`.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::super::attach::{Console, attach, catch};
use super::super::container::Status;
use super::super::create::{Created, Request, create};
use super::super::descriptors::connect_to;
use super::super::plan::Asked;
use super::super::{Command, Context, become_process, end, start};
use super::{container, id, preserved, print_json};
use crate::error::{Doing, Error, Result};
use crate::flags::{Order, Parsed, option, switch};
use crate::kernel::signal;
use crate::program::Report;

/// The flags of what makes a container from a bundle.
macro_rules! creating {
    ($($more:expr),*) => {
        &[
            option("bundle", Some(b'b'), "DIRECTORY", "The bundle (default: the working directory)"),
            option("console-socket", None, "PATH", "A socket that takes the other end of the container's terminal"),
            option("pid-file", None, "FILE", "Write the process id of the container's init to this file"),
            option("preserve-fds", None, "NUMBER", "Descriptors after the standard streams that the command inherits"),
            switch("no-pivot", None, "Do not use pivot_root, for roots in a ramdisk"),
            switch("no-new-keyring", None, "Leave the command the keys of whoever starts it"),
            switch("no-subreaper", None, "Has no effect: nothing here becomes one"),
            $($more),*
        ]
    };
}

pub const CREATE: Command = Command {
    name: "create",
    usage: "[FLAGS] CONTAINER",
    summary: "Make a container, all but its command",
    flags: creating!(),
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| {
        let request = request(&parsed, true)?;
        let mut console = |_| console_of(&request);
        create(&context.root, &request, &mut console, &|text| context.warn(text)).map(|_| 0)
    },
};

pub const START: Command = Command {
    name: "start",
    usage: "CONTAINER",
    summary: "Run the command of a container that was created",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| start::start(&container(context, &parsed)?, &|text| context.warn(text)).map(|()| 0),
};

pub const RUN: Command = Command {
    name: "run",
    usage: "[FLAGS] CONTAINER",
    summary: "Make a container, run its command, and remove it when that has ended",
    flags: creating!(
        switch("detach", Some(b'd'), "Leave it running"),
        switch("keep", None, "Do not remove it when it has ended")
    ),
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run,
};

pub const STATE: Command = Command {
    name: "state",
    usage: "CONTAINER",
    summary: "Print the state of a container, as JSON",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| {
        let container = container(context, &parsed)?;
        print_json(&super::list::Entry::of(&container)?)
    },
};

pub const KILL: Command = Command {
    name: "kill",
    usage: "[FLAGS] CONTAINER [SIGNAL]",
    summary: "Send a signal to a container (default: SIGTERM)",
    flags: &[switch("all", Some(b'a'), "Send it to all processes of the container")],
    order: Order::Mixed,
    arguments: (1, 2),
    failure: 1,
    run: |context, parsed| {
        let word = parsed.arguments.get(1).map(|word| word.display().to_string());
        let word = word.unwrap_or_else(|| "SIGTERM".into());
        let number = signal::parse(&word).or((word == "0").then_some(0));
        let number = number.ok_or_else(|| Error::invalid(format!("unknown signal `{word}`")))?;
        end::kill(&container(context, &parsed)?, number, parsed.is_set("all")).map(|()| 0)
    },
};

pub const DELETE: Command = Command {
    name: "delete",
    usage: "[FLAGS] CONTAINER",
    summary: "Remove all that there is of a container that has ended",
    flags: &[switch(
        "force",
        Some(b'f'),
        "Kill it first if it has not ended; one that does not exist is no error",
    )],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| {
        end::delete(&context.root, &id(&parsed), parsed.is_set("force"), &|text| {
            context.warn(text)
        })
        .map(|()| 0)
    },
};

pub const PAUSE: Command = Command {
    name: "pause",
    usage: "CONTAINER",
    summary: "Stop all processes of a container where they are",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| set_paused(context, &parsed, true),
};

pub const RESUME: Command = Command {
    name: "resume",
    usage: "CONTAINER",
    summary: "Let the processes of a paused container go on",
    flags: &[],
    order: Order::Mixed,
    arguments: (1, 1),
    failure: 1,
    run: |context, parsed| set_paused(context, &parsed, false),
};

fn set_paused(context: &Context, parsed: &Parsed, pause: bool) -> Result<u8> {
    let container = container(context, parsed)?;
    let status = container.status()?;
    match (pause, status) {
        (true, Status::Running | Status::Created) => container.group()?.freeze()?,
        (false, Status::Paused) => container.group()?.thaw()?,
        (_, status) => {
            let (doing, wanted) = if pause { ("pause", "runs") } else { ("resume", "is paused") };
            let word = super::super::word(status);
            return Err(Error::conflict(format!(
                "cannot {doing} a container that is {word}: only one that {wanted}"
            )));
        }
    }
    Ok(0)
}

fn request(parsed: &Parsed, waits: bool) -> Result<Request> {
    Ok(Request {
        id: id(parsed),
        bundle: parsed.last("bundle").map_or_else(|| ".".into(), PathBuf::from),
        console_socket: parsed
            .last("console-socket")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        pid_file: parsed.last("pid-file").filter(|path| !path.is_empty()).map(PathBuf::from),
        asked: Asked {
            no_pivot: parsed.is_set("no-pivot"),
            no_new_keyring: parsed.is_set("no-new-keyring"),
            preserve_fds: preserved(parsed, true)?,
            waits,
        },
    })
}

fn console_of(request: &Request) -> Result<Option<OwnedFd>> {
    let path = request.console_socket.as_ref();
    path.map(|path| connect_to(path)).transpose().doing(|| "`--console-socket`")
}

fn run(context: &Context, parsed: Parsed) -> Result<u8> {
    let request = request(&parsed, false)?;
    let detach = parsed.is_set("detach");
    let signals = (!detach).then(catch).transpose()?;
    let mut own = None;
    let mut console = |terminal: bool| {
        let given = console_of(&request)?;
        if given.is_some() || detach || !terminal {
            return Ok(given);
        }
        let (ours, theirs) = Console::new()?;
        own = Some(ours);
        Ok(Some(theirs))
    };
    let mut created = create(&context.root, &request, &mut console, &|text| context.warn(text))?;
    let started = run_command(&mut created, &request, &|text| context.warn(text));
    let Created {
        container, init, lock, ..
    } = created;
    drop(lock);
    let code = match (started, signals) {
        (Err(error), _) => {
            let _ = end::delete(&context.root, &request.id, true, &|_| ());
            return Err(error);
        }
        (Ok(()), None) => return Ok(0),
        (Ok(()), Some(signals)) => attach(&init, signals, own)?,
    };
    if !parsed.is_set("keep") {
        end::take_away(&container, &|text| context.warn(text))?;
    }
    Ok(code)
}

/// Waits until the command is executed.
fn run_command(created: &mut Created, request: &Request, warn: &dyn Fn(&str)) -> Result<()> {
    match created.wires.read_report(&created.program).map_err(become_process::explain)? {
        Report::Closed => {
            request.tell_pid(&created.init)?;
            start::after_start(&created.container, warn);
            Ok(())
        }
        report => Err(Error::system(format!("init reports {report:?} instead of its end"))),
    }
}
