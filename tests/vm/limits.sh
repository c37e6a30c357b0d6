# Limits that are set, changed and counted in version 2, and containers that stand still.

tinydock run -d --name many -m 64m --memory-swap 96m --memory-reservation 16m --cpu-shares 512 --cpu-period 50000 \
    --cpu-quota 20000 --cpuset-cpus 0 --oom-score-adj 300 --network none busybox \
    sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/dev/shm/count; done' >/dev/null
group=/sys/fs/cgroup/tinydock/$(tinydock ls -q --no-trunc | head -1)
check "memory and swap together" 33554432 cat "$group/memory.swap.max"
check "memory that is left" 16777216 cat "$group/memory.low"
check "shares are a weight" 59 cat "$group/cpu.weight"
check "quota and period" "20000 50000" cat "$group/cpu.max"
check "processors" 0 cat "$group/cpuset.cpus"
check "who is killed first" 300 tinydock exec many cat /proc/self/oom_score_adj

check "update" many tinydock update -m 32m --memory-swap 32m --pids-limit 9 --cpus 0.5 many
check "memory after that" 33554432 cat "$group/memory.max"
check "swap after that" 0 cat "$group/memory.swap.max"
check "processes after that" 9 cat "$group/pids.max"
check "processor time after that" "50000 100000" cat "$group/cpu.max"

check "pause" many tinydock pause many
check "the kernel says so" "frozen 1" grep frozen "$group/cgroup.events"
check "ls says so" paused sh -c "tinydock ls | grep -o ' paused ' | tr -d ' '"
count() {
    cat "/proc/$(head -1 "$group/cgroup.procs")/root/dev/shm/count"
}
before=$(count)
sleep 1
check "it stands still" "$before" count
check "no exec" "tinydock: container \`many\` is paused, unpause the container before exec
  hint: \`tinydock unpause many\` lets it go on" tinydock exec many true
check "limits change meanwhile" many tinydock update --pids-limit 11 many
check "and are in force" 11 cat "$group/pids.max"
check "unpause" many tinydock unpause many
until [ "$(count)" != "$before" ]; do sleep 0.1; done
check "stats" '"PIDs":"1"' sh -c "tinydock stats --no-stream --format json many | grep -o '\"PIDs\":\"1\"'"
tinydock pause many >/dev/null
check "stop lets it go on" many tinydock stop -t 1 many
check "limits stay" many tinydock start many
check "in the same place" "11 50000 100000" sh -c "cat $group/pids.max $group/cpu.max | tr '\n' ' ' | sed 's/ \$//'"
check "kill of a paused one" many sh -c 'tinydock pause many >/dev/null; tinydock kill many'
tinydock rm many >/dev/null

# Memory that cannot be taken back: nobody is killed for a limit below it.
tinydock run -d --name full -m 64m --network none busybox sh -c 'head -c 30m /dev/zero >/dev/shm/full; echo full; sleep 1000' >/dev/null
until tinydock logs full | grep -q full; do sleep 0.2; done
group=/sys/fs/cgroup/tinydock/$(tinydock ls -q --no-trunc | head -1)
check "a limit below what is in use" "cannot be swapped out" contains "cannot be swapped out" tinydock update -m 16m full
check "leaves the one before" 67108864 cat "$group/memory.max"
check "and the container" full sh -c "tinydock ls | grep -o 'full\$'"
check "cached files are taken back" full tinydock update -m 48m full
check "swappiness is said not to be kept" "\`--memory-swappiness\` is not kept" contains "\`--memory-swappiness\` is not kept" \
    tinydock run --rm --network none --memory-swappiness 5 busybox true
check "and so is another" "\`--oom-kill-disable\` is not kept" contains "\`--oom-kill-disable\` is not kept" \
    tinydock run --rm --network none -m 32m --oom-kill-disable busybox true
tinydock rm -f full >/dev/null

# A cgroup of others: what limits it limits the container.
check "a parent" /else tinydock run --rm --network none --cgroup-parent /else --cgroupns host busybox \
    sh -c 'sed "s/0:://; s/.[0-9a-f]*\$//" /proc/self/cgroup'
check "where nothing is left" 0 sh -c 'for n in $(seq 50); do find /sys/fs/cgroup/else -mindepth 1 -type d 2>/dev/null | grep -q . || break; sleep 0.1; done
    find /sys/fs/cgroup/else -mindepth 1 -type d | grep -c .'
