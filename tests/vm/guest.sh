#!/bin/sh
# The tests that run in the virtual machine.
export PATH=/usr/sbin:/bin HOME=/root
passed=0
failed=0

# check NAME EXPECTED COMMAND...: the command must print what is expected.
check() {
    name=$1
    expected=$2
    shift 2
    echo "$name" >/tmp/name
    printed=$("$@" 2>&1)
    if [ "$printed" = "$expected" ]; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        echo "  expected: $expected"
        echo "  printed: $printed"
    fi
}

# contains TEXT COMMAND...: prints the text if the command does, and otherwise what it does print.
contains() {
    text=$1
    shift
    printed=$("$@" 2>&1)
    case $printed in
        *"$text"*) echo "$text" ;;
        *) echo "$printed" ;;
    esac
}

status_of() {
    "$@" >/dev/null 2>&1
    echo $?
}

finish() {
    echo "vm: $passed passed; $failed failed"
    exit
}

# What hangs is told by its name, and ends the machine.
{
    sleep 540
    echo "FAILED it takes too long: $(cat /tmp/name)"
    ps
    poweroff -f
} &

. /tests/bundle.sh
for tests in $(sed -n 's/.*tests=\([a-z,]*\).*/\1/p' /proc/cmdline | tr , ' '); do
    . "/tests/$tests.sh"
done
finish
