//! Whom an address belongs to, as far as limits go.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// An IPv4 address, or the /64 of an IPv6 address: whoever has one address of a /64 has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let length = if address.is_ipv4() { 32 } else { 64 };
        // Both lengths are right for their kind of address; a whole address would be right as well.
        Self(IpNet::new(address, length).unwrap_or(IpNet::from(address)).trunc())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_caller_can_have() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        for (one, other, same) in [
            ("203.0.113.5", "203.0.113.5", true),
            ("203.0.113.5", "203.0.113.6", false),
            ("203.0.113.5", "::ffff:203.0.113.5", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
        assert_eq!(network("203.0.113.5").to_string(), "203.0.113.5/32");
        assert_eq!(network("2001:db8::1").to_string(), "2001:db8::/64");
    }
}
