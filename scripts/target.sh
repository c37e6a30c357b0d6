#!/usr/bin/env bash
# Prints the target to build for: musl's, whose programs start sooner, if it is here, or glibc's.
# usage: scripts/target.sh [--install]
set -euo pipefail
cd "$(dirname "$0")/.."
musl=x86_64-unknown-linux-musl

# The target of the toolchain that builds this, and a compiler of C for it.
is_here() {
    [ -d "$(rustc --print target-libdir --target "$musl")" ] && command -v musl-gcc >/dev/null
}

# That this fails is no reason not to build: only the start of a program takes longer.
install() {
    command -v rustup apt-get >/dev/null || return
    timeout 120 rustup target add "$musl" && scripts/packages.sh musl
}

case ${1:-} in
--install) is_here || install >&2 || echo "tinydock is built with glibc: $musl or musl-tools cannot be installed." >&2 ;;
'') ;;
*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac
if is_here; then echo "$musl"; else echo "${musl/musl/gnu}"; fi
