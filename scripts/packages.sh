#!/usr/bin/env bash
# Installs what Debian packages the build, the tests, the peers or the benchmark need and this machine lacks.
# usage: scripts/packages.sh build|musl|test|peers|bench
set -euo pipefail

case ${1:-} in
build) packages=(busybox-static gcc) ;;
musl) packages=(musl-tools) ;;
test) packages=(busybox-static gcc strace iproute2 nftables redis-server redis-tools procps netcat-openbsd
    zstd skopeo umoci buildah podman docker-registry apache2-utils openssl python3 qemu-system-x86 kmod cpio man-db) ;;
peers) packages=(busybox-static podman conmon containernetworking-plugins docker.io containerd runc iptables iproute2 procps
    netavark docker-registry python3-grpcio python3-protobuf protobuf-compiler) ;;
bench) packages=(busybox-static crun runc bubblewrap podman conmon containernetworking-plugins netavark docker.io
    iptables debootstrap strace iproute2 docker-registry skopeo umoci) ;;
*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing from Debian's packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
    echo "Packages are installed as root: sudo may ask for your password."
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
# Servers among them are for the tests to start; a policy of 101 keeps the packages from starting them.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    made=yes
fi
trap '[ -z "$made" ] || "${as_root[@]}" rm -f "$policy"' EXIT
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
