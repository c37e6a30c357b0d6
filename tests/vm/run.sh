#!/usr/bin/env bash
# Boots a Debian kernel whose only cgroups are those of version 2, and tests tinydock there.
# usage: tests/vm/run.sh TINYDOCK TESTS
# TESTS is the executable of the integration tests: those of cgroups are the same there as here.
# Needs Debian's packages qemu-system-x86, kmod, cpio and busybox-static. The kernel is downloaded once, from the mirror
# that this machine uses, and kept in TINYDOCK_VM_CACHE.
set -euo pipefail
tinydock=$(realpath "$1")
tests=$(realpath "$2")
here=$(realpath "$(dirname "$0")")
cache=${TINYDOCK_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tinydock-vm}
modules=(overlay bridge veth nf_tables nft_chain_nat nft_nat nft_masq nft_fib_ipv4 nft_ct)
# A machine without hardware virtualisation needs about a minute.
limit=${TINYDOCK_VM_LIMIT:-600}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

download_package() {
    local package
    package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    [ -n "$package" ] && (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package")
}

download_kernel() {
    download_package || { apt-get update -qq && download_package; }
    dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
    rm -rf "$cache"
    mkdir -p "$(dirname "$cache")"
    # Renamed when it is whole, so that one that was interrupted is not taken for a kernel.
    mv "$work/kernel" "$cache"
}

# The file system in memory that the kernel starts with: busybox, the modules, tinydock and the tests.
make_root() {
    local root=$work/root release module
    release=$(ls "$cache/lib/modules")
    mkdir -p "$root"/{bin,proc,sys,dev,run,tmp,new,lib/modules/"$release"}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$tinydock" "$root/bin/tinydock"
    # What is for debuggers would not fit into its memory.
    strip -o "$root/bin/tests" "$tests"
    cp "$here/guest.sh" "$root/guest.sh"
    cp "$here/boot.sh" "$root/init"
    depmod -b "$cache" "$release"
    for module in "${modules[@]}"; do
        modprobe -d "$cache" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' | while read -r module; do
        cp "$module" "$root/lib/modules/"
        basename "$module" >>"$root/lib/modules/order"
    done
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"
}

# Boots with an option of the kernel's. One processor: the emulator of Debian 12 runs several of them unreliably.
boot() {
    local options="console=ttyS0 loglevel=0 panic=-1 mitigations=off random.trust_cpu=on no_timer_check cgroup_no_v1=all $1"
    timeout "$limit" qemu-system-x86_64 -accel tcg -cpu max,la57=off -smp 1 -m 1024 -nodefaults -no-user-config \
        -display none -no-reboot -serial stdio -kernel "$cache"/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "$options" \
        </dev/null | tr -d '\r' | tee "$work/output"
    grep -q '^vm: [0-9]* passed; 0 failed$' "$work/output"
}

[ -d "$cache/boot" ] || download_kernel
make_root
boot ""
boot cgroup_disable=memory
