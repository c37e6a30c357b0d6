//! Links and their addresses (rtnetlink(7)).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{CREATE, EXCLUSIVE, Message, Socket, attributes};

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const GETROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;

/// IPv6 link-local addresses are made by nobody.
const ADDR_GEN_MODE_NONE: u8 = 1;
/// Frames may leave by the port they came from: where br_netfilter is loaded, a container that connects to its own published
/// port is bridged, not routed, back to itself.
const HAIRPIN: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u16 = 10;
const UP: u32 = 1;
/// The length of a `struct rtmsg`.
const RTMSG: usize = 12;

/// A link of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub is_up: bool,
}

/// A pair of virtual interfaces, one end here and one in a container.
pub struct Veth<'a> {
    /// The name of this end, and the index of the bridge it is a port of.
    pub name: &'a str,
    pub bridge: u32,
    /// The name and the hardware address of the other end, and the network namespace in which it is made.
    pub peer: &'a str,
    pub hardware_address: [u8; 6],
    pub namespace: BorrowedFd<'a>,
}

impl Socket {
    /// Finds a link by its name.
    pub fn link(&self, name: &str) -> io::Result<Option<Link>> {
        let mut message = Message::new(GETLINK, 0, &link_head(0, 0));
        message.text(IFLA_IFNAME, name);
        match self.ask(message) {
            Ok(body) => Ok(Some(Link {
                index: word(&body, 4),
                is_up: word(&body, 8) & UP != 0,
            })),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a bridge, which is down.
    pub fn create_bridge(&self, name: &str) -> io::Result<()> {
        let mut message = Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_head(0, 0));
        message.text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge");
        });
        Ok(self.request([vec![message], without_link_local(name)].concat())?)
    }

    pub fn set_up(&self, link: u32) -> io::Result<()> {
        Ok(self.request(vec![Message::new(NEWLINK, 0, &link_head(link, UP))])?)
    }

    /// Gives a link an address, if it does not have it.
    pub fn add_address(&self, link: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let [a, b, c, d] = link.to_ne_bytes();
        let mut message = Message::new(NEWADDR, CREATE | EXCLUSIVE, &[AF_INET, prefix, 0, 0, a, b, c, d]);
        message
            .attribute(IFA_LOCAL, &address.octets())
            .attribute(IFA_ADDRESS, &address.octets());
        match self.request(vec![message]) {
            Err(refused) if refused.error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Makes both ends of a pair where they belong, in one step: moving one later would cost milliseconds. Ours is set up.
    pub fn create_veth(&self, veth: &Veth) -> io::Result<()> {
        let mut message = Message::new(NEWLINK, CREATE | EXCLUSIVE, &link_head(0, 0));
        message
            .text(IFLA_IFNAME, veth.name)
            .word(IFLA_MASTER, veth.bridge)
            .nest(IFLA_LINKINFO, |info| {
                info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        peer.raw(&link_head(0, 0)).text(IFLA_IFNAME, veth.peer);
                        peer.attribute(IFLA_ADDRESS, &veth.hardware_address)
                            .word(IFLA_NET_NS_FD, veth.namespace.as_raw_fd() as u32);
                    });
                });
            });
        let mut up = Message::new(NEWLINK, 0, &link_head(0, UP));
        up.text(IFLA_IFNAME, veth.name).nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |port| {
                port.attribute(IFLA_BRPORT_MODE, &[HAIRPIN]);
            });
        });
        Ok(self.request([vec![message], without_link_local(veth.name), vec![up]].concat())?)
    }

    /// Deletes a link. No such link is no error.
    pub fn delete_link(&self, name: &str) -> io::Result<()> {
        let mut message = Message::new(DELLINK, 0, &link_head(0, 0));
        message.text(IFLA_IFNAME, name);
        match self.request(vec![message]) {
            Err(refused) if refused.error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            result => Ok(result?),
        }
    }

    /// The IPv4 networks that this host has routes to: address and prefix length of each, without the default route.
    pub fn routes(&self) -> io::Result<Vec<(Ipv4Addr, u8)>> {
        let mut head = [0; RTMSG];
        head[0] = AF_INET;
        let mut routes = Vec::new();
        for body in self.dump(Message::new(GETROUTE, 0, &head))? {
            let prefix = body.get(1).copied().unwrap_or(0);
            let destination = attributes(&body, RTMSG).into_iter().find(|(kind, _)| *kind == RTA_DST);
            if let Some((_, &[a, b, c, d])) = destination {
                routes.push((Ipv4Addr::new(a, b, c, d), prefix));
            }
        }
        Ok(routes)
    }
}

fn word(body: &[u8], at: usize) -> u32 {
    body.get(at..at + 4)
        .map_or(0, |word| u32::from_ne_bytes(word.try_into().expect("4 bytes")))
}

/// A `struct ifinfomsg`: family, type, index, flags, and which of the flags are meant.
fn link_head(index: u32, flags: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..16].copy_from_slice(&flags.to_ne_bytes());
    head
}

/// Keeps a link from giving itself an IPv6 address over which it could be reached past all rules for IPv4. The kernel takes
/// this only for a link that exists, and heeds it only while the link is down.
fn without_link_local(name: &str) -> Vec<Message> {
    // A kernel without IPv6 would refuse it, and has no such addresses either.
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return Vec::new();
    }
    let mut message = Message::new(NEWLINK, 0, &link_head(0, 0));
    message.text(IFLA_IFNAME, name).nest(IFLA_AF_SPEC, |families| {
        families.nest(AF_INET6, |v6| {
            v6.attribute(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
        });
    });
    vec![message]
}
