//! Networks, addresses and published ports.

use crate::host::{Host, until};

/// Serves one line to everybody who connects.
const SERVE: &str = "while :; do echo $0 | nc -l -p 80; done";

fn fetches(host: &Host, address: &str, port: u16, expected: &str) {
    let script = format!("timeout 2 nc -d -w 1 {address} {port} </dev/null || true");
    until(&format!("{expected} from {address}:{port}"), || {
        host.sh(&script).stdout.trim() == expected
    });
}

#[test]
fn the_first_container_of_a_network_has_the_second_address() {
    let host = Host::new();
    host.run("network create -driver bridge -subnet 172.27.0.0/16 mynet").ok();
    host.start(&["--name", "aa", "-network", "mynet", "busybox", "sleep", "100"]);
    host.start(&["--name", "bb", "-network", "mynet", "busybox", "sleep", "100"]);
    let address = |name: &str| host.tinydock(&["exec", name, "sh", "-c", "hostname -i"]).ok();
    assert_eq!((address("aa").trim(), address("bb").trim()), ("172.27.0.2", "172.27.0.3"));
    host.run("exec aa ping -c 1 -W 5 172.27.0.3").ok();
    host.run("exec aa ping -c 1 -W 5 172.27.0.1").ok();
    host.run("rm -f aa").ok();
    host.start(&["--name", "cc", "-network", "mynet", "busybox", "sleep", "100"]);
    assert_eq!(address("cc").trim(), "172.27.0.2");
    assert!(host.run("network rm mynet").fails(1).contains("mynet"));
    host.run("rm -f bb cc").ok();
    host.run("network rm mynet").ok();
    assert_eq!(host.sh("ip -o link show type bridge").ok(), "");
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let host = Host::new();
    host.sh("ip link add outer type bridge && ip addr add 10.9.9.1/24 dev outer && ip link set outer up")
        .ok();
    host.start(&["--name", "web", "-p", "8080:80", "busybox", "sh", "-c", SERVE, "web"]);
    for address in ["127.0.0.1", "10.9.9.1"] {
        fetches(&host, address, 8080, "web");
    }
    host.start(&["--name", "client", "busybox", "sleep", "100"]);
    until("the port is reached from a container", || {
        host.run("exec client timeout 3 nc 10.9.9.1 8080").stdout.trim() == "web"
    });
    until("the port is reached by the container itself", || {
        host.run("exec web timeout 3 nc 10.9.9.1 8080").stdout.trim() == "web"
    });
    let taken = host.run("run -d -p 8080:80 busybox true").fails(125);
    assert!(taken.contains("8080"), "{taken}");
    let twice = host.run("create -p 8081:80 -p 8081:82 busybox true").fails(1);
    assert!(
        twice.contains("8081->82") && twice.contains("`0.0.0.0:8081->80/tcp` is to be published, too"),
        "{twice}"
    );
    assert!(host.run("ls").ok().contains("8080->80"));
    host.run("rm -f web").ok();
    host.start(&["--name", "again", "-p", "8080:80", "busybox", "sh", "-c", SERVE, "again"]);
    fetches(&host, "127.0.0.1", 8080, "again");
}

#[test]
fn networks_are_kept_apart() {
    let host = Host::new();
    host.run("network create one").ok();
    host.run("network create two").ok();
    host.start(&["--name", "aa", "--network", "one", "busybox", "sh", "-c", SERVE, "a"]);
    let address = host.run("exec aa hostname -i").ok();
    host.start(&["--name", "near", "--network", "one", "busybox", "sleep", "100"]);
    until("a neighbour is reached", || {
        host.tinydock(&["exec", "near", "timeout", "3", "nc", address.trim(), "80"])
            .stdout
            == "a\n"
    });
    let far = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "two",
        "busybox",
        "nc",
        "-w",
        "2",
        address.trim(),
        "80",
    ]);
    assert_ne!(far.code, 0, "{far:?}");
    host.run("rm -f aa near").ok();
    host.run("network rm one two").ok();
}

#[test]
fn packets_to_the_outside_are_masqueraded() {
    let host = Host::new();
    // The outside is another network namespace, which knows no way back to the containers.
    host.sh("unshare -n sleep 60 >/dev/null 2>&1 & echo $! > pid; sleep 0.3; ip link add up0 type veth peer name out0 netns $(cat pid); \
        ip addr add 10.77.0.1/24 dev up0; ip link set up0 up; \
        nsenter -t $(cat pid) -n sh -c 'ip addr add 10.77.0.2/24 dev out0; ip link set out0 up'").ok();
    host.sh("ip route add default via 10.77.0.2").ok();
    host.run("run --rm busybox ping -c 1 -W 5 10.77.0.2").ok();
    host.sh("kill $(cat pid)").ok();
}

