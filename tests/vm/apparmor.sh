# Profiles of AppArmor's: in a bundle, for another process in a container, and the engine's.

apparmor_parser --config-file /dev/null --add --skip-cache --quiet <<'PROFILE'
profile careful flags=(attach_disconnected) {
    file,
    capability,
    network,
    signal,
    deny /secret w,
}
profile other flags=(attach_disconnected) {
    file,
    capability,
    signal,
}
PROFILE
: >rootfs/secret
label=/proc/self/attr/current
script="exec 2>&1; cat $label; echo x >/secret; echo x >/else && echo written"
seen="careful (enforce)
sh: can't create /secret: Permission denied
written"
describe "$script; sleep 1000" '"apparmorProfile": "careful",'
check "AppArmor: create" "" started
until grep -q written output; do sleep 0.1; done
check "AppArmor: the command is under its profile" "$seen" cat output
check "AppArmor: so is another process, of the same" "careful (enforce)" runtime exec guest cat $label
check "AppArmor: or of its own" "other (enforce)" runtime exec --apparmor other guest cat $label
check "AppArmor: a profile that is not loaded, in exec" "AppArmor profile \`none\`: it is not loaded" \
    contains "AppArmor profile \`none\`: it is not loaded" runtime exec --apparmor none guest true
runtime delete --force guest
describe "$script" '"apparmorProfile": "careful",' '
"uidMappings": [{ "containerID": 0, "hostID": 70000, "size": 1000 }],
"gidMappings": [{ "containerID": 0, "hostID": 70000, "size": 1000 }],' ', { "type": "user" }'
chown 70000 rootfs/secret rootfs/else
check "AppArmor: with users of its own" "$seen" runtime run guest
describe "$script" '"apparmorProfile": "none",'
unknown="\`process.apparmorProfile\`: AppArmor profile \`none\`: it is not loaded"
check "AppArmor: a profile that is not loaded" "$unknown" contains "$unknown" runtime run guest
describe "$script" '"apparmorProfile": "careful//&none",'
check "AppArmor: several, one of which is not loaded" "careful//&none" contains "careful//&none" runtime run guest
describe "cat $label" '"apparmorProfile": "unconfined", "noNewPrivileges": true,'
check "AppArmor: none" unconfined runtime run guest
describe "cat $label" '"apparmorProfile": "careful", "noNewPrivileges": true,'
check "AppArmor: where nothing gives privileges" "careful (enforce)" runtime run guest

check "AppArmor: the engine's" "$seen" tinydock run --rm --security-opt apparmor=careful busybox sh -c "$script"
tinydock run -d --name careful --security-opt apparmor=careful busybox sleep 1000 >/dev/null
check "AppArmor: the engine's exec" "careful (enforce)" tinydock exec careful cat $label
tinydock rm -f careful >/dev/null
check "AppArmor: the engine's, none" unconfined tinydock run --rm --security-opt apparmor=unconfined busybox cat $label
check "AppArmor: the engine's, one that is not loaded" "tinydock: AppArmor profile \`none\`: it is not loaded: apparmor_parser(8) does that
  hint: \`--security-opt apparmor=unconfined\` asks for none" tinydock run --rm --security-opt apparmor=none busybox true
