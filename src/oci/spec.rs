//! `spec`: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Command, VERSION};
use crate::error::{Doing, Error};
use crate::flags::{Order, option, switch};

pub const SPEC: Command = Command {
    name: "spec",
    usage: "[FLAGS]",
    summary: "Write a config.json to begin with",
    flags: &[
        option(
            "bundle",
            Some(b'b'),
            "DIRECTORY",
            "The bundle (default: the working directory)",
        ),
        switch("rootless", None, "For a user who is not root"),
    ],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: |_, parsed| {
        let directory = parsed.last("bundle").map_or_else(|| ".".into(), PathBuf::from);
        let path = directory.join("config.json");
        let doing = || format!("write `{}`", path.display());
        let config = configuration(parsed.is_set("rootless"));
        let text = serde_json::to_string_pretty(&config).map_err(Error::system)?;
        // What is there is somebody's work.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).doing(doing)?;
        Ok(0)
    },
};

/// A shell in the root `rootfs`, with what runc's `spec` gives.
fn configuration(rootless: bool) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut config = json!({
        "ociVersion": VERSION,
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "tinydock",
        "mounts": mounts(rootless),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                { "type": "cgroup" },
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
                "/sys/firmware",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    });
    if rootless {
        let linux = &mut config["linux"];
        linux["namespaces"]
            .as_array_mut()
            .expect("a list")
            .retain(|namespace| namespace["type"] != "network");
        linux["namespaces"]
            .as_array_mut()
            .expect("a list")
            .push(json!({ "type": "user" }));
        let own = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
        linux["uidMappings"] = own(rustix::process::geteuid().as_raw());
        linux["gidMappings"] = own(rustix::process::getegid().as_raw());
        linux["resources"] = json!({});
    }
    config
}

fn mounts(rootless: bool) -> Value {
    let pts = if rootless {
        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"])
    } else {
        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"])
    };
    let sys = if rootless {
        json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] })
    } else {
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] })
    };
    let mut mounts = json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
        sys,
    ]);
    if !rootless {
        let cgroup = json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] });
        mounts.as_array_mut().expect("a list").push(cgroup);
    }
    mounts
}
