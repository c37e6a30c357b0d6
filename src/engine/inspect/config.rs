//! What a container runs, as Docker shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::engine::{Spec, health};
use crate::kernel::signal;
use crate::layer::Mount;
use crate::store::Text;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    hostname: String,
    domainname: String,
    user: String,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: Set,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Vec<String>,
    cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck>,
    image: String,
    volumes: Option<Set>,
    working_dir: String,
    entrypoint: Option<Vec<String>>,
    on_build: Option<Vec<String>>,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<i64>,
}

/// A set, as Go's JSON has it: an object whose values are empty.
pub type Set = BTreeMap<String, Map<String, Value>>;

/// Its times are in nanoseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

pub fn words(texts: &[Text]) -> Vec<String> {
    texts.iter().map(Text::to_string).collect()
}

impl Config {
    pub fn of(spec: &Spec) -> Config {
        let options = &spec.options;
        let ports = options
            .ports
            .iter()
            .chain(&options.exposed)
            .map(|port| format!("{}/{}", port.container, port.protocol));
        let volumes = options
            .mounts
            .iter()
            .filter(|mount| mount.volume().is_some_and(|volume| volume.anonymous));
        let volumes: Set = volumes.map(|mount: &Mount| (mount.target.to_string(), Map::new())).collect();
        Config {
            hostname: spec.hostname.clone(),
            domainname: options.domain.clone(),
            user: options.user.clone(),
            attach_stdin: options.interactive,
            attach_stdout: true,
            attach_stderr: true,
            exposed_ports: ports.map(|port| (port, Map::new())).collect(),
            tty: options.terminal,
            open_stdin: options.interactive,
            stdin_once: options.interactive && !options.keeps_input,
            env: words(&options.environment),
            cmd: Some(words(&options.command)).filter(|words| !words.is_empty()),
            healthcheck: options.check.as_ref().map(Healthcheck::of),
            image: options.image.clone(),
            volumes: Some(volumes).filter(|volumes| !volumes.is_empty()),
            working_dir: options.directory.to_string(),
            entrypoint: options.entrypoint.as_deref().map(words).filter(|words| !words.is_empty()),
            on_build: None,
            labels: options.labels.clone(),
            stop_signal: options.stop_signal.map(signal::name),
            stop_timeout: options.stop_timeout,
        }
    }
}

impl Healthcheck {
    fn of(check: &health::Check) -> Healthcheck {
        let test = match &check.command {
            health::Command::Words(given) => [vec!["CMD".to_string()], words(given)].concat(),
            health::Command::Shell(line) => vec!["CMD-SHELL".into(), line.clone()],
        };
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Healthcheck {
            test,
            interval: nanos(check.interval),
            timeout: nanos(check.timeout),
            start_period: nanos(check.start_period),
            start_interval: nanos(check.start_interval),
            retries: check.retries,
        }
    }
}
