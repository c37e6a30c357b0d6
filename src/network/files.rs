//! The files that tell programs about names: `/etc/hosts` and `/etc/resolv.conf`.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;

/// Where the host's name servers are listed; systemd keeps the real ones in a file of its own.
const RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// A container's `/etc/hosts`: the usual names, and its own.
pub fn hosts(hostname: &str, address: Option<Ipv4Addr>) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    if let Some(address) = address {
        let _ = writeln!(text, "{address}\t{hostname}");
    }
    text
}

/// The `/etc/hosts` of a container that shares the host's network, and with it what the host knows of names.
pub fn hosts_of_host() -> String {
    fs::read_to_string("/etc/hosts").unwrap_or_default()
}

/// A container's `/etc/resolv.conf`. One that shares the host's network has the host's. Another one has those of the host's
/// name servers that it can reach; if there are none it has none, rather than ones that nobody chose.
pub fn resolv_conf(shares_host_network: bool) -> String {
    let texts = RESOLV_CONF.map(|path| fs::read_to_string(path).unwrap_or_default());
    if shares_host_network {
        return texts[0].clone();
    }
    let reachable: Vec<String> = texts.iter().map(|text| without_loopback(text)).collect();
    let usable = reachable
        .iter()
        .find(|text| text.lines().any(|line| line.starts_with("nameserver")));
    usable.or(reachable.first()).cloned().unwrap_or_default()
}

/// Leaves out name servers that are only there for the host itself.
fn without_loopback(text: &str) -> String {
    let keep = |line: &&str| {
        let server = line.strip_prefix("nameserver").map(str::trim);
        !server.is_some_and(|server| server.starts_with("127.") || server.starts_with("::1"))
    };
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_knows_its_own_name() {
        let text = hosts("web", Some(Ipv4Addr::new(172, 27, 0, 2)));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("\n172.27.0.2\tweb\n"));
        assert!(hosts("web", None).ends_with("ip6-allrouters\n"));
    }

    #[test]
    fn servers_of_the_hosts_loopback_are_left_out() {
        let text = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver ::1\nsearch example\n";
        assert_eq!(
            without_loopback(text),
            "# made by hand\nnameserver 10.0.0.1\nsearch example\n"
        );
    }
}
