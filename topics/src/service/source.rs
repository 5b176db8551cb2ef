//! Where a request comes from: the address that limits count by.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The part of an IPv6 address that one customer of a provider has for all of its machines.
const IPV6_CUSTOMER: u128 = !0 << 64;

/// What limits per address count by: an IPv4 address, or the /64 of an IPv6 address, in which
/// whoever has one address has all of them.
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_CUSTOMER).into(),
        address => address,
    }
}

/// Whether an address belongs to one of the `trusted` proxies.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The peer's address or, while that belongs to a trusted proxy, the one that the proxy says it got the
/// request from: it adds that at the end of the last line of `X-Forwarded-For`. What stands before the
/// first address that no trusted proxy has, the client may have written itself.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let mut told = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut address = peer.to_canonical();
    while is_trusted(address, trusted) {
        let Some(before) = told.next().and_then(address_of) else {
            break;
        };
        address = before;
    }
    address
}

/// Parses a proxy: an address, or a network such as `10.0.0.0/8`.
///
/// # Errors
/// With a reason for people.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| "a proxy is an IP address, or a network such as 10.0.0.0/8".to_owned())
}

/// An address, with or without a port.
fn address_of(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let with_port = || text.parse().map(|address: SocketAddr| address.ip());
    let address = text.parse().or_else(|_| with_port()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_of_ipv6_is_one_source() {
        let source = |text: &str| source_of(text.parse().unwrap()).to_string();
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("203.0.113.5"), "203.0.113.5");
        assert_eq!(source("::ffff:203.0.113.5"), "203.0.113.5");
    }
}
