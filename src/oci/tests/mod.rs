//! Configurations of all kinds: valid ones, those with one mistake, and whatever else somebody may write.

mod fuzz;
mod invalid;
mod plans;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::config::{self, Config};
use super::plan::{Asked, Facts, Plan, plan};
use crate::cgroup::Hierarchies;
use crate::error::Result;
use crate::isolation::Host;

/// A directory with a root and with sources of binds, which is removed when the test is over.
struct Bundle(PathBuf);

impl Bundle {
    fn new(name: &str) -> Bundle {
        let path = std::env::temp_dir().join(format!("tinydock-oci-{name}-{}", std::process::id()));
        for directory in ["rootfs/bin", "rootfs/etc", "rootfs/dev", "rootfs/usr/lib", "src/inner"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        fs::write(path.join("rootfs/etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        fs::write(path.join("src/file"), "").unwrap();
        for command in ["sh", "true"] {
            let path = path.join("rootfs/bin").join(command);
            fs::write(&path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let _ = std::os::unix::fs::symlink("usr/lib", path.join("rootfs/lib"));
        Bundle(path)
    }

    /// Reads, checks and plans, as `create` does.
    fn plan(&self, json: &[u8], asked: Asked) -> Result<(Config, Plan)> {
        let config: Config = config::parse(json)?;
        config.check()?;
        let facts = Facts {
            host: Host::bare(),
            hierarchies: Hierarchies::all()?,
            bundle: self.0.clone(),
            cgroup: "tests".into(),
            id: "test".into(),
            systemd: false,
            privileged: true,
        };
        plan(&config, &facts, asked).map(|plan| (config, plan))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A configuration with all that can be in one.
fn sample() -> Value {
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": true, "consoleSize": { "height": 24, "width": 80 },
            "user": { "uid": 1000, "gid": 1000, "umask": 18, "additionalGids": [5, 6] },
            "args": ["sh", "-c", "true"], "env": ["PATH=/bin:/usr/bin", "A=b"], "cwd": "/etc",
            "capabilities": {
                "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"], "inheritable": [], "ambient": [],
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 100 }],
            "noNewPrivileges": true, "oomScoreAdj": 100,
            "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 4 },
            "scheduler": { "policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"] },
            "execCPUAffinity": { "initial": "0", "final": "0" },
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "test", "domainname": "example",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
            { "destination": "/data", "type": "bind", "source": "src", "options": ["rbind", "ro"],
              "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
              "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }] },
            { "destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"] },
        ],
        "hooks": { "createRuntime": [{ "path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5 }] },
        "annotations": { "org.example": "text" },
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" }, { "type": "cgroup" },
                { "type": "network", "path": "/proc/self/ns/net" }, { "type": "time" },
            ],
            "devices": [{ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0 }],
            "cgroupsPath": "/tests", "rootfsPropagation": "rslave",
            "sysctl": { "net.ipv4.ip_forward": "1" },
            "maskedPaths": ["/proc/kcore", "/etc/passwd"], "readonlyPaths": ["/proc/sys"],
            "timeOffsets": { "monotonic": { "secs": 10, "nanosecs": 1 } },
            "personality": { "domain": "LINUX" },
            "memoryPolicy": { "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{ "names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                               "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }] }],
            },
        },
    })
}

#[test]
fn the_sample_is_planned() {
    let bundle = Bundle::new("sample");
    bundle.plan(sample().to_string().as_bytes(), Asked::default()).unwrap();
}