#[test]
fn none_and_host_are_what_they_say() {
    let host = Host::new();
    assert_eq!(
        host.tinydock(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "ls /sys/class/net"])
            .ok(),
        "lo\n"
    );
    host.sh("ip link add seen type bridge").ok();
    assert!(
        host.run("run --rm --network host busybox ip link show seen")
            .ok()
            .contains("seen")
    );
    assert!(
        host.run("run --rm --network no-such busybox true")
            .fails(125)
            .contains("no-such")
    );
}

#[test]
fn bad_networks_are_refused() {
    let host = Host::new();
    host.run("network create --subnet 10.50.0.0/24 one").ok();
    for (line, expected) in [
        ("network create --subnet 10.50.0.128/25 two", "10.50.0"),
        ("network create one", "one"),
        ("network create --subnet 10.0.0.0/33 two", "10.0.0.0/33"),
        ("network create --subnet 10.0.0/24 two", "10.0.0"),
        ("network create --subnet banana two", "banana"),
        ("network create --driver overlay two", "overlay"),
        ("network create bad/name", "bad/name"),
        ("network create host", "host"),
        ("network rm no-such", "no-such"),
    ] {
        let message = host.run(line).fails(1);
        assert!(message.contains(expected), "{line}: {message}");
    }
    host.run("network rm one").ok();
}

#[test]
fn a_full_network_says_so() {
    let host = Host::new();
    host.run("network create --subnet 10.51.0.0/30 tiny").ok();
    host.start(&["--name", "only", "--network", "tiny", "busybox", "sleep", "100"]);
    let message = host.run("run -d --network tiny busybox true").fails(125);
    assert!(message.contains("tiny") || message.contains("10.51.0.0/30"), "{message}");
    host.run("rm -f only").ok();
    host.run("network rm tiny").ok();
}

#[test]
fn nothing_of_anyone_elses_is_touched() {
    let host = Host::new();
    host.sh("nft add table ip other && nft add chain ip other c '{ type filter hook forward priority 5; policy accept; }'")
        .ok();
    let before = host.sh("nft list table ip other").ok();
    host.run("run --rm -p 8081:80 busybox true").ok();
    assert_eq!(host.sh("nft list table ip other").ok(), before);
    assert_eq!(host.sh("nft list tables").ok().lines().count(), 2);
}

#[test]
fn the_packet_filter_can_be_read() {
    let host = Host::new();
    host.run("network create -subnet 172.27.0.0/16 mynet").ok();
    let list = host.sh(&format!("nft list table ip {}", host.label())).ok();
    let bridge = host.sh("ip -o link show type bridge").ok();
    let bridge = bridge.split(": ").nth(1).expect("a bridge");
    assert!(list.contains(&format!("elements = {{ \"{bridge}\" }}")), "{list}");
    assert!(list.contains("172.27.0.0/16"), "{list}");
    host.run("network rm mynet").ok();
}

#[test]
fn two_roots_on_one_host_do_not_meet() {
    let host = Host::new();
    let other = host.path("other").display().to_string();
    host.start(&["--name", "one", "-p", "8080:80", "busybox", "sh", "-c", SERVE, "one"]);
    let run = [
        "--root", &other, "run", "-d", "--name", "two", "-p", "8081:80", "busybox", "sh", "-c", SERVE, "two",
    ];
    host.tinydock(&run).ok();
    fetches(&host, "127.0.0.1", 8080, "one");
    fetches(&host, "127.0.0.1", 8081, "two");
    let gateway = host
        .tinydock(&[
            "--root",
            &other,
            "exec",
            "two",
            "sh",
            "-c",
            "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'",
        ])
        .ok();
    host.tinydock(&["--root", &other, "exec", "two", "ping", "-c", "1", "-W", "5", gateway.trim()])
        .ok();
    host.tinydock(&["--root", &other, "rm", "-f", "two"]).ok();
    fetches(&host, "127.0.0.1", 8080, "one");
}

#[test]
fn a_network_can_be_removed_when_its_last_container_has_ended() {
    let host = Host::new();
    for _ in 0..10 {
        host.run("network create --subnet 10.91.0.0/24 short").ok();
        host.run("run --rm --network short busybox true").ok();
        assert_eq!(host.run("network rm short").ok(), "short\n");
    }
}
