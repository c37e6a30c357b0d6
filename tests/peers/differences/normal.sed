# What differs each time is replaced by a word. Lines that are words of a container's age lose the width of their columns.
s/(sha256:)?\b[0-9a-f]{64}\b/ID/g
s/\b[0-9a-f]{12}\b/ID/g
s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]{5})/TIME/g
s/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+ [+-][0-9]{4} [A-Z]+/TIME/g
s/\b(Less than a second|About a minute|[0-9]+ (second|minute)s?)\b/AGE/g
s/\b172\.(1[6-9]|2[0-9]|3[01])\.[0-9]+\.[0-9]+\b/ADDRESS/g
s/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/MAC/g
s#/tmp/tinydock-peers-[0-9]+-[0-9]+#HERE#g
s#\bwork/tmp\.[A-Za-z0-9]+#WORK#g
/AGE|TIME/s/ {3,}/   /g
