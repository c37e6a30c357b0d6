#!/bin/busybox sh
# The first process of the virtual machine: makes it a host, runs the tests, and turns it off.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
while read -r module; do insmod "/lib/modules/$module"; done </lib/modules/order
# A container's root cannot be exchanged for the file system that the kernel starts with, so the host moves to another.
mount -t tmpfs tmpfs /new
cp -a /bin /usr /lib64 /tests /new
mkdir /new/proc /new/sys /new/dev /new/run /new/tmp /new/var /new/etc /new/root
mount -t sysfs sysfs /new/sys
mount -t securityfs securityfs /new/sys/kernel/security
mount -t devtmpfs devtmpfs /new/dev
mkdir /new/dev/pts
mount -t devpts devpts /new/dev/pts
mount -t proc proc /new/proc
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
for controller in $(cat /new/sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/new/sys/fs/cgroup/cgroup.subtree_control
done
if grep -q systemd.unit= /proc/cmdline; then
    mkdir -p /new/etc/systemd/system
    cat >/new/etc/systemd/system/tests.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sh /tests/guest.sh >/dev/ttyS0 2>&1; poweroff -f'
UNIT
    umount /proc
    exec switch_root /new /usr/sbin/systemd
fi
umount /proc
exec switch_root /new /bin/sh -c 'ip link set lo up; sh /tests/guest.sh; poweroff -f'
