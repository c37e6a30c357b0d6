# A kernel that has no controller of memory.
check "a missing controller is no reason not to run" hello sh -c 'tinydock run --rm busybox echo hello 2>/dev/null'
check "it is said" 1 sh -c 'tinydock run --rm busybox true 2>&1 | grep -c warning'
check "a limit that cannot be kept is refused" 125 status_of tinydock run --rm -m 32m busybox true
