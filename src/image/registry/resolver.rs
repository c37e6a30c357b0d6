//! From a host's name to its addresses, by `/etc/hosts` and the name servers of `/etc/resolv.conf`.
//!
//! The C library does this too, but its function loads plugins, which a static program cannot rely on: what is loaded was made for
//! the C library of the host.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::dns::{self, Family, Reply};

/// The names of this host, looked up anew each time.
#[derive(Debug)]
pub struct Names;

/// What resolv.conf(5) says.
#[derive(Debug, PartialEq, Eq)]
struct Servers {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

const PORT: u16 = 53;
/// How many addresses of one host are tried at most.
const MOST: usize = 16;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let addresses = addresses(host)?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MOST) {
            resolved.push(SocketAddr::new(address, port));
        }
        if resolved.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(resolved)
    }
}

/// The addresses of a host, those of IPv4 first.
fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let hosts = in_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    // No server is asked for this name (RFC 6761, section 6.3).
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let servers = Servers::read(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    servers.find(host)
}

/// What hosts(5) says of a name.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && words.any(|name| name.eq_ignore_ascii_case(host))
        {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

impl Servers {
    fn read(text: &str) -> Servers {
        let mut servers = Servers {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["nameserver", address, ..] => servers.servers.extend(address.parse::<IpAddr>()),
                ["search" | "domain", ref names @ ..] => servers.search = names.iter().map(ToString::to_string).collect(),
                ["options", ref options @ ..] => options.iter().for_each(|option| servers.set(option)),
                _ => {}
            }
        }
        if servers.servers.is_empty() {
            servers.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        servers
    }

    fn set(&mut self, option: &str) {
        let number = |text: &str, most: u32| text.parse().map(|number: u32| number.min(most));
        match option.split_once(':') {
            Some(("ndots", text)) => self.ndots = number(text, 15).unwrap_or(1) as usize,
            Some(("timeout", text)) => self.timeout = Duration::from_secs(number(text, 30).unwrap_or(5).max(1).into()),
            Some(("attempts", text)) => self.attempts = number(text, 5).unwrap_or(2).max(1),
            _ => {}
        }
    }

    /// The names that a name may be short for, in the order in which they are tried.
    fn candidates(&self, host: &str) -> Vec<String> {
        let searched = self.search.iter().map(|domain| format!("{host}.{domain}"));
        let whole = host.to_string();
        if host.ends_with('.') {
            vec![whole]
        } else if host.matches('.').count() >= self.ndots {
            [whole].into_iter().chain(searched).collect()
        } else {
            searched.chain([whole]).collect()
        }
    }

    fn find(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut silence = None;
        for name in self.candidates(host) {
            match self.look_up(&name) {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => {}
                Err(error) => silence = Some(error),
            }
        }
        silence.map_or(Ok(Vec::new()), Err)
    }

    /// The addresses of a name in full; none if there is no such name.
    fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut last = io::Error::new(io::ErrorKind::TimedOut, "no name server answers");
        for _ in 0..self.attempts {
            for server in &self.servers {
                match ask(SocketAddr::new(*server, PORT), name, self.timeout) {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }
}

/// Asks one server for both kinds of addresses at once. Nothing if it does not know.
fn ask(server: SocketAddr, name: &str, timeout: Duration) -> io::Result<Option<Vec<IpAddr>>> {
    let mut random = [0; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let ids = [
        u16::from_ne_bytes([random[0], random[1]]),
        u16::from_ne_bytes([random[2], random[3]]),
    ];
    let questions = ids.into_iter().zip([Family::V4, Family::V6]);
    let mut open: Vec<Vec<u8>> = questions.filter_map(|(id, family)| dns::question(id, name, family)).collect();
    if open.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Of a connected socket only the server's own messages are received.
    socket.connect(server)?;
    for question in &open {
        socket.send(question)?;
    }
    let (mut found, mut failed) = (Vec::new(), false);
    let deadline = Instant::now() + timeout;
    let mut message = [0; 4096];
    while !open.is_empty() {
        socket.set_read_timeout(Some(remaining(deadline)?))?;
        let length = socket.recv(&mut message)?;
        let answered = open
            .iter()
            .enumerate()
            .find_map(|(at, question)| Some((at, dns::reply(&message[..length], question)?)));
        let Some((at, reply)) = answered else { continue };
        let question = open.remove(at);
        let reply = if reply == Reply::Truncated {
            ask_in_full(server, &question, deadline)?
        } else {
            reply
        };
        match reply {
            Reply::Addresses(addresses) => found.extend(addresses),
            Reply::NoSuchName => {}
            Reply::Truncated | Reply::Failed => failed = true,
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    Ok((!failed || !found.is_empty()).then_some(found))
}

/// Asks over TCP, where each message is preceded by its length (RFC 1035, section 4.2.2).
fn ask_in_full(server: SocketAddr, question: &[u8], deadline: Instant) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, remaining(deadline)?)?;
    stream.set_read_timeout(Some(remaining(deadline)?))?;
    let length = question.len() as u16;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(dns::reply(&message, question).unwrap_or(Reply::Failed))
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_several_names_and_addresses() {
        let text = "# comment\n127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.5\tReg.test reg # x\nnonsense y\n";
        assert_eq!(in_hosts(text, "reg.test"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(text, "reg").len(), 1);
        assert_eq!(in_hosts(text, "localhost").len(), 2);
        assert!(in_hosts(text, "x").is_empty() && in_hosts(text, "y").is_empty());
    }

    #[test]
    fn short_names_are_completed() {
        let servers = Servers::read("search a.test b.test\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:2 timeout:1 edns0\n");
        assert_eq!(servers.servers.len(), 2);
        assert_eq!(servers.timeout, Duration::from_secs(1));
        assert_eq!(servers.candidates("x"), ["x.a.test", "x.b.test", "x"]);
        assert_eq!(servers.candidates("x.y.z"), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
        assert_eq!(servers.candidates("x."), ["x."]);
    }

    #[test]
    fn without_a_word_about_servers_this_host_is_asked() {
        assert_eq!(Servers::read("").servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn addresses_need_no_server() {
        for (host, address) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
            assert_eq!(addresses(host).unwrap(), [address.parse::<IpAddr>().unwrap()]);
        }
    }
}
