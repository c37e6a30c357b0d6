#!/usr/bin/env bash
# Makes image.tar in the current directory: busybox as an image that every engine can load, under two names. The second one
# only waits, as the first container of a pod does.
# usage: image.sh BUSYBOX
set -euo pipefail

root=rootfs
mkdir -p "$root"/{bin,proc,sys,dev,etc,root,home/user}
install -d -m 1777 "$root/tmp"
"$1" --list | while read -r name; do
    ln -sf busybox "$root/bin/$name"
done
rm -f "$root/bin/busybox"
cp "$1" "$root/bin/busybox"
printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000:user:/home/user:/bin/sh >"$root/etc/passwd"
printf '%s\n' root:x:0: user:x:1000: extra:x:2000:user >"$root/etc/group"
chown 1000:1000 "$root/home/user"
tar -C "$root" -cf layer.tar .
layer=$(sha256sum layer.tar | cut -d ' ' -f 1)

# usage: describe FILE COMMAND
describe() {
    cat >"$1" <<EOF
{"architecture": "amd64", "os": "linux", "config": {"Cmd": $2, "Env": ["PATH=/bin"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}, "history": [{"created_by": "$1"}]}
EOF
}

describe busybox.json '["sh"]'
describe wait.json '["sleep", "100000"]'
cat >manifest.json <<EOF
[{"Config": "busybox.json", "RepoTags": ["docker.io/library/busybox:latest"], "Layers": ["layer.tar"]},
 {"Config": "wait.json", "RepoTags": ["docker.io/library/wait:latest"], "Layers": ["layer.tar"]}]
EOF
tar -cf image.tar manifest.json busybox.json wait.json layer.tar
