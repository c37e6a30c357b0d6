//! What an image asks for, below what the user asks for: each is the usual value where the one above it says nothing. And back: what
//! an image asks for that is made of a container.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Map;

use super::{Options, health};
use crate::error::{Error, Result};
use crate::image::{Execution, Healthcheck, Set};
use crate::kernel::signal;
use crate::layer::Mount;
use crate::network::{Exposed, Mode, Port};
use crate::store::Text;

/// Fills in what the options leave open from an image's configuration, and checks the whole.
pub fn merge(options: &mut Options, image: &Execution) -> Result<()> {
    let words = |words: &Option<Vec<String>>| -> Vec<Text> { words.iter().flatten().map(|word| word.as_str().into()).collect() };
    if options.entrypoint.is_none() {
        if options.command.is_empty() {
            options.command = words(&image.cmd);
        }
        options.entrypoint = image.entrypoint.as_ref().map(|_| words(&image.entrypoint));
    }
    let named = |line: &[u8]| line.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let asked: Vec<_> = options.environment.iter().map(|line| named(line.as_bytes())).collect();
    let usual = image.env.iter().filter(|line| !asked.contains(&named(line.as_bytes())));
    options.environment = usual
        .map(|line| Text::from(line.as_str()))
        .chain(options.environment.drain(..))
        .collect();
    if options.directory.as_bytes().is_empty() && !image.working_dir.is_empty() {
        let absolute = if image.working_dir.starts_with('/') { "" } else { "/" };
        options.directory = format!("{absolute}{}", image.working_dir).into();
    }
    if options.user.is_empty() {
        options.user.clone_from(&image.user);
    }
    if options.stop_signal.is_none() && !image.stop_signal.is_empty() {
        options.stop_signal = Some(signal_of(&image.stop_signal)?);
    }
    options.stop_timeout = options.stop_timeout.or(image.stop_timeout);
    let asked = image.healthcheck.as_ref().map(health_of).transpose()?.unwrap_or_default();
    options.check = options.health.over(&asked);
    for (name, value) in &image.labels {
        options.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    expose(options, image);
    options.check()
}

/// Notes where the image listens, and publishes that if the user wants it. Where there is no network of its own, nothing is published.
fn expose(options: &mut Options, image: &Execution) {
    let asked = options.exposed.iter().map(Exposed::from);
    // Protocols that cannot be published are passed over.
    let listening = image.exposed_ports.keys().filter_map(|text| Exposed::parse(text).ok());
    options.exposed = Exposed::ports(asked.chain(listening).collect());
    if options.publish_all && matches!(options.network, Mode::Bridge(_)) {
        let published: BTreeSet<_> = options.ports.iter().map(Port::within).collect();
        let further = options.exposed.iter().filter(|port| !published.contains(&port.within()));
        options.ports.extend(further.cloned());
    }
}

/// What a health check of an image says, in the words of flags.
fn health_of(check: &Healthcheck) -> Result<health::Asked> {
    let time = |nanoseconds: Option<u64>| nanoseconds.filter(|time| *time > 0).map(Duration::from_nanos);
    let (none, command) = match &check.test[..] {
        [] => (false, None),
        [kind] if kind == "NONE" => (true, None),
        [kind, words @ ..] if kind == "CMD" => {
            let words = words.iter().map(|word| Text::from(word.as_str())).collect();
            (false, Some(health::Command::Words(words)))
        }
        [kind, line] if kind == "CMD-SHELL" => (false, Some(health::Command::Shell(line.clone()))),
        [kind, ..] => {
            let wrong = format!(
                "field `Healthcheck.Test`: `{}` is not `NONE`, `CMD` or `CMD-SHELL`",
                kind.escape_debug()
            );
            return Err(Error::invalid(wrong));
        }
    };
    Ok(health::Asked {
        none,
        command,
        interval: time(check.interval),
        start_interval: time(check.start_interval),
        timeout: time(check.timeout),
        start_period: time(check.start_period),
        retries: check.retries,
    })
}

/// Has an image start its containers as a container was started. What the image below says already is left as it says it.
pub fn remember(options: &Options, image: &mut Execution) -> Result<()> {
    image.entrypoint = options.entrypoint.as_deref().map(words);
    image.cmd = Some(words(&options.command)).filter(|words| !words.is_empty());
    image.env = words(&options.environment);
    image.user.clone_from(&options.user);
    image.working_dir = options.directory.to_string();
    image.labels.clone_from(&options.labels);
    image.exposed_ports.extend(exposed_ports(options));
    image.volumes.extend(own_volumes(options));
    if let Some(number) = options
        .stop_signal
        .filter(|number| signal::parse(&image.stop_signal) != Some(*number))
    {
        image.stop_signal = signal::name(number);
    }
    image.stop_timeout = options.stop_timeout;
    let below = image.healthcheck.as_ref().map(health_of).transpose()?.unwrap_or_default();
    if health::Asked::default().over(&below) != options.check {
        image.healthcheck = options.check.as_ref().map(healthcheck_of);
    }
    Ok(())
}

pub fn words(texts: &[Text]) -> Vec<String> {
    texts.iter().map(Text::to_string).collect()
}

/// The ports that a container listens at, for all that is known.
pub fn exposed_ports(options: &Options) -> Set {
    let ports = options.ports.iter().chain(&options.exposed);
    let name = |port: &Port| (format!("{}/{}", port.container, port.protocol), Map::new().into());
    ports.map(name).collect()
}

/// Where a container has volumes without names that were made for it. Those of others are never filled.
pub fn own_volumes(options: &Options) -> Set {
    let is_own = |mount: &&Mount| mount.volume().is_some_and(|volume| volume.anonymous && !volume.no_copy);
    let mounts = options.mounts.iter().filter(is_own);
    mounts.map(|mount| (mount.target.to_string(), Map::new().into())).collect()
}

/// A health check as an image has it.
pub fn healthcheck_of(check: &health::Check) -> Healthcheck {
    let test = match &check.command {
        health::Command::Words(given) => [vec!["CMD".to_string()], words(given)].concat(),
        health::Command::Shell(line) => vec!["CMD-SHELL".into(), line.clone()],
    };
    let nanos = |time: Duration| Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    Healthcheck {
        test,
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: Some(check.retries),
    }
}

fn signal_of(text: &str) -> Result<i32> {
    signal::parse(text).ok_or_else(|| Error::invalid(format!("field `StopSignal`: `{}` is no signal", text.escape_debug())))
}
