//! Calls that configure network interfaces from inside (netdevice(7)).

use std::net::Ipv4Addr;

use super::super::flags::{family, interface, socket};
use super::*;

calls! {
    fn set_interface_up(socket: Register, name: &str) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFFLAGS, interface::NAMES), interface_flags(name)];
    fn set_interface_address(socket: Register, name: &str, address: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFADDR, interface::NAMES), interface_address(name, address)];
    fn set_interface_mask(socket: Register, name: &str, mask: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::SIFNETMASK, interface::NAMES), interface_address(name, mask)];
    fn add_default_route(socket: Register, gateway: Ipv4Addr) = "ioctl" SYS_ioctl
        [fd(socket), flags(interface::ADDRT, interface::NAMES), default_route(gateway)];
}

impl Program {
    /// Opens a socket through which interfaces are configured (netdevice(7)).
    pub fn internet_socket(&mut self, why: impl Into<Cow<'static, str>>) -> Register {
        let kind = socket::DGRAM | socket::CLOEXEC;
        let arguments = vec![flags(family::INET, family::NAMES), flags(kind, socket::NAMES), Arg::Int(0)];
        self.keeping(call!("socket", SYS_socket), "socket", arguments, why)
    }
}

/// A `struct ifreq` (netdevice(7)): a name in 16 bytes, then a value in 24.
fn interface_request(name: &str, value: &[u8], shown: String) -> Arg {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes.extend_from_slice(value);
    bytes.resize(40, 0);
    Arg::structure(bytes, format!("{{{name}, {shown}}}"))
}

fn interface_flags(name: &str) -> Arg {
    interface_request(name, &(libc::IFF_UP as u16).to_ne_bytes(), "IFF_UP".into())
}

fn interface_address(name: &str, address: Ipv4Addr) -> Arg {
    interface_request(name, &socket_address(address), address.to_string())
}

/// A `struct sockaddr_in` without a port (ip(7)).
fn socket_address(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}

/// A `struct rtentry` (`linux/route.h`): after a word of padding destination, gateway and mask, then flags.
fn default_route(gateway: Ipv4Addr) -> Arg {
    let any = socket_address(Ipv4Addr::UNSPECIFIED);
    let mut bytes = [&[0; 8][..], &any, &socket_address(gateway), &any].concat();
    bytes.extend_from_slice(&(libc::RTF_UP | libc::RTF_GATEWAY).to_ne_bytes());
    bytes.resize(120, 0);
    Arg::structure(bytes, format!("{{default via {gateway}}}"))
}
