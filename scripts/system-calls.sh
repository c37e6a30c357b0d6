#!/usr/bin/env bash
# Prints the table src/isolation/seccomp/calls.txt from libseccomp's list of the kernel's system calls.
# usage: scripts/system-calls.sh libseccomp/src/syscalls.csv
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }

version=$(sed -n '1s/^#syscall (\(v[0-9.]*\).*/\1/p' "$1")
echo "# The system calls of Linux $version by name, with their 64-bit, 32-bit and x32 numbers. Made by scripts/system-calls.sh."
awk -F, 'NR > 1 && $2 $4 $6 != "PNRPNRPNR" { gsub("PNR", "-"); print $1, $4, $2, $6 }' "$1" | LC_ALL=C sort
