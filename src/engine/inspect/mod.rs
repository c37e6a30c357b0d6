//! `inspect`: all that is known of a container, in the shape that Docker gives it.
//!
//! The structures here are Docker's (moby, `api/types/container`), with their fields in its order. What Docker knows and this engine
//! has not, such as swarms, plugins and Windows, is left out or empty as Docker leaves it when it is not used.

mod config;
mod host_config;
mod mounts;
mod network;

use serde::Serialize;

use super::watch::Health;
use super::{Container, Engine, State};
use crate::error::Result;
use crate::layer;
use crate::store::{Digest, clock};

pub use config::Config;
pub use host_config::HostConfig;
pub use mounts::Mounted;
pub use network::NetworkSettings;

/// A container as Docker shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspected {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: Condition,
    image: Option<Digest>,
    resolv_conf_path: String,
    hostname_path: String,
    hosts_path: String,
    log_path: String,
    name: String,
    restart_count: u32,
    driver: &'static str,
    platform: &'static str,
    mount_label: String,
    process_label: String,
    app_armor_profile: String,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    host_config: HostConfig,
    graph_driver: GraphDriver,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    mounts: Vec<Mounted>,
    config: Config,
    network_settings: NetworkSettings,
}

/// What is true of the container now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: i32,
    exit_code: i32,
    error: String,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthState>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthState {
    status: &'static str,
    failing_streak: u32,
    log: Vec<Probe>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Probe {
    start: String,
    end: String,
    exit_code: i32,
    output: String,
}

/// Where the files are. The overlay itself is mounted where only the container sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: Directories,
    name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directories {
    lower_dir: String,
    upper_dir: String,
    work_dir: String,
}

/// How Go spells a time that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl State {
    /// Docker's word for the state.
    pub fn name(&self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running(_) => "running",
            State::Paused(_) => "paused",
            State::Restarting(_) => "restarting",
            State::Exited(_) => "exited",
        }
    }
}

impl Condition {
    fn of(container: &Container, state: &State) -> Result<Condition> {
        let exit = match state {
            State::Restarting(exit) | State::Exited(exit) => Some(exit.clone()),
            _ => None,
        };
        // One that runs again still tells when it ended the last time.
        let ended = exit.clone().or(container.restarts()?.last);
        let failure = container.failure()?.map(|error| error.to_string());
        let is_live = state.is_live();
        Ok(Condition {
            status: state.name(),
            running: is_live,
            paused: matches!(state, State::Paused(_)),
            restarting: matches!(state, State::Restarting(_)),
            oom_killed: exit.as_ref().is_some_and(|exit| exit.oom_killed),
            dead: false,
            pid: state.started().map_or(0, |started| started.pid),
            exit_code: exit.as_ref().map_or(0, |exit| exit.code),
            error: failure.filter(|_| !is_live).unwrap_or_default(),
            started_at: container.started()?.map_or(NEVER.into(), |started| started.at),
            finished_at: ended.map_or(NEVER.into(), |exit| exit.finished),
            health: container.health()?.map(HealthState::of),
        })
    }
}

impl HealthState {
    fn of(health: Health) -> HealthState {
        let probes = health.checks.into_iter().map(|check| Probe {
            start: check.start,
            end: check.end,
            exit_code: check.code,
            output: check.output,
        });
        HealthState {
            status: health.status.name(),
            failing_streak: health.failing,
            log: probes.collect(),
        }
    }
}

impl Engine {
    /// All that is known of a container, and if `sizes` says so, how much it and its image have written.
    pub fn inspect(&self, container: &Container, sizes: bool) -> Result<Inspected> {
        let spec = &container.spec;
        let options = &spec.options;
        let state = container.state()?;
        let endpoint = if state.started().is_some() {
            container.endpoint()?
        } else {
            None
        };
        let mut words = options.arguments().into_iter().map(|word| word.to_string());
        let path = |name: &str| container.file(name).display().to_string();
        let lower = layer::stack_of_directories(&self.store, &spec.layers);
        let lower = lower.iter().map(|layer| layer.display().to_string());
        let created = std::time::Duration::new(spec.created, spec.created_nanos);
        let own = sizes.then(|| layer::size_of_tree(&container.file("upper"))).transpose()?;
        Ok(Inspected {
            id: spec.id.to_string(),
            created: clock::spell(created),
            path: words.next().unwrap_or_default(),
            args: words.collect(),
            state: Condition::of(container, &state)?,
            image: spec.image_id.clone(),
            resolv_conf_path: path("resolv.conf"),
            hostname_path: path("hostname"),
            hosts_path: path("hosts"),
            log_path: path("log"),
            name: format!("/{}", spec.name),
            restart_count: container.restarts()?.count,
            driver: "overlay",
            platform: "linux",
            mount_label: String::new(),
            process_label: String::new(),
            app_armor_profile: options.security.apparmor.clone().unwrap_or_default(),
            exec_ids: None,
            host_config: HostConfig::of(options),
            graph_driver: GraphDriver {
                data: Directories {
                    lower_dir: lower.collect::<Vec<_>>().join(":"),
                    upper_dir: path("upper"),
                    work_dir: path("work"),
                },
                name: "overlay",
            },
            size_rw: own,
            size_root_fs: own.map(|own| own + self.layers_size(&spec.layers)),
            mounts: self.mounted(options)?,
            config: Config::of(spec),
            network_settings: self.network_settings(options, endpoint.as_ref(), &state),
        })
    }
}
