//! `tinydock inspect`: all that is known of a container, in the shape that Docker gives it, or what a template asks for.

use serde_json::{Value, json};

use super::ps::name_of_state;
use super::template::{self, Template};
use super::{Command, MANY, print, report, tidy};
use crate::engine::{Container, Engine, State};
use crate::error::{Error, Result};
use crate::flags::{Flag, Order, Parsed, option};
use crate::kernel::signal;
use crate::network::Mode;
use crate::store::{Text, clock};

const FLAGS: [Flag; 1] = [option(
    "format",
    Some(b'f'),
    "TEMPLATE",
    "`json`, or a Go template, such as `{{.State.Status}}`",
)];

pub const COMMAND: Command = Command {
    name: "inspect",
    usage: "[-f TEMPLATE] CONTAINER...",
    summary: "Show all that is known of containers, as JSON",
    flags: &FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run,
};

/// The time of what has not happened yet, as Docker has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let format = parsed.text("format")?.filter(|format| !format.is_empty());
    let template = format.filter(|format| *format != "json").map(Template::parse).transpose()?;
    let (mut found, mut status) = (Vec::new(), 0);
    for name in &parsed.arguments {
        let container = engine
            .find(&name.display().to_string())
            .and_then(|container| describe(&container));
        match (container, &template) {
            (Ok(container), Some(template)) => print(template.execute(&template::Value::of(&container)?)? + "\n")?,
            (Ok(container), None) => found.push(container),
            (Err(error), _) => {
                report(&error);
                status = 1;
            }
        }
    }
    if template.is_none() {
        let spelled = if format.is_some() {
            serde_json::to_string(&found)
        } else {
            serde_json::to_string_pretty(&found)
        };
        print(spelled.map_err(Error::system)? + "\n")?;
    }
    Ok(status)
}

fn describe(container: &Container) -> Result<Value> {
    let (spec, options) = (&container.spec, &container.spec.options);
    let arguments = texts(&options.arguments());
    let endpoint = container.endpoint()?;
    let address = endpoint
        .as_ref()
        .map_or(String::new(), |endpoint| endpoint.address.to_string());
    let ports = endpoint.as_ref().map_or(&options.ports, |endpoint| &endpoint.ports);
    let networks = match &options.network {
        Mode::Bridge(name) => json!({ name: {
            "IPAddress": address,
            "IPPrefixLen": endpoint.as_ref().map_or(0, |endpoint| endpoint.prefix),
            "Gateway": endpoint.as_ref().map_or(String::new(), |endpoint| endpoint.gateway.to_string()),
        } }),
        Mode::Host => json!({ "host": {} }),
        Mode::None => json!({ "none": {} }),
    };
    Ok(json!({
        "Id": spec.id.as_str(),
        "Created": clock::spell(std::time::Duration::from_secs(spec.created)),
        "Path": arguments.first(),
        "Args": arguments.iter().skip(1).collect::<Vec<_>>(),
        "State": state(container)?,
        "Image": spec.image_id.as_ref().map(ToString::to_string),
        "ResolvConfPath": container.file("resolv.conf"),
        "HostnamePath": container.file("hostname"),
        "HostsPath": container.file("hosts"),
        "Name": format!("/{}", spec.name),
        "RestartCount": container.restarts()?.count,
        "Driver": "overlay",
        "Platform": "linux",
        "Mounts": mounts(container),
        "Config": config(container),
        "HostConfig": host_config(container),
        "NetworkSettings": { "Ports": published(ports), "IPAddress": address, "Networks": networks },
    }))
}

