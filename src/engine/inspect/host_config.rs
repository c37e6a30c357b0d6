//! What a container may use and share, as Docker shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::network::{Binding, bindings};
use crate::cgroup::{DeviceRule, Resources, Throttle};
use crate::engine::{Options, restart::Policy};
use crate::isolation::{self, Ipc, Namespaces, Processes, Seccomp, Security, UserNamespace};
use crate::layer::{Access, Mount, Source};
use crate::network::{DEFAULT, Mode, Port};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    binds: Option<Vec<String>>,
    #[serde(rename = "ContainerIDFile")]
    id_file: String,
    log_config: LogConfig,
    network_mode: String,
    port_bindings: BTreeMap<String, Vec<Binding>>,
    restart_policy: RestartPolicy,
    auto_remove: bool,
    volume_driver: String,
    volumes_from: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    cgroupns_mode: &'static str,
    group_add: Option<Vec<String>>,
    ipc_mode: String,
    oom_score_adj: i32,
    pid_mode: String,
    privileged: bool,
    readonly_rootfs: bool,
    security_opt: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmpfs: Option<BTreeMap<String, String>>,
    #[serde(rename = "UTSMode")]
    uts_mode: &'static str,
    userns_mode: String,
    shm_size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sysctls: BTreeMap<String, String>,
    runtime: &'static str,
    cpu_shares: u64,
    memory: i64,
    nano_cpus: u64,
    cgroup_parent: String,
    blkio_weight: u16,
    blkio_device_read_bps: Vec<Rate>,
    blkio_device_write_bps: Vec<Rate>,
    #[serde(rename = "BlkioDeviceReadIOps")]
    blkio_device_read_ops: Vec<Rate>,
    #[serde(rename = "BlkioDeviceWriteIOps")]
    blkio_device_write_ops: Vec<Rate>,
    cpu_period: u64,
    cpu_quota: i64,
    cpu_realtime_period: u64,
    cpu_realtime_runtime: i64,
    cpuset_cpus: String,
    cpuset_mems: String,
    devices: Vec<Device>,
    device_cgroup_rules: Option<Vec<String>>,
    memory_reservation: i64,
    memory_swap: i64,
    memory_swappiness: Option<u64>,
    oom_kill_disable: Option<bool>,
    pids_limit: Option<i64>,
    ulimits: Vec<Ulimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<bool>,
    /// Empty where everything of the host is to be seen.
    masked_paths: &'static [&'static str],
    readonly_paths: &'static [&'static str],
    dns: [String; 0],
    dns_options: [String; 0],
    dns_search: [String; 0],
    extra_hosts: Option<Vec<String>>,
    links: Option<Vec<String>>,
    publish_all_ports: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    #[serde(rename = "Type")]
    kind: &'static str,
    config: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    name: &'static str,
    maximum_retry_count: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rate {
    path: String,
    rate: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Device {
    path_on_host: String,
    path_in_container: String,
    cgroup_permissions: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit {
    name: String,
    hard: i64,
    soft: i64,
}

impl HostConfig {
    pub fn of(options: &Options) -> HostConfig {
        let limits = &options.limits;
        let (added, dropped) = capabilities(&options.security);
        let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        let block = &limits.block_io;
        HostConfig {
            binds: some(options.mounts.iter().filter_map(bind).collect()),
            id_file: String::new(),
            log_config: LogConfig {
                kind: options.log.driver.name(),
                config: options.log.options.clone(),
            },
            network_mode: network_mode(&options.network),
            port_bindings: bindings(&asked_for(options)),
            restart_policy: restart_policy(options.restart),
            auto_remove: options.auto_remove,
            volume_driver: String::new(),
            volumes_from: some(options.volumes_from.clone()),
            annotations: options.annotations.clone(),
            cap_add: some(added),
            cap_drop: some(dropped),
            cgroupns_mode: if options.namespaces.host_cgroups { "host" } else { "private" },
            group_add: some(options.groups.clone()),
            ipc_mode: ipc_mode(&options.namespaces),
            oom_score_adj: options.oom_score.unwrap_or(0),
            pid_mode: pid_mode(&options.namespaces),
            privileged: options.security.privileged,
            readonly_rootfs: options.read_only,
            security_opt: some(security_options(&options.security)),
            tmpfs: tmpfs(&options.mounts),
            uts_mode: if options.namespaces.host_uts { "host" } else { "" },
            userns_mode: users_mode(&options.namespaces.users),
            shm_size: options.shared_memory.unwrap_or(64 << 20),
            sysctls: options.sysctls.iter().map(|sysctl| sysctl.pair()).collect(),
            runtime: "tinydock",
            cpu_shares: limits.cpu.shares.unwrap_or(0),
            memory: limits.memory.limit.unwrap_or(0),
            nano_cpus: limits.nano_cpus(),
            cgroup_parent: options.cgroup_parent.clone(),
            blkio_weight: block.weight.unwrap_or(0),
            blkio_device_read_bps: rates(&block.throttle_read_bps_device),
            blkio_device_write_bps: rates(&block.throttle_write_bps_device),
            blkio_device_read_ops: rates(&block.throttle_read_iops_device),
            blkio_device_write_ops: rates(&block.throttle_write_iops_device),
            cpu_period: own_period(limits, limits.cpu.period.unwrap_or(0)),
            cpu_quota: own_period(limits, limits.cpu.quota.unwrap_or(0)),
            cpu_realtime_period: limits.cpu.realtime_period.unwrap_or(0),
            cpu_realtime_runtime: limits.cpu.realtime_runtime.unwrap_or(0),
            cpuset_cpus: limits.cpu.cpus.clone(),
            cpuset_mems: limits.cpu.mems.clone(),
            devices: options.devices.iter().map(Device::of).collect(),
            device_cgroup_rules: some(options.device_rules.iter().map(device_rule).collect()),
            memory_reservation: limits.memory.reservation.unwrap_or(0),
            memory_swap: limits.memory.swap.unwrap_or(0),
            memory_swappiness: limits.memory.swappiness,
            oom_kill_disable: limits.memory.disable_oom_killer,
            pids_limit: limits.pids.limit,
            ulimits: options.ulimits.iter().map(Ulimit::of).collect(),
            init: options.init.then_some(true),
            masked_paths: if options.security.unmasked {
                &[]
            } else {
                &isolation::HIDDEN_PATHS
            },
            readonly_paths: if options.security.unmasked {
                &[]
            } else {
                &isolation::READ_ONLY_PATHS
            },
            dns: [],
            dns_options: [],
            dns_search: [],
            extra_hosts: None,
            links: None,
            publish_all_ports: options.publish_all,
        }
    }
}

/// The ports that were asked for one by one, without those that are published because the image exposes them.
fn asked_for(options: &Options) -> Vec<Port> {
    let exposed: BTreeSet<_> = options.exposed.iter().map(Port::within).collect();
    let mut ports = options.ports.clone();
    ports.retain(|port| !options.publish_all || port.host != 0 || !exposed.contains(&port.within()));
    ports
}

/// Docker shows a number of processors, or a quota and its period, as they were asked for.
fn own_period<T: Default>(limits: &Resources, value: T) -> T {
    if limits.nano_cpus() > 0 { T::default() } else { value }
}

/// A directory of the host or a volume as `-v` has it.
fn bind(mount: &Mount) -> Option<String> {
    let source = match &mount.source {
        Source::Bind(host) => host.path.to_string(),
        Source::Volume(volume) if !volume.anonymous => volume.name.clone(),
        _ => return None,
    };
    let options = if mount.access == Access::Writable { "" } else { ":ro" };
    Some(format!("{source}:{}{options}", mount.target))
}

fn tmpfs(mounts: &[Mount]) -> Option<BTreeMap<String, String>> {
    let tmpfs = mounts.iter().filter(|mount| matches!(mount.source, Source::Tmpfs(_)));
    let tmpfs: BTreeMap<String, String> = tmpfs.map(|mount| (mount.target.to_string(), String::new())).collect();
    Some(tmpfs).filter(|tmpfs| !tmpfs.is_empty())
}

fn network_mode(mode: &Mode) -> String {
    match mode {
        Mode::None => "none".into(),
        Mode::Host => "host".into(),
        Mode::Bridge(name) if name == DEFAULT => DEFAULT.into(),
        Mode::Bridge(name) => name.clone(),
    }
}

fn restart_policy(policy: Policy) -> RestartPolicy {
    RestartPolicy {
        name: policy.name(),
        maximum_retry_count: match policy {
            Policy::OnFailure(times) => times,
            _ => 0,
        },
    }
}

fn ipc_mode(namespaces: &Namespaces) -> String {
    match &namespaces.ipc {
        Ipc::Own => "private".into(),
        Ipc::WithoutMemory => "none".into(),
        Ipc::Shareable => "shareable".into(),
        Ipc::Host => "host".into(),
        Ipc::Container(name) => format!("container:{name}"),
    }
}

fn pid_mode(namespaces: &Namespaces) -> String {
    match &namespaces.processes {
        Processes::Own => String::new(),
        Processes::Host => "host".into(),
        Processes::Container(name) => format!("container:{name}"),
    }
}

fn users_mode(users: &UserNamespace) -> String {
    match users {
        UserNamespace::Host => String::new(),
        UserNamespace::Auto { size } => format!("auto:size={size}"),
        UserNamespace::Remapped => "remap".into(),
    }
}

/// The names of the capabilities that are more, and those that are fewer, than the usual ones.
fn capabilities(security: &Security) -> (Vec<String>, Vec<String>) {
    if security.privileged {
        return (Vec::new(), Vec::new());
    }
    let usual = Security::default().capabilities;
    let names = |set: u64| isolation::capability_names(set).into_iter().map(String::from).collect();
    (names(security.capabilities & !usual), names(usual & !security.capabilities))
}

fn security_options(security: &Security) -> Vec<String> {
    let mut options = Vec::new();
    if security.no_new_privileges {
        options.push("no-new-privileges".into());
    }
    match &security.seccomp {
        Seccomp::Builtin => {}
        Seccomp::Unconfined if security.privileged => {}
        Seccomp::Unconfined => options.push("seccomp=unconfined".into()),
        Seccomp::Profile(_) => options.push("seccomp=profile".into()),
    }
    if security.unmasked && !security.privileged {
        options.push("systempaths=unconfined".into());
    }
    options.extend(security.apparmor.iter().map(|profile| format!("apparmor={profile}")));
    options
}

fn rates(limits: &[Throttle]) -> Vec<Rate> {
    let rate = |limit: &Throttle| Rate {
        path: format!("/dev/block/{}:{}", limit.major, limit.minor),
        rate: limit.rate,
    };
    limits.iter().map(rate).collect()
}

/// A rule as the kernel spells it: `c 10:229 rwm`.
fn device_rule(rule: &DeviceRule) -> String {
    let number = |number: Option<i64>| match number {
        None | Some(-1) => "*".into(),
        Some(number) => number.to_string(),
    };
    let kind = rule.kind.as_deref().unwrap_or("a");
    let access = rule.access.as_deref().unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

impl Device {
    fn of(device: &isolation::Device) -> Device {
        Device {
            path_on_host: device.source.clone(),
            path_in_container: device.target.clone(),
            cgroup_permissions: device.access.clone(),
        }
    }
}

impl Ulimit {
    /// No limit is -1.
    fn of(limit: &isolation::Ulimit) -> Ulimit {
        let (name, soft, hard) = limit.parts();
        let number = |number: u64| i64::try_from(number).unwrap_or(-1);
        Ulimit {
            name: name.into(),
            hard: number(hard),
            soft: number(soft),
        }
    }
}
