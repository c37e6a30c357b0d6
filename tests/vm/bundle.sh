# A bundle for the OCI runtime, and a container `guest` of it.

mkdir -p /bundle/rootfs/bin /bundle/rootfs/etc
cp /bin/busybox /bundle/rootfs/bin/busybox
for applet in sh cat sleep id ls mv dd mknod tail date cut echo touch grep readlink; do
    ln -s busybox /bundle/rootfs/bin/$applet
done
cd /bundle

# describe SCRIPT PROCESS LINUX NAMESPACES: a configuration, with more members of `process` and `linux`, which end with a comma, and
# more namespaces, which begin with one.
describe() {
    cat >config.json <<CONFIG
{
  "ociVersion": "1.2.1",
  "root": { "path": "rootfs" },
  "hostname": "guest",
  "process": {
    $2
    "user": { "uid": 0, "gid": 0 },
    "args": ["sh", "-c", "$1"],
    "env": ["PATH=/bin"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_KILL", "CAP_MKNOD", "CAP_SYS_RESOURCE"],
      "effective": ["CAP_KILL", "CAP_MKNOD", "CAP_SYS_RESOURCE"],
      "permitted": ["CAP_KILL", "CAP_MKNOD", "CAP_SYS_RESOURCE"]
    }
  },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
    { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] }
  ],
  "linux": {
    $3
    "cgroupsPath": "/pod/guest",
    "namespaces": [
      { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" }, { "type": "cgroup" }$4
    ]
  }
}
CONFIG
}

runtime() {
    tinydock runtime "$@" </dev/null
}

# A command's output goes to a file: what a container leaves open is not waited for.
create() {
    runtime create guest >output 2>&1 || cat output
}

started() {
    create && runtime start guest
}

status() {
    runtime state guest | sed -n 's/.*"status": "\([a-z]*\)".*/\1/p'
}

group() {
    cat "/sys/fs/cgroup/pod/guest/$1"
}

# A member of an object of `events --stats`.
told() {
    runtime events --stats guest | grep -o "\"$1\":{[^}]*}" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" | tail -1
}

ended() {
    until [ "$(status)" = stopped ]; do sleep 0.1; done
}

gone() {
    runtime delete --force guest
    cat output
}
