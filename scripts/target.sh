#!/usr/bin/env bash
# Prints the target to build for: CARGO_BUILD_TARGET, or musl's, whose programs start sooner, if it is here, or glibc's.
# usage: scripts/target.sh [--install]
set -euo pipefail
cd "$(dirname "$0")/.."
musl=x86_64-unknown-linux-musl
tried=target/musl-cannot-be-installed

if [ -n "${CARGO_BUILD_TARGET:-}" ]; then
    echo "$CARGO_BUILD_TARGET"
    exit
fi

# The target of the toolchain that builds this, and a compiler of C for it.
is_here() {
    [ -d "$(rustc --print target-libdir --target "$musl")" ] && command -v musl-gcc >/dev/null
}

# That this fails is no reason not to build: only the start of a program takes longer. So nobody is asked for a password, and it is tried
# once a day.
install() {
    [ -z "$(find "$tried" -mtime -1 2>/dev/null)" ] || return
    mkdir -p target && touch "$tried"
    command -v rustup >/dev/null && command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true; } || return
    timeout 120 rustup target add "$musl" && timeout 300 scripts/packages.sh musl
}

case ${1:-} in
--install)
    if ! is_here && ! install >&2; then
        echo "tinydock is built with glibc: $musl or musl-tools is not here, and cannot be installed." >&2
    fi
    ;;
'') ;;
*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac
if is_here; then echo "$musl"; else echo "${musl/musl/gnu}"; fi
