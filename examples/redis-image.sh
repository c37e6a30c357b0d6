#!/usr/bin/env bash
# Packs this machine's redis-server and redis-cli, with all that they need, as a base image for tinydock.
# usage: examples/redis-image.sh redis.tar.gz
# The binaries are those of Debian's packages redis-server and redis-tools; /bin/sh is a static busybox.
set -euo pipefail

if [ $# != 1 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
output=$1

# Prints the path of a command. Servers are in sbin, which an ordinary user's PATH may lack.
find_command() {
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" && return
    echo "${0##*/}: no such command: \`$1\`" >&2
    echo "  hint: install the package $2" >&2
    exit 1
}
server=$(find_command redis-server redis-server)
client=$(find_command redis-cli redis-tools)
busybox=${TINYDOCK_BUSYBOX:-$(find_command busybox busybox-static)}
if ldd "$busybox" 2>/dev/null | grep -q '=>'; then
    echo "${0##*/}: \`$busybox\` is not static" >&2
    echo "  hint: install the package busybox-static, or name a static busybox in TINYDOCK_BUSYBOX" >&2
    exit 1
fi

umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,data,dev,etc,proc,root,sys,tmp,usr/bin,usr/local/bin,var}
chmod 755 "$root"
chmod 700 "$root/root"
chmod 1777 "$root/tmp"

# Copies follow symbolic links: Debian's redis-server is one.
install -m 755 "$server" "$root/usr/bin/redis-server"
install -m 755 "$client" "$root/usr/bin/redis-cli"
install -m 755 "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
for applet in cat id ls ps sleep; do
    ln -s busybox "$root/bin/$applet"
done

# Redis answers only its own host unless it is told otherwise. A container is a host of its own, so nobody could ever
# connect: like Docker's image, this one says otherwise. Options that come later win.
cat >"$root/usr/local/bin/redis-server" <<'END'
#!/bin/sh
case ${1:-} in
'' | --[!hv]*) set -- --protected-mode no "$@" ;;
esac
exec /usr/bin/redis-server "$@"
END
chmod 755 "$root/usr/local/bin/redis-server"

# ldd names each library and the dynamic loader by the path at which the program will look for it.
libraries=$(ldd "$server" "$client" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' | sort -u)
for library in $libraries; do
    install -D -m 755 "$library" "$root$library"
done

printf 'root:x:0:0:root:/root:/bin/sh\nredis:x:999:999:redis:/data:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nredis:x:999:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# A file that is there under its own name is whole: tinydock may look at any time.
tar --create --gzip --file "$output.new" --directory "$root" --sort=name --owner=0 --group=0 --numeric-owner .
mv "$output.new" "$output"
