//! A container's ports, as lists show them.

use std::collections::BTreeSet;

use crate::network::Port;

/// Ports as lists show them: those that are published and follow each other, and are the same on both sides, as a range; those that
/// are only exposed; and the other ones that are published.
pub fn spell(ports: &[Port], exposed: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| (port.container, port.address, port.host, port.protocol.number()));
    let mut ranges: Vec<(&Port, u16)> = Vec::new();
    let (mut shown, mut others) = (Vec::new(), Vec::new());
    for port in sorted {
        if port.host != port.container {
            others.push(port.to_string());
            continue;
        }
        let same = |(first, _): &&mut (&Port, u16)| (first.address, first.protocol) == (port.address, port.protocol);
        match ranges.iter_mut().find(same) {
            None => ranges.push((port, port.container)),
            Some((_, last)) if *last + 1 == port.container => *last = port.container,
            Some(range) => {
                shown.push(spell_range(range));
                *range = (port, port.container);
            }
        }
    }
    shown.extend(ranges.iter().map(spell_range));
    shown.extend(only_exposed(ports, exposed));
    shown.extend(others);
    shown.join(", ")
}

/// The ports that are exposed and not published. Those that follow each other are a range.
fn only_exposed(published: &[Port], exposed: &[Port]) -> Vec<String> {
    let published: BTreeSet<_> = published.iter().map(Port::within).collect();
    let mut left: Vec<&Port> = exposed.iter().filter(|port| !published.contains(&port.within())).collect();
    left.sort_by_key(|port| (port.container, port.protocol.number()));
    left.dedup_by_key(|port| port.within());
    let ranges = left.chunk_by(|one, next| one.protocol == next.protocol && one.container + 1 == next.container);
    let spell = |range: &[&Port]| match range {
        [only] => format!("{}/{}", only.container, only.protocol),
        range => format!(
            "{}-{}/{}",
            range[0].container,
            range[range.len() - 1].container,
            range[0].protocol
        ),
    };
    ranges.map(spell).collect()
}

fn spell_range((first, last): &(&Port, u16)) -> String {
    if first.container == *last {
        return first.to_string();
    }
    let address = first.address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
    let range = format!("{}-{last}", first.container);
    format!("{address}:{range}->{range}/{}", first.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_follow_each_other_are_a_range() {
        for (published, shown) in [
            (vec!["8080:80"], "0.0.0.0:8080->80/tcp"),
            (vec!["8001:8001", "8000:8000"], "0.0.0.0:8000-8001->8000-8001/tcp"),
            (
                vec!["8000:8000", "8002:8002"],
                "0.0.0.0:8000->8000/tcp, 0.0.0.0:8002->8002/tcp",
            ),
            (vec!["9000-9001:80-81"], "0.0.0.0:9000->80/tcp, 0.0.0.0:9001->81/tcp"),
            (
                vec!["53:53/udp", "127.0.0.1:53:53"],
                "0.0.0.0:53->53/udp, 127.0.0.1:53->53/tcp",
            ),
            (vec![], ""),
        ] {
            let published: Vec<Port> = published.iter().flat_map(|port| Port::parse(port).unwrap()).collect();
            assert_eq!(spell(&published, &[]), shown);
        }
        let parse = |text: &str| Port::parse(text).unwrap();
        let exposed = [parse("53/udp"), parse("444"), parse("443"), parse("443"), parse("80")].concat();
        assert_eq!(
            spell(&parse("8080:80"), &exposed),
            "53/udp, 443-444/tcp, 0.0.0.0:8080->80/tcp"
        );
    }
}
