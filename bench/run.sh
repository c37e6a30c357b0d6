#!/usr/bin/env bash
# Measures tinydock beside the other engines that are installed. usage: bench/run.sh [--install] [--runs N]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --install ]; then
    shift
    scripts/packages.sh bench
fi
# Mounts and links of a benchmark that is killed go with its namespaces.
exec unshare --mount --net --propagation private python3 bench/harness.py "$@"
