//! The end user's IP address, as the app declares it, in the form that limits count.
//!
//! A limit must count what one user can't change at will: a whole IPv4 address, but the /64 of an IPv6 address, because every phone
//! picks new addresses within its /64.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address that limits can count: an IPv4 address, or the /64 of an IPv6 address.
///
/// An IPv6 address that embeds an IPv4 address counts as the latter, so no user counts twice, and no user shares a key with the
/// whole IPv4 Internet: IPv4-mapped (`::ffff:0:0/96`), what a dual-stack socket reports; NAT64 (`64:ff9b::/96`,
/// RFC 6052), what servers see of IPv4 clients behind a stateless translator; and 6to4 (`2002::/16`, RFC 3056), by which
/// one IPv4 address would own 65,536 of our /64s.
///
/// Private and loopback addresses are accepted: local development and company networks have no others. An app behind a proxy must
/// declare the user's address and not the proxy's, or all its users share one limit.
///
/// It is personal data, so `Debug` doesn't print it.
///
/// ```
/// use shared::runtime::ip::ClientIp;
///
/// assert_eq!(ClientIp::parse("203.0.113.7")?.canonical(), "203.0.113.7");
/// assert_eq!(ClientIp::parse("2001:db8:1:2:3:4:5:6")?.canonical(), "2001:db8:1:2::/64");
/// assert_eq!(ClientIp::parse("::ffff:203.0.113.7")?, ClientIp::parse("203.0.113.7")?);
/// # Ok::<(), shared::runtime::ip::InvalidIp>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientIp(
    /// Of an IPv6 address, the lower 64 bits are zero.
    IpAddr,
);

/// Why a text is not a client's address. Each text goes after the name of the field; none repeats the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIp {
    /// It is empty.
    #[error("is empty; send the end user's address, for example 203.0.113.7 or 2001:db8::7")]
    Empty,
    /// Several addresses, as in `X-Forwarded-For`. Only the app can know which one is true.
    #[error("is a list; send only the end user's address, for example 203.0.113.7 or 2001:db8::7")]
    List,
    /// An address with a port, or in a URL's brackets.
    #[error("has a port or brackets; send only the address, for example 203.0.113.7 or 2001:db8::7")]
    Port,
    /// A network instead of an address.
    #[error("has a prefix length; send one address, for example 203.0.113.7 or 2001:db8::7")]
    Prefix,
    /// A zone, which names a network interface of one machine.
    #[error("has a zone; send the address without % and what follows it, for example 2001:db8::7")]
    Zone,
    /// `0.0.0.0` or `::`, which is not an address of any client.
    #[error("is the unspecified address; send the end user's, for example 203.0.113.7")]
    Unspecified,
    /// Anything else.
    #[error("is not an IP address; send the end user's, for example 203.0.113.7 or 2001:db8::7")]
    NotAnAddress,
}

impl ClientIp {
    /// Parses one IPv4 or IPv6 address.
    ///
    /// # Errors
    /// [`InvalidIp`] says what is wrong and what to send instead.
    pub fn parse(text: &str) -> Result<Self, InvalidIp> {
        let address = text.parse().map_err(|_| cause(text))?;
        let counted = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => embedded_ipv4(address).map_or_else(|| subnet(address).into(), IpAddr::V4),
        };
        // `::` is compared before its network is taken, because other addresses of ::/64, such as the loopback ::1, are valid.
        if address.is_unspecified() || counted == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            return Err(InvalidIp::Unspecified);
        }
        Ok(Self(counted))
    }

    /// The text that a key of the table is made from: `203.0.113.7`, or `2001:db8:1:2::/64`.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(network) => format!("{network}/64"),
        }
    }

    /// The network that one customer of a provider may own: the /24 of an IPv4 address, the /48 of an IPv6 address.
    #[must_use]
    pub fn network(&self) -> String {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(network) => {
                let [a, b, c, ..] = network.segments();
                format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        }
    }
}

impl fmt::Debug for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_ipv4() { "ClientIp(IPv4)" } else { "ClientIp(IPv6 /64)" })
    }
}

/// The /64 of an address.
fn subnet(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, d, ..] = address.segments();
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

