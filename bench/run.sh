#!/usr/bin/env bash
# Measures tinydock beside the other engines that are installed.
# usage: bench/run.sh [--install] [--runs N] [--rows TEXT] [--crowd N] [--others N] [--json FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
-h | --help) exec python3 bench/main.py --help ;;
esac
if [ "${1:-}" = --install ]; then
    shift
    scripts/packages.sh bench
fi
# As it is when it is installed: of what a linker has just written, memory has each page by itself, which takes longer to execute.
if [ -z "${TINYDOCK_BIN:-}" ]; then
    export TINYDOCK_BIN=target/bench/tinydock
    install -D target/tinydock "$TINYDOCK_BIN"
fi
# In the namespaces there is no way to a mirror.
python3 bench/main.py --prepare "$@"
# Mounts and links of a benchmark that is killed go with its namespaces, and processes with their first one.
exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash -euc '
    ip link set lo up
    echo 1 > /proc/sys/net/ipv4/ip_forward
    # crun and podman take a host with both versions of cgroups for one with version 2, and find no controllers there.
    if [ -d /sys/fs/cgroup/unified ]; then
        umount /sys/fs/cgroup/unified
    fi
    exec python3 bench/main.py "$@"
' bench "$@"
