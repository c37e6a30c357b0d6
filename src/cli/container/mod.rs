//! The flags that say what a container is to be: those of `run`, `create`, and of whatever else takes them.

mod block_io;
mod image;
mod life;
mod logging;
mod network;
mod process;
mod resources;
mod security;
mod storage;

use crate::cgroup::DeviceRule;
use crate::engine::{Called, Change, Options, bare_name};
use crate::error::{Error, Result};
use crate::flags::{Flag, Parsed, concat, count};
use crate::isolation::{Device, Sysctl, Ulimit};

pub use life::{seconds, stop_signal};
pub use process::environment;

const GROUPS: [&[Flag]; 12] = [
    image::FLAGS,
    process::FLAGS,
    life::RESTART,
    life::FLAGS,
    logging::FLAGS,
    resources::FLAGS,
    block_io::FLAGS,
    resources::FIRST_FLAGS,
    resources::OTHER_FLAGS,
    storage::FLAGS,
    network::FLAGS,
    security::FLAGS,
];

pub const FLAGS: [Flag; count(&GROUPS)] = concat(&GROUPS);

/// What `update` takes: what can be changed of a container.
const CHANGEABLE: [&[Flag]; 3] = [life::RESTART, resources::FLAGS, block_io::FLAGS];

pub const CHANGING: [Flag; count(&CHANGEABLE)] = concat(&CHANGEABLE);

/// What these flags ask for.
pub fn change(parsed: &Parsed) -> Result<Change> {
    Ok(Change {
        limits: resources::limits(parsed)?,
        restart: parsed.last("restart").map(|_| life::restart(parsed)).transpose()?,
    })
}

/// What a container is to be called. What is empty is not asked for.
pub fn called(parsed: &Parsed) -> Result<Called<'_>> {
    let text = |flag| Ok::<_, Error>(parsed.text(flag)?.filter(|text| !text.is_empty()));
    Ok(Called {
        name: text("name")?.map(bare_name),
        hostname: text("hostname")?,
    })
}

/// What the flags and the arguments `IMAGE [COMMAND [ARGUMENT...]]` ask for.
pub fn options(parsed: &Parsed) -> Result<Options> {
    resources::refuse_others(parsed)?;
    let mut arguments = parsed.arguments.iter();
    let image = arguments.next().map(|image| image.display().to_string()).unwrap_or_default();
    Ok(Options {
        image,
        command: arguments.map(|argument| argument.clone().into()).collect(),
        entrypoint: process::entrypoint(parsed),
        environment: environment(parsed)?,
        directory: parsed.last("workdir").cloned().unwrap_or_default().into(),
        user: parsed.text("user")?.unwrap_or_default().to_string(),
        groups: texts(parsed, "group-add"),
        terminal: parsed.is_set("tty"),
        interactive: parsed.is_set("interactive"),
        keeps_input: parsed.is_set("detach"),
        auto_remove: parsed.is_set("rm"),
        init: parsed.is_set("init"),
        restart: life::restart(parsed)?,
        stop_signal: life::stop_signal(parsed, "stop-signal")?,
        stop_timeout: life::seconds(parsed, "stop-timeout")?,
        health: life::health(parsed)?,
        check: None,
        log: logging::log(parsed)?,
        labels: process::labels(parsed, "label", Some("label-file"))?,
        annotations: process::labels(parsed, "annotation", None)?,
        domain: parsed.text("domainname")?.unwrap_or_default().to_string(),
        limits: resources::limits(parsed)?,
        cgroup_parent: parsed.text("cgroup-parent")?.unwrap_or_default().to_string(),
        oom_score: resources::number(parsed, "oom-score-adj")?,
        security: security::security(parsed)?,
        ulimits: read_all(parsed, "ulimit", Ulimit::parse)?,
        sysctls: read_all(parsed, "sysctl", Sysctl::parse)?,
        devices: read_all(parsed, "device", Device::parse)?,
        device_rules: read_all(parsed, "device-cgroup-rule", DeviceRule::parse)?,
        namespaces: security::namespaces(parsed)?,
        mounts: storage::mounts(parsed)?,
        volumes_from: texts(parsed, "volumes-from"),
        read_only: parsed.is_set("read-only"),
        shared_memory: storage::shared_memory(parsed)?,
        network: network::mode(parsed)?,
        ports: network::ports(parsed)?,
        exposed: network::exposed(parsed)?,
        publish_all: parsed.is_set("publish-all"),
    })
}

/// Reads all values of a flag.
fn read_all<T>(parsed: &Parsed, flag: &str, read: fn(&str) -> Result<T>) -> Result<Vec<T>> {
    texts(parsed, flag).iter().map(|text| read(text)).collect()
}

/// All values of a flag, as text.
fn texts(parsed: &Parsed, flag: &str) -> Vec<String> {
    parsed.all(flag).map(|value| value.display().to_string()).collect()
}