/// The IPv4 address that an IPv6 address embeds.
fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// The most helpful error for a text that can't be parsed.
fn cause(text: &str) -> InvalidIp {
    match text {
        _ if text.trim().is_empty() => InvalidIp::Empty,
        _ if text.contains(',') => InvalidIp::List,
        _ if text.contains('/') => InvalidIp::Prefix,
        _ if text.contains('%') => InvalidIp::Zone,
        _ if text.starts_with('[') || text.parse::<SocketAddr>().is_ok() => InvalidIp::Port,
        _ => InvalidIp::NotAnAddress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        ClientIp::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).canonical()
    }

    #[test]
    fn a_network_is_what_one_customer_may_own() {
        for (text, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.250", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("2001:db8:1:ffff::", "2001:db8:1::/48"),
            ("2001:db8:2::1", "2001:db8:2::/48"),
        ] {
            assert_eq!(ClientIp::parse(text).unwrap().network(), network, "{text}");
        }
    }

    #[test]
    fn all_spellings_of_a_client_are_one_key() {
        for (text, key) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::FFFF:cb00:7107", "203.0.113.7"),
            ("0:0:0:0:0:ffff:203.0.113.7", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("2002:cb00:7107::1", "203.0.113.7"),
            ("2002:cb00:7107:ffff:1:2:3:4", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
            ("2001:0db8:0001:0002:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8::7", "2001:db8::/64"),
            // A translator's own prefix (RFC 8215): only its owner knows where it contains the IPv4 address.
            ("64:ff9b:1::203.0.113.7", "64:ff9b:1::/64"),
        ] {
            assert_eq!(canonical(text), key, "{text}");
        }
        assert_ne!(canonical("2001:db8:1:2::1"), canonical("2001:db8:1:3::1"));
        assert_ne!(canonical("203.0.113.7"), canonical("203.0.113.8"));
    }

    #[test]
    fn private_and_loopback_addresses_are_taken() {
        for (text, key) in [
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("192.168.1.1", "192.168.1.1"),
            ("::1", "::/64"),
            ("fd00:1:2:3::4", "fd00:1:2:3::/64"),
        ] {
            assert_eq!(canonical(text), key);
        }
    }

    #[test]
    fn a_refusal_says_what_was_wrong() {
        for (text, error) in [
            ("", InvalidIp::Empty),
            (" ", InvalidIp::Empty),
            ("203.0.113.7, 198.51.100.1", InvalidIp::List),
            ("203.0.113.7:443", InvalidIp::Port),
            ("[2001:db8::7]", InvalidIp::Port),
            ("[2001:db8::7]:443", InvalidIp::Port),
            ("203.0.113.0/24", InvalidIp::Prefix),
            ("2001:db8::/64", InvalidIp::Prefix),
            ("fe80::1%eth0", InvalidIp::Zone),
            ("0.0.0.0", InvalidIp::Unspecified),
            ("::", InvalidIp::Unspecified),
            ("::ffff:0.0.0.0", InvalidIp::Unspecified),
            ("2002::1", InvalidIp::Unspecified),
            // Some read it as decimal, some as octal.
            ("203.0.113.010", InvalidIp::NotAnAddress),
            ("203.0.113", InvalidIp::NotAnAddress),
            ("0xcb007107", InvalidIp::NotAnAddress),
            ("3405803783", InvalidIp::NotAnAddress),
            ("203.0.113.256", InvalidIp::NotAnAddress),
            ("２０３.0.113.7", InvalidIp::NotAnAddress),
            ("203.0.113.7\n", InvalidIp::NotAnAddress),
            ("2001:db8:::7", InvalidIp::NotAnAddress),
            ("unknown", InvalidIp::NotAnAddress),
        ] {
            assert_eq!(ClientIp::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_address_can_not_be_printed() {
        assert_eq!(format!("{:?}", ClientIp::parse("203.0.113.7")), "Ok(ClientIp(IPv4))");
        assert_eq!(format!("{:?}", ClientIp::parse("2001:db8::7")), "Ok(ClientIp(IPv6 /64))");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in prop_oneof![any::<String>(), "[0-9a-f:.\\[\\]%/, ]{0,50}".boxed()]) {
            let _ = ClientIp::parse(&text);
        }

        #[test]
        fn changing_the_lower_half_gives_no_new_key(prefix in 0x2003_u64 << 48.., low: [u64; 2]) {
            let key = |low: u64| canonical(&Ipv6Addr::from(u128::from(prefix) << 64 | u128::from(low)).to_string());
            prop_assert_eq!(key(low[0]), key(low[1]));
        }
    }
}
