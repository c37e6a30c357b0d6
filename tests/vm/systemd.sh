# Cgroups that systemd makes: the runtime where systemd is the first process.

group() {
    cat "/sys/fs/cgroup/test.slice/test-inner.slice/tinydock-guest.scope/$1"
}

describe "sleep 1000" "" '"resources": { "memory": { "limit": 33554432 }, "pids": { "limit": 20 }, "cpu": { "quota": 50000, "period": 100000 } },'
sed -i 's,/pod/guest,test-inner.slice:tinydock:guest,' config.json
check "systemd is the first process" systemd cat /proc/1/comm
check "systemd: create" "" sh -c 'tinydock runtime --systemd-cgroup create guest </dev/null >output 2>&1; cat output'
check "systemd: start" "" runtime start guest
check "systemd: it is in its scope" "$(runtime state guest | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" group cgroup.procs
check "systemd: which is a unit" tinydock-guest.scope sh -c 'ls /run/systemd/transient | grep guest'
check "systemd: limits" "33554432 20 50000 100000" echo "$(group memory.max)" "$(group pids.max)" "$(group cpu.max)"
check "systemd: exec is in it too" "0::/" runtime exec guest cat /proc/self/cgroup
check "systemd: update" "" runtime update --memory 67108864 --pids-limit 30 guest
# It writes what it knows.
kill -HUP 1
sleep 1
check "systemd: it knows the new limits" "67108864 30 50000 100000" echo "$(group memory.max)" "$(group pids.max)" "$(group cpu.max)"
check "systemd: kill" "" runtime kill guest KILL
until [ "$(status)" = stopped ]; do sleep 0.1; done
check "systemd: delete" "" runtime delete guest
check "systemd: nothing of the scope is left" "" sh -c 'ls /run/systemd/transient | grep guest; ls /sys/fs/cgroup/test.slice/test-inner.slice 2>/dev/null | grep guest'
