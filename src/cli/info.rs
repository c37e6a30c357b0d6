//! `tinydock info`: the host, and how much there is on it.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use super::inspect::FORMAT;
use super::template::{Template, Value};
use super::version::{VERSION, kernel};
use super::{Command, print, report, table, tidy_all};
use crate::cgroup::Hierarchies;
use crate::engine::{Engine, ImageFilter, State};
use crate::error::Result;
use crate::flags::{Order, Parsed};
use crate::layer::Form;

pub const COMMAND: Command = Command {
    name: "info",
    usage: "[-f TEMPLATE]",
    summary: "Show what this host has, and how much there is on it",
    flags: &[FORMAT],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

/// What is told, in Docker's words as far as it has some.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    containers: usize,
    containers_running: usize,
    containers_paused: usize,
    containers_stopped: usize,
    images: usize,
    driver: &'static str,
    layers: String,
    plugins: BTreeMap<&'static str, Vec<&'static str>>,
    logging_driver: &'static str,
    cgroup_driver: &'static str,
    cgroup_version: &'static str,
    kernel_version: String,
    operating_system: String,
    #[serde(rename = "OSType")]
    os_type: &'static str,
    architecture: &'static str,
    #[serde(rename = "NCPU")]
    processors: usize,
    #[serde(rename = "MemTotal")]
    memory: u64,
    docker_root_dir: String,
    name: String,
    server_version: &'static str,
    default_runtime: &'static str,
    security_options: Vec<String>,
    client_info: ClientInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientInfo {
    version: &'static str,
}

const TEXT: &str = "Client:
 Version:    {{.ClientInfo.Version}}

Server: the same program, there is no daemon
 Containers: {{.Containers}}
  Running: {{.ContainersRunning}}
  Paused: {{.ContainersPaused}}
  Stopped: {{.ContainersStopped}}
 Images: {{.Images}}
 Server Version: {{.ServerVersion}}
 Storage Driver: {{.Driver}}
 Layers: {{.Layers}}
 Logging Driver: {{.LoggingDriver}}
 Cgroup Driver: {{.CgroupDriver}}
 Cgroup Version: {{.CgroupVersion}}
 Plugins:
  Volume: {{join .Plugins.Volume \" \"}}
  Network: {{join .Plugins.Network \" \"}}
  Log: {{join .Plugins.Log \" \"}}
 Default Runtime: {{.DefaultRuntime}}
 Security Options:{{range .SecurityOptions}}
  {{.}}{{end}}
 Kernel Version: {{.KernelVersion}}
 Operating System: {{.OperatingSystem}}
 OSType: {{.OSType}}
 Architecture: {{.Architecture}}
 CPUs: {{.NCPU}}
 Total Memory: MEMORY
 Name: {{.Name}}
 Docker Root Dir: {{.DockerRootDir}}";

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy_all(engine);
    let about = about(engine)?;
    let text = TEXT.replace("MEMORY", &table::binary_bytes(about.memory));
    let template = match parsed.text("format")?.unwrap_or_default() {
        "" => &text,
        "json" => "{{json .}}",
        text => text,
    };
    print(Template::parse(template)?.execute(&Value::of(&about)?)? + "\n").map(|()| 0)
}

fn about(engine: &Engine) -> Result<About> {
    let containers = engine.list(true, |error| report(&error))?;
    let count = |is_meant: fn(&State) -> bool| containers.iter().filter(|listed| is_meant(&listed.state)).count();
    let host = rustix::system::uname();
    let system = rustix::system::sysinfo();
    let plugins = [
        ("Volume", vec!["local"]),
        ("Network", vec!["bridge", "host", "none"]),
        ("Log", vec!["json-file", "local", "none"]),
    ];
    Ok(About {
        containers: containers.len(),
        containers_running: count(|state| matches!(state, State::Running(_) | State::Restarting(_))),
        containers_paused: count(|state| matches!(state, State::Paused(_))),
        containers_stopped: count(|state| !state.is_live()),
        images: engine.images(&ImageFilter::default(), |error| report(&error))?.len(),
        driver: "overlay",
        layers: layers(engine)?,
        plugins: plugins.into(),
        logging_driver: "json-file",
        cgroup_driver: "cgroupfs",
        cgroup_version: cgroup_version(),
        kernel_version: kernel(),
        operating_system: operating_system(),
        os_type: "linux",
        architecture: std::env::consts::ARCH,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory: system.totalram.saturating_mul(system.mem_unit.into()),
        docker_root_dir: engine.root().display().to_string(),
        name: host.nodename().to_string_lossy().into_owned(),
        server_version: VERSION,
        default_runtime: "tinydock",
        security_options: security_options(),
        client_info: ClientInfo { version: VERSION },
    })
}

/// What becomes of layers that are new here.
fn layers(engine: &Engine) -> Result<String> {
    Ok(match engine.form_of_layers()? {
        Form::Image => "images mounted without unpacking (EROFS)".into(),
        Form::Tree(reason) => format!("unpacked folders ({reason})"),
    })
}

/// The version of the cgroups that limit memory here.
fn cgroup_version() -> &'static str {
    match Hierarchies::find().tree("memory") {
        Some((_, false)) => "1",
        _ => "2",
    }
}

fn operating_system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_string())
}

/// What protects the host from containers, as Docker spells it.
fn security_options() -> Vec<String> {
    let mut options = vec!["name=seccomp,profile=builtin".to_string(), "name=cgroupns".into()];
    if crate::isolation::has_apparmor() {
        options.insert(0, "name=apparmor".into());
    }
    options
}
