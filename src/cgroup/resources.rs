//! What a container may use, in the words of the OCI runtime specification (`config-linux.md`, "Control groups").
//!
//! Numbers are the kernel's own: bytes, microseconds, -1 for no limit. Nothing said, and 0 where the specification's own
//! implementation writes it for nothing, is no wish. `null` is the same as nothing, and unknown fields are passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Nothing means that whoever made the directory above has decided.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRule>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub memory: Memory,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub cpu: Cpu,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub pids: Pids,
    #[serde(rename = "blockIO", deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub block_io: BlockIo,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub hugepage_limits: Vec<HugepageLimit>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub network: Network,
    /// By the name of the device.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of a version 2 cgroup with what is written to them.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// Whether the container may use devices; the last rule that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRule {
    pub allow: bool,
    /// `a` for all, `b`, `c`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Nothing, or -1, means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Of `r`, `w` and `m`; nothing means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<i64>,
    #[serde(rename = "kernelTCP", skip_serializing_if = "Option::is_none")]
    pub kernel_tcp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "Option::is_none")]
    pub disable_oom_killer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_hierarchy: Option<bool>,
    /// Whether a limit below what is used already is refused, where the kernel would kill for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_before_update: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// In microseconds of each period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_runtime: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_period: Option<u64>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub cpus: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mems: String,
    /// 1 for a container that runs only when nobody else wants to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub weight_device: Vec<WeightDevice>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub throttle_read_bps_device: Vec<Throttle>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub throttle_write_bps_device: Vec<Throttle>,
    #[serde(
        rename = "throttleReadIOPSDevice",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub throttle_read_iops_device: Vec<Throttle>,
    #[serde(
        rename = "throttleWriteIOPSDevice",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub throttle_write_iops_device: Vec<Throttle>,
}

/// A share of one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    pub major: i64,
    pub minor: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
}

/// A limit per second of one block device; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    pub major: i64,
    pub minor: i64,
    pub rate: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// As the kernel spells it: `2MB`.
    pub page_size: String,
    pub limit: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
}

/// The priority of what leaves by one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Priority {
    pub name: String,
    pub priority: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_handles: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_objects: Option<u32>,
}

/// Reads `null` as nothing, as Go does.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_specification() {
        let text = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}],
            "memory":{"limit":1,"reservation":2,"swap":3,"kernel":-1,"kernelTCP":-1,"swappiness":0,"disableOOMKiller":false,
            "useHierarchy":true,"checkBeforeUpdate":true},
            "cpu":{"shares":4,"quota":5,"burst":6,"period":7,"realtimeRuntime":8,"realtimePeriod":9,"cpus":"0-1","mems":"0","idle":0},
            "pids":{"limit":10},
            "blockIO":{"weight":11,"leafWeight":12,"weightDevice":[{"major":8,"minor":0,"weight":13,"leafWeight":14}],
            "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":15}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":16}],
            "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":17}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":18}]},
            "hugepageLimits":[{"pageSize":"2MB","limit":19}],
            "network":{"classID":20,"priorities":[{"name":"eth0","priority":21}]},
            "rdma":{"mlx5_1":{"hcaHandles":22,"hcaObjects":23}},
            "unified":{"memory.high":"24"}}"#;
        let resources: Resources = serde_json::from_str(text).unwrap();
        let again: serde_json::Value = serde_json::to_value(&resources).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn everything_may_be_missing_or_null_or_unknown() {
        for text in [
            "{}",
            r#"{"memory":null,"devices":null,"unified":null,"cpu":{"cpus":null},"later":{"a":1}}"#,
        ] {
            let resources: Resources = serde_json::from_str(text).unwrap();
            assert_eq!(resources, Resources::default(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Resources::default()).unwrap(), "{}");
    }
}
