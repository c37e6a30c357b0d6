//! `features`: what this runtime can do, for engines that ask before they use it (runtime-spec, `features.md`).

use serde_json::json;

use super::commands::print_json;
use super::mount_options::NAMES as MOUNT_OPTIONS;
use super::{Command, VERSION};
use crate::flags::Order;
use crate::isolation;
use crate::program::flags::capability;

pub const FEATURES: Command = Command {
    name: "features",
    usage: "",
    summary: "Print what this runtime can do, as JSON",
    flags: &[],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: |_, _| {
        let capabilities: Vec<&str> = isolation::capability_names((2 << capability::CHECKPOINT_RESTORE) - 1);
        print_json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": VERSION,
            "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
            "mountOptions": &MOUNT_OPTIONS[..],
            "linux": {
                "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
                "capabilities": capabilities,
                "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true },
                "seccomp": {
                    "enabled": true,
                    "actions": [
                        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
                    ],
                    "operators": [
                        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
                    ],
                    "archs": ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                    "knownFlags": [
                        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
                    ],
                },
                "apparmor": { "enabled": true },
                "selinux": { "enabled": true },
                "intelRdt": { "enabled": false },
                "mountExtensions": { "idmap": { "enabled": true } },
            },
            "annotations": { "org.opencontainers.runtime-spec.version": VERSION },
            "potentiallyUnsafeConfigAnnotations": [],
        }))
    },
};
