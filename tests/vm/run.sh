#!/usr/bin/env bash
# Boots a Debian kernel whose only cgroups are those of version 2, and tests tinydock there.
# usage: tests/vm/run.sh TINYDOCK TESTS
# TESTS is the executable of the integration tests: those of cgroups are the same there as here.
# Needs Debian's packages qemu-system-x86, kmod, cpio and busybox-static. The kernel, and other programs that are tested
# with, are downloaded once, from the mirror that this machine uses, and kept in TINYDOCK_VM_CACHE.
set -euo pipefail
tinydock=$(realpath "$1")
tests=$(realpath "$2")
here=$(realpath "$(dirname "$0")")
cache=${TINYDOCK_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tinydock-vm}
modules=(overlay bridge veth nf_tables nft_chain_nat nft_nat nft_masq nft_fib_ipv4 nft_ct
    unix_diag inet_diag tcp_diag udp_diag raw_diag netlink_diag af_packet_diag nft_compat xt_mark nf_conntrack_netlink)
# Programs that tests need, and Debian's packages with them and with those of their libraries that not every machine has.
programs=(usr/sbin/criu usr/sbin/xtables-nft-multi bin/ip bin/tar sbin/apparmor_parser)
packages=(criu libnet1 libprotobuf-c1 libnl-3-200 libnftables1 iptables iproute2 tar apparmor
    systemd libsystemd-shared libapparmor1 libip4tc2 libkmod2 libmount1)
# A machine without hardware virtualisation needs about a minute.
limit=${TINYDOCK_VM_LIMIT:-600}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

download_packages() {
    local kernel
    kernel=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    [ -n "$kernel" ] && (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$kernel" "${packages[@]}")
}

download() {
    local package
    download_packages || { apt-get update -qq && download_packages; }
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/system"
    done
    echo "${packages[*]}" >"$work/system/packages"
    rm -rf "$cache"
    mkdir -p "$(dirname "$cache")"
    # Renamed when it is whole, so that one that was interrupted is not taken for it.
    mv "$work/system" "$cache"
}

# copy_programs ROOT PROGRAM...: copies programs, and the libraries that they are linked with.
copy_programs() {
    local root=$1 libraries=$cache/usr/lib/x86_64-linux-gnu program linked
    shift
    mkdir -p "$root"/{usr/sbin,usr/lib,lib64}
    for program in "$@"; do
        cp "$cache/$program" "$root/usr/sbin/"
        linked=$(LD_LIBRARY_PATH=$libraries:$libraries/systemd ldd "$cache/$program")
        if grep "not found" <<<"$linked" >&2; then
            return 1
        fi
        sed -n 's/.* => \(\/[^ ]*\).*/\1/p' <<<"$linked" | xargs -I{} cp -L {} "$root/usr/lib/"
    done
    cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
}

# What is in a directory, as an archive that the kernel unpacks into its memory.
pack() {
    (cd "$work/$1" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/$1.gz"
}

# The file system in memory that the kernel starts with: busybox, the modules, tinydock and the tests.
make_root() {
    local root=$work/root release module
    release=$(ls "$cache/lib/modules")
    mkdir -p "$root"/{bin,usr,lib64,tests,proc,sys,dev,run,tmp,new,lib/modules/"$release"}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$tinydock" "$root/bin/tinydock"
    cp "$here"/*.sh "$root/tests/"
    cp "$here/boot.sh" "$root/init"
    depmod -b "$cache" "$release"
    for module in "${modules[@]}"; do
        modprobe -d "$cache" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' | while read -r module; do
        cp "$module" "$root/lib/modules/"
        basename "$module" >>"$root/lib/modules/order"
    done
    pack root
}

# What the tests need beside it.
make_programs() {
    local root=$work/programs program
    copy_programs "$root" "${programs[@]}"
    mkdir -p "$root/bin"
    # What is for debuggers would not fit into its memory.
    strip -o "$root/bin/tests" "$tests"
    for program in ip{,6}tables-{save,restore}; do
        ln -s xtables-nft-multi "$root/usr/sbin/$program"
    done
    mkdir -p "$root/usr/lib/x86_64-linux-gnu/xtables"
    cp "$cache"/usr/lib/x86_64-linux-gnu/xtables/libxt_{mark,standard}.so "$root/usr/lib/x86_64-linux-gnu/xtables/"
    pack programs
}

# boot OPTIONS ARCHIVE...: boots with options of the kernel's, and those tests that one of them names. One processor: the
# emulator of Debian 12 runs several of them unreliably.
boot() {
    local options="console=ttyS0 loglevel=0 panic=-1 mitigations=off random.trust_cpu=on no_timer_check cgroup_no_v1=all $1"
    shift
    (cd "$work" && cat "$@") >"$work/initrd"
    timeout "$limit" qemu-system-x86_64 -accel tcg -cpu max,la57=off -smp 1 -m 1024 -nodefaults -no-user-config \
        -display none -no-reboot -serial stdio -kernel "$cache"/boot/vmlinuz-* -initrd "$work/initrd" -append "$options" \
        </dev/null | sed -u 's/\r$//' | tee "$work/output"
    grep -q '^vm: [0-9]* passed; 0 failed$' "$work/output"
}

[ "$(cat "$cache/packages" 2>/dev/null)" = "${packages[*]}" ] || download
make_root
make_programs
copy_programs "$work/systemd" lib/systemd/systemd
pack systemd
boot tests=engine,limits,runtime,apparmor,checkpoint root.gz programs.gz
boot "systemd.unit=tests.service systemd.show_status=0 tests=systemd" root.gz systemd.gz
boot "cgroup_disable=memory tests=memory" root.gz
