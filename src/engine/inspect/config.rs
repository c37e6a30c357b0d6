//! What a container runs, as Docker shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::Spec;
use crate::engine::image_config::{exposed_ports, healthcheck_of, own_volumes, words};
use crate::image::{Healthcheck, Set};
use crate::kernel::signal;

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

impl Config {
    pub fn of(spec: &Spec) -> Config {
        let options = &spec.options;
        Config {
            hostname: spec.hostname.clone(),
            domainname: options.domain.clone(),
            user: options.user.clone(),
            attach_stdin: options.interactive,
            attach_stdout: true,
            attach_stderr: true,
            exposed_ports: exposed_ports(options),
            tty: options.terminal,
            open_stdin: options.interactive,
            stdin_once: options.interactive && !options.keeps_input,
            env: words(&options.environment),
            cmd: Some(words(&options.command)).filter(|words| !words.is_empty()),
            healthcheck: options.check.as_ref().map(healthcheck_of),
            image: options.image.clone(),
            volumes: Some(own_volumes(options)).filter(|volumes| !volumes.is_empty()),
            working_dir: options.directory.to_string(),
            entrypoint: options.entrypoint.as_deref().map(words).filter(|words| !words.is_empty()),
            on_build: None,
            labels: options.labels.clone(),
            stop_signal: options.stop_signal.map(signal::name),
            stop_timeout: options.stop_timeout,
        }
    }
}
