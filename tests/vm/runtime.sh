# The OCI runtime: what only cgroups of version 2, or a root that has all capabilities, can show.

resources='"resources": {
  "memory": { "limit": 33554432, "swap": 67108864, "reservation": 16777216 },
  "cpu": { "shares": 512, "quota": 50000, "period": 100000 },
  "pids": { "limit": 20 },
  "blockIO": { "weight": 500 },
  "unified": { "memory.high": "25165824", "cpu.max.burst": "1000" },
  "devices": [{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 4, "minor": 64, "access": "r" }]
},
"devices": [
  { "path": "/dev/serial", "type": "c", "major": 4, "minor": 64 },
  { "path": "/dev/memory", "type": "c", "major": 1, "minor": 1 }
],'
process='"oomScoreAdj": -500, "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 2000000, "hard": 2000000 }],'
# More than the hard limit that the machine gives to its first process.
echo 3000000 >/proc/sys/fs/nr_open
describe "cat /proc/self/oom_score_adj; ulimit -Hn; sleep 1000" "$process" "$resources"
check "create" "" create
check "state: created" created status
check "nothing runs before start" "" cat output
check "its process is in its cgroup" "$(runtime state guest | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" group cgroup.procs
check "start" "" runtime start guest
check "state: running" running status
until grep -q 000 output; do sleep 0.1; done
check "oomScoreAdj is lowered, and a limit is raised" "-500
2000000" cat output
check "memory: limit" 33554432 group memory.max
check "memory: swap is what is more than memory" 33554432 group memory.swap.max
check "memory: reservation" 16777216 group memory.low
check "cpu: shares become a weight" 59 group cpu.weight
check "cpu: quota" "50000 100000" group cpu.max
check "pids: limit" 20 group pids.max
check "unified: memory.high" 25165824 group memory.high
check "unified: cpu.max.burst" 1000 group cpu.max.burst
check "blockIO: weight" "default 4950" group io.weight
check "exec" "uid=0 gid=0" runtime exec guest id
check "exec: its status" 7 status_of runtime exec guest sh -c 'exit 7'
check "exec: is in the container's cgroup" "0::/" runtime exec guest cat /proc/self/cgroup
below=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(group cgroup.procs)/cgroup")
mkdir "$below/init"
group cgroup.procs >"$below/init/cgroup.procs"
echo +pids >"$below/cgroup.subtree_control"
check "exec: where init is, if the container's takes none" "0::/init" runtime exec guest cat /proc/self/cgroup
echo -pids >"$below/cgroup.subtree_control"
cat "$below/init/cgroup.procs" >"$below/cgroup.procs"
rmdir "$below/init"
check "a device that a rule allows" "0+0 records in" contains "0+0 records in" runtime exec guest dd if=/dev/serial count=0
check "and may not be written" "can't create /dev/serial: Operation not permitted" \
    contains "can't create /dev/serial: Operation not permitted" runtime exec guest sh -c ': >/dev/serial'
check "a device that none allows" "Operation not permitted" contains "Operation not permitted" runtime exec guest cat /dev/memory
check "a device that every container has" "" runtime exec guest sh -c 'echo x >/dev/null'
check "ps" "$(group cgroup.procs)" sh -c "tinydock runtime ps guest | sed 1d | tr -s ' ' | cut -d' ' -f2"
check "events: memory" 33554432 told usage limit
check "events: processes" 20 told pids limit
check "pause" "" runtime pause guest
check "state: paused" paused status
check "pause: it is frozen" 1 group cgroup.freeze
check "pause: exec is refused" 255 status_of runtime exec guest true
check "resume" "" runtime resume guest
check "state: running again" running status
check "update" "" runtime update --memory 67108864 --memory-swap 67108864 --pids-limit 30 --cpu-quota 25000 --cpu-share 1024 guest
check "update: memory and swap" "67108864 0" echo "$(group memory.max)" "$(group memory.swap.max)"
check "update: the others" "30 25000 100000 100" echo "$(group pids.max)" "$(group cpu.max)" "$(group cpu.weight)"
check "kill" "" runtime kill guest KILL
ended
check "state: stopped" stopped status
check "delete" "" runtime delete guest
check "nothing of its cgroup is left" 1 status_of ls /sys/fs/cgroup/pod/guest

describe "cat /proc/self/uid_map; id -u; touch /etc/made; cat /proc/self/setgroups" "" '
"uidMappings": [{ "containerID": 0, "hostID": 70000, "size": 1000 }],
"gidMappings": [{ "containerID": 0, "hostID": 70000, "size": 1000 }],' ', { "type": "user" }'
chown 70000:70000 rootfs/etc
check "users of its own" "0 70000 1000
0
allow" sh -c 'tinydock runtime run guest </dev/null | tr -s " " | sed "s/^ //"'
check "users: their files are the mapped user's" 70000 stat -c %u rootfs/etc/made
describe "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime" "" '"timeOffsets": { "monotonic": { "secs": 1000000 }, "boottime": { "secs": 5000000 } },' ', { "type": "time" }'
check "offsets of clocks" "monotonic 1000000 0
boottime 5000000 0
50000" sh -c 'tinydock runtime run guest </dev/null | tr -s " " | sed "s/^\(50000\)[0-9]*$/\1/"'

describe "sleep 1; tail /dev/zero" "" '"resources": { "memory": { "limit": 16777216, "swap": 16777216 } },'
check "a container that will take too much" "" started
runtime events guest >events &
ended
wait $!
check "out of memory: it was killed" "oom_kill 1" grep 'oom_kill ' /sys/fs/cgroup/pod/guest/memory.events
check "out of memory: an event tells it" '{"type":"oom","id":"guest"}' grep oom events
check "delete of one that was killed" "" gone
check "out of memory: the status" 137 status_of runtime run guest
