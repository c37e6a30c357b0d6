# The engine's containers.

# A file of the cgroup of the container that runs last.
limit() {
    cat "/sys/fs/cgroup/tinydock/$(tinydock ls -q --no-trunc | head -1)/$1"
}

left() {
    ip -o link show | grep -c ': td[0-9a-f]*@'
    ls /sys/fs/cgroup/tinydock | grep -c '^[0-9a-f]\{64\}$'
    grep -c tinydock /proc/mounts
    ls /run/tinydock/container /run/tinydock/port | grep -c '^[0-9a-f]\{64\}$'
    ps -o args | grep -c '[s]leep 1000'
}

release=$(uname -r)
check "the kernel is older than the option lowerdir+" 6.1 echo "${release%.*}"
check "cgroups of version 2 only" "0::/" cat /proc/self/cgroup
check "a container says hello" hello tinydock run --rm busybox echo hello
check "no network" 1 tinydock run --rm --network none busybox sh -c 'ip -o link | wc -l'

tinydock run -d --name limited -m 32m --cpus 0.5 --pids-limit 20 busybox sleep 1000 >/dev/null
check "memory.max" 33554432 limit memory.max
check "memory.swap.max" 33554432 limit memory.swap.max
check "cpu.max" "50000 100000" limit cpu.max
check "pids.max" 20 limit pids.max
check "the limits are seen in the container" "33554432" tinydock exec limited cat /sys/fs/cgroup/memory.max
check "the container's cgroup is its root" "0::/" tinydock exec limited cat /proc/self/cgroup
check "its cgroups are read-only" "sh: can't create /sys/fs/cgroup/memory.max: Read-only file system" \
    tinydock exec limited sh -c 'echo max > /sys/fs/cgroup/memory.max'
check "too many processes are refused" "sh: can't fork: Resource temporarily unavailable" \
    tinydock run --rm --pids-limit 5 busybox sh -c 'for n in $(seq 30); do sleep 5 & done'
check "exec gives the status" 7 status_of tinydock exec limited sh -c 'exit 7'
check "null is a device" "" tinydock exec limited sh -c 'echo x > /dev/null'
check "other devices are refused" "cat: can't open '/kmsg': Operation not permitted" \
    tinydock exec limited sh -c 'mknod /kmsg c 1 11; cat /kmsg'
check "clocks are its own" different sh -c \
    '[ "$(readlink /proc/self/ns/time)" = "$(tinydock exec limited readlink /proc/self/ns/time)" ] || echo different'
tinydock run -d --name managing --privileged --network none busybox sh -c 'cd /sys/fs/cgroup; mkdir init
    echo 1 >init/cgroup.procs; echo +memory +pids >cgroup.subtree_control; echo managing; exec sleep 1000' >/dev/null
until tinydock logs managing | grep -q managing; do sleep 0.1; done
check "exec where a cgroup with others below it takes no process" "0::/init" tinydock exec managing cat /proc/self/cgroup
tinydock rm -f managing >/dev/null
check "stop" limited tinydock stop -t 0 limited
check "rm" limited tinydock rm limited

check "too much memory" 137 status_of tinydock run --name greedy -m 16m busybox tail /dev/zero
check "and it is told" "exited (137, out of memory)" sh -c "tinydock ls -a | grep -o 'exited (137, out of memory)'"
tinydock rm greedy >/dev/null

tinydock run -d --name web -p 8080:80 busybox sh -c 'echo hello > /index.html; httpd -f -h /; sleep 1000' >/dev/null
until wget -q -O /dev/null http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.2; done
check "a published port" hello wget -q -O - http://127.0.0.1:8080/
check "another container" hello tinydock run --rm busybox wget -q -O - http://172.26.0.2/
check "a volume" volume sh -c 'mkdir /data; tinydock run --rm -v /data:/data busybox sh -c "echo volume > /data/file"; cat /data/file'
check "commit of a running container" changed sh -c 'tinydock commit web changed > /dev/null && echo changed'
check "it goes on" hello wget -q -O - http://127.0.0.1:8080/
check "an image of two layers" hello tinydock run --rm changed cat /index.html
check "rm -f" web tinydock rm -f web
tinydock run --name said busybox echo said >/dev/null
check "logs" said tinydock logs said
tinydock rm said >/dev/null

if tests cgroups:: --test-threads 1 >/tmp/tests 2>&1; then
    check "the cgroups that an OCI runtime makes" "10 passed" grep -o "[0-9]* passed" /tmp/tests
else
    check "the cgroups that an OCI runtime makes" "" cat /tmp/tests
fi

# The last container's processes and interfaces may take a moment.
sleep 1
check "nothing is left" "0
0
0
0
0" left