fn state(container: &Container) -> Result<Value> {
    let state = container.state()?;
    let started = container.started()?;
    let exit = match &state {
        State::Exited(exit) | State::Restarting(exit) => Some(exit),
        _ => None,
    };
    let failure = container.failure()?;
    let code = exit.map_or_else(
        || failure.as_ref().map_or(0, |error| error.exit_status().into()),
        |exit| exit.code,
    );
    let mut shown = json!({
        "Status": name_of_state(&state),
        "Running": state.is_live(),
        "Paused": matches!(state, State::Paused(_)),
        "Restarting": matches!(state, State::Restarting(_)),
        "OOMKilled": exit.is_some_and(|exit| exit.oom_killed),
        "Dead": false,
        "Pid": state.started().map_or(0, |started| started.pid),
        "ExitCode": code,
        "Error": failure.map_or(String::new(), |error| error.message()),
        "StartedAt": started.map_or(NEVER.to_string(), |started| started.at),
        "FinishedAt": exit.map_or(NEVER, |exit| exit.finished.as_str()),
    });
    if let Some(health) = container.health()? {
        let checks = health
            .checks
            .iter()
            .map(|check| json!({ "Start": check.start, "End": check.end, "ExitCode": check.code, "Output": check.output }));
        shown["Health"] = json!({
            "Status": health.status.name(),
            "FailingStreak": health.failing,
            "Log": checks.collect::<Vec<_>>(),
        });
    }
    Ok(shown)
}

fn config(container: &Container) -> Value {
    let (spec, options) = (&container.spec, &container.spec.options);
    json!({
        "Hostname": spec.hostname,
        "Domainname": options.domain,
        "User": options.user,
        "Tty": options.terminal,
        "OpenStdin": options.interactive,
        "Env": texts(&options.environment),
        "Cmd": texts(&options.command),
        "Image": options.image,
        "WorkingDir": options.directory.to_string(),
        "Entrypoint": options.entrypoint.as_deref().map(texts),
        "Labels": options.labels,
        "StopSignal": options.stop_signal.map(signal::name),
        "StopTimeout": options.stop_timeout,
    })
}

fn host_config(container: &Container) -> Value {
    let options = &container.spec.options;
    let (limits, policy) = (&options.limits, options.restart);
    let network = match &options.network {
        Mode::Bridge(name) => name.as_str(),
        Mode::Host => "host",
        Mode::None => "none",
    };
    let times = match policy {
        crate::engine::restart::Policy::OnFailure(times) => times,
        _ => 0,
    };
    json!({
        "NetworkMode": network,
        "PortBindings": published(&options.ports),
        "RestartPolicy": { "Name": policy.name(), "MaximumRetryCount": times },
        "AutoRemove": options.auto_remove,
        "Privileged": options.security.privileged,
        "Init": options.init,
        "GroupAdd": options.groups,
        "Memory": limits.memory.limit.unwrap_or(0),
        "MemorySwap": limits.memory.swap.unwrap_or(0),
        "MemoryReservation": limits.memory.reservation.unwrap_or(0),
        "NanoCpus": limits.nano_cpus(),
        "CpuShares": limits.cpu.shares.unwrap_or(0),
        "CpuQuota": limits.cpu.quota.unwrap_or(0),
        "CpuPeriod": limits.cpu.period.unwrap_or(0),
        "CpusetCpus": limits.cpu.cpus,
        "CgroupParent": options.cgroup_parent,
        "Annotations": options.annotations,
    })
}

fn mounts(container: &Container) -> Vec<Value> {
    use crate::layer::Source;
    let one = |mount: &crate::layer::Mount| {
        let (kind, name, source) = match &mount.source {
            Source::Bind(host) => ("bind", String::new(), host.path.to_string()),
            Source::Volume(volume) => ("volume", volume.name.clone(), String::new()),
            Source::Tmpfs(_) => ("tmpfs", String::new(), String::new()),
            Source::Image(_) => ("image", String::new(), String::new()),
        };
        json!({ "Type": kind, "Name": name, "Source": source, "Destination": mount.target.to_string() })
    };
    container.spec.options.mounts.iter().map(one).collect()
}

/// Ports by `PORT/PROTOCOL` of the container, each with the host's ports that lead there.
fn published(ports: &[crate::network::Port]) -> Value {
    let mut all = serde_json::Map::new();
    for port in ports {
        let address = port.address.map_or("0.0.0.0".to_string(), |address| address.to_string());
        let host = json!({ "HostIp": address, "HostPort": port.host.to_string() });
        let place = all
            .entry(format!("{}/{}", port.container, port.protocol))
            .or_insert_with(|| json!([]));
        place.as_array_mut().into_iter().for_each(|hosts| hosts.push(host.clone()));
    }
    Value::Object(all)
}

fn texts(texts: &[Text]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
