# `checkpoint` and `restore` with a criu(8) that is Debian's.

counts() {
    first=$(cat rootfs/count)
    sleep 1
    second=$(cat rootfs/count)
    [ "$second" -gt "$first" ] && [ "$first" -ge "$1" ] && echo "it counts on" || echo "it was $1, is $first and then $second"
}

# What isolates the container, as a process in it sees it.
isolation() {
    runtime exec guest cut -d" " -f5,6 /proc/1/mountinfo | sort
    runtime exec guest sh -c 'grep -E "^(Cap|Seccomp|NoNew)" /proc/1/status; ls /sys/fs/cgroup /proc/1/fd
        cat /proc/1/cgroup /proc/1/attr/current /proc/1/oom_score_adj'
}

describe "echo begin; n=0; while :; do n=\$((n + 1)); echo \$n >/next; mv /next /count; sleep 0.1; done" \
    '"apparmorProfile": "careful", "oomScoreAdj": 300,' '
"resources": { "memory": { "limit": 33554432 }, "pids": { "limit": 20 } },
"seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["chroot"], "action": "SCMP_ACT_ERRNO" }] },
"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],'
hooks='"hooks": {
  "poststart": [{ "path": "/bin/sh", "args": ["sh", "-c", "grep -o running >>/hooks"] }],
  "poststop": [{ "path": "/bin/sh", "args": ["sh", "-c", "grep -o stopped >>/hooks"] }]
},'
sed -i "1a $(echo "$hooks" | tr '\n' ' ')" config.json
check "checkpoint: start" "" started
until [ -s rootfs/count ]; do sleep 0.1; done
before=$(isolation)

check "checkpoint --leave-running" "" runtime checkpoint --leave-running --image-path /tmp/copy guest
check "checkpoint --leave-running: state" running status
check "checkpoint --leave-running: it goes on" "it counts on" counts 1

check "checkpoint" "" runtime checkpoint --image-path /tmp/images guest
check "checkpoint: state" stopped status
last=$(cat rootfs/count)
check "restore" 0 sh -c 'tinydock runtime restore -d --image-path /tmp/images guest </dev/null >>output 2>&1; echo $?'
check "restore: what it said" begin cat output
check "restore: state" running status
check "restore: the counter goes on" "it counts on" counts "$last"
check "restore: nothing of the host is seen" "$before" isolation
check "restore: limits" "33554432 20" echo "$(group memory.max)" "$(group pids.max)"
check "restore: what it uses counts" "yes" sh -c '[ "$(cat /sys/fs/cgroup/pod/guest/memory.current)" -gt 200000 ] && echo yes'
check "restore: processes are in its cgroup" "$(runtime ps --format json guest | tr -d '[] \n' | tr , '\n' | head -1)" \
    sh -c 'head -1 /sys/fs/cgroup/pod/guest/cgroup.procs'
check "restore: pause" paused sh -c 'tinydock runtime pause guest; tinydock runtime state guest | grep -o paused; tinydock runtime resume guest'

check "checkpoint: once more" "" runtime checkpoint --image-path /tmp/again guest
check "checkpoint: delete" "" runtime delete guest
check "restore under another id" 0 sh -c 'tinydock runtime restore -d --image-path /tmp/copy other </dev/null >>output 2>&1; echo $?'
check "restore: kill" "" runtime kill other KILL
until tinydock runtime state other | grep -q stopped; do sleep 0.1; done
check "restore: delete" "" runtime delete other
check "restore: hooks" "running
stopped
running
stopped
running
stopped" cat /hooks
sed 's/"oomScoreAdj"/"noNewPrivileges": true, &/' config.json >changed && mv changed config.json
lost="\`process.noNewPrivileges\`: criu 3.17.1 would restore a process without it; criu 3.19 keeps it"
check "restore: what this criu would lose is refused" "$lost" contains "$lost" runtime restore --image-path /tmp/images guest
sed 's/"noNewPrivileges": true, //' config.json >changed && mv changed config.json
: >output
check "restore: an error says why" "File fd/1 has bad size 0 (expect 6)" \
    contains "File fd/1 has bad size 0 (expect 6)" sh -c 'tinydock runtime restore --image-path /tmp/images guest </dev/null 2>&1 >output'
check "restore: nothing is left" "0
0
0" sh -c 'tinydock runtime list -q | wc -l; ls /sys/fs/cgroup/pod | grep -c -e guest -e other; grep -c tinydock-runtime /proc/mounts'
