//! Subnets in CIDR notation.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet that begins at `base`, whose other bits must be 0.
    pub const fn new(base: Ipv4Addr, prefix: u8) -> Subnet {
        Subnet {
            base: base.to_bits(),
            prefix,
        }
    }

    /// Reads `ADDRESS/PREFIX`. Any address of the subnet may be named.
    pub fn parse(text: &str) -> Result<Subnet> {
        let wrong = |what: String| {
            Error::invalid(what)
                .doing(format!("subnet `{text}`"))
                .hint("write it like `172.27.0.0/16`")
        };
        let (address, prefix) = text.split_once('/').ok_or_else(|| wrong("has no prefix length".into()))?;
        let address: Ipv4Addr = address
            .parse()
            .map_err(|_| wrong(format!("`{address}` is no IPv4 address")))?;
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= 32)
            .ok_or_else(|| wrong(format!("`{prefix}` is no prefix length")))?;
        if !(8..=30).contains(&prefix) {
            return Err(wrong(format!("a network needs a prefix length from 8 to 30, not {prefix}")));
        }
        if address.is_loopback()
            || address.is_multicast()
            || address.is_unspecified()
            || address.octets()[0] >= 224
            || address.octets()[0] == 0
        {
            return Err(wrong("no host can have these addresses".into()));
        }
        Ok(Subnet {
            base: address.to_bits() & mask(prefix),
            prefix,
        })
    }

    pub fn base(self) -> Ipv4Addr {
        self.base.into()
    }

    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network mask as an address.
    pub fn mask(self) -> Ipv4Addr {
        mask(self.prefix).into()
    }

    /// The address of the host in the network: the first one.
    pub fn gateway(self) -> Ipv4Addr {
        (self.base + 1).into()
    }

    /// The addresses that containers can have, lowest first: all but the subnet's own, the gateway and the broadcast address.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.base + 2..self.last()).map(Ipv4Addr::from)
    }

    /// The first address after the subnet.
    pub fn end(self) -> Ipv4Addr {
        self.last().wrapping_add(1).into()
    }

    fn last(self) -> u32 {
        self.base | !mask(self.prefix)
    }

    /// Whether an address is in both.
    pub fn overlaps(self, other: Subnet) -> bool {
        let common = mask(self.prefix.min(other.prefix));
        self.base & common == other.base & common
    }

    /// The subnets with a longer prefix that this one is made of, in order.
    pub fn parts(self, prefix: u8) -> impl Iterator<Item = Subnet> {
        (self.base..=self.last())
            .step_by(1 << (32 - prefix))
            .map(move |base| Subnet { base, prefix })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Subnet, D::Error> {
        let text = String::deserialize(deserializer)?;
        Subnet::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_read_whole() {
        let subnet = Subnet::parse("172.27.9.1/16").unwrap();
        assert_eq!(subnet.to_string(), "172.27.0.0/16");
        assert_eq!(subnet.gateway().to_string(), "172.27.0.1");
        assert_eq!(subnet.mask().to_string(), "255.255.0.0");
        assert_eq!(subnet.end().to_string(), "172.28.0.0");
        assert_eq!(subnet.addresses().next().unwrap().to_string(), "172.27.0.2");
        assert_eq!(subnet.addresses().last().unwrap().to_string(), "172.27.255.254");
    }

    #[test]
    fn the_smallest_subnet_has_one_address() {
        let addresses: Vec<_> = Subnet::parse("10.0.0.4/30").unwrap().addresses().collect();
        assert_eq!(addresses, [Ipv4Addr::new(10, 0, 0, 6)]);
    }

    #[test]
    fn bad_subnets_are_named() {
        for text in [
            "",
            "172.27.0.0",
            "172.27.0.0/",
            "172.27.0/16",
            "172.27.0.0/33",
            "172.27.0.0/31",
            "10.0.0.0/7",
            "300.0.0.0/16",
            "127.0.0.0/8",
            "224.0.0.0/8",
            "0.0.0.0/8",
            "fd00::/64",
            "a/b",
        ] {
            let error = Subnet::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("subnet `{text}`: ")), "{error}");
        }
    }

    #[test]
    fn overlap_is_symmetric() {
        let subnet = |text| Subnet::parse(text).unwrap();
        for (one, other, overlap) in [
            ("172.27.0.0/16", "172.27.5.0/24", true),
            ("172.27.0.0/16", "172.28.0.0/16", false),
            ("10.0.0.0/8", "10.255.255.252/30", true),
            ("192.168.0.0/25", "192.168.0.128/25", false),
        ] {
            assert_eq!(subnet(one).overlaps(subnet(other)), overlap);
            assert_eq!(subnet(other).overlaps(subnet(one)), overlap);
        }
    }
}
