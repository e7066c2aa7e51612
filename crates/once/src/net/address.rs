//! Addresses of kernels: reading them, and where this one can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use iroh::{Endpoint, EndpointAddr, RelayUrl, TransportAddr};
use once_model::limits::{ADDRESSES_MAX, NAME_MAX_BYTES};

use crate::Error;

/// Where a kernel might be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// An address and a port.
    Socket(SocketAddr),
    /// A name and a port: looked up at each dial.
    Host(String),
    /// A relay through which it can be reached.
    Relay(RelayUrl),
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > NAME_MAX_BYTES {
            return Err("it is too long");
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return match (socket.ip(), socket.port()) {
                (_, 0) => Err("its port is 0"),
                (ip, _) if ip.is_unspecified() || ip.is_multicast() => Err("nobody can be called there"),
                _ => Ok(Self::Socket(socket)),
            };
        }
        // Any `host:port` is a URL whose scheme is the host.
        if text.contains("://") {
            return text.parse().map(Self::Relay).map_err(|_| "it is no URL of a relay");
        }
        let (host, port) = text.rsplit_once(':').ok_or("it has no port")?;
        if port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err("its port is no number from 1 to 65535");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return Err("its host is no name and no address");
        }
        Ok(Self::Host(text.to_owned()))
    }
}

/// Checks addresses that a person gave.
///
/// # Errors
/// When there are too many. Names the first that makes no sense.
pub(crate) fn check(addresses: &[String]) -> Result<(), Error> {
    if addresses.len() > ADDRESSES_MAX {
        return Err(Error::usage(format!("a peer has at most {ADDRESSES_MAX} addresses")));
    }
    for text in addresses {
        if let Err(why) = text.parse::<Address>() {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Error::usage(format!("'{shown}' is no address of a kernel: {why}")).with_hint(
                "like 192.0.2.7:4277, [2001:db8::7]:4277, host.example.org:4277, or a relay's URL",
            ));
        }
    }
    Ok(())
}

/// Where to dial; what makes no sense is passed over.
pub(super) async fn resolve(
    endpoint: &Endpoint,
    mut addr: EndpointAddr,
    addresses: &[String],
) -> EndpointAddr {
    let own: Vec<_> = endpoint.bound_sockets().iter().map(SocketAddr::port).collect();
    for address in addresses.iter().filter_map(|text| text.parse().ok()) {
        addr = match address {
            // Told by someone on another machine: here it is this kernel.
            Address::Socket(socket) if socket.ip().is_loopback() && own.contains(&socket.port()) => addr,
            Address::Socket(socket) => addr.with_ip_addr(socket),
            Address::Relay(url) => addr.with_relay_url(url),
            Address::Host(name) => match tokio::net::lookup_host(name).await {
                Ok(found) => found.fold(addr, EndpointAddr::with_ip_addr),
                Err(_) => addr,
            },
        };
    }
    addr
}

/// Of socket addresses that somebody named, those of another machine that can be dialled.
pub(super) fn dialled(sockets: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let other = |socket: &SocketAddr| {
        let ip = socket.ip();
        socket.port() != 0
            && !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_link_local(ip))
    };
    sockets.iter().copied().filter(other)
}

/// Where an endpoint can be reached.
pub(super) fn own(endpoint: &Endpoint) -> Vec<String> {
    let addr = endpoint.addr();
    let bound = endpoint.bound_sockets();
    let relays = addr.relay_urls().map(ToString::to_string);
    // The relays come last and shall not be what is left out.
    let mut all = reachable(addr.ip_addrs().copied().collect(), &bound);
    all.truncate(ADDRESSES_MAX.saturating_sub(addr.relay_urls().count()));
    all.iter().map(ToString::to_string).chain(relays).take(ADDRESSES_MAX).collect()
}

/// Of the addresses of the interfaces and those that the sockets are bound to, the ones that another kernel can use.
fn reachable(found: Vec<SocketAddr>, bound: &[SocketAddr]) -> Vec<SocketAddr> {
    let specific = bound.iter().copied().filter(|socket| !socket.ip().is_unspecified());
    let mut all: Vec<SocketAddr> = Vec::new();
    for socket in found.into_iter().chain(specific) {
        if !is_link_local(socket.ip()) && !all.contains(&socket) {
            all.push(socket);
        }
    }
    // One that listens on every interface of a machine without a network can at least be reached from that machine. Only
    // then: on another machine a loopback address with this port may be another kernel, quick to answer with another
    // key, and that would be the end of the dial.
    if all.is_empty() {
        all.extend(bound.iter().map(|socket| match socket {
            SocketAddr::V4(v4) => SocketAddr::from((Ipv4Addr::LOCALHOST, v4.port())),
            SocketAddr::V6(v6) => SocketAddr::from((Ipv6Addr::LOCALHOST, v6.port())),
        }));
    }
    all
}

/// Means something only together with an interface of the one machine.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// From how far away a kernel can be reached at its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has no address.
    Nowhere,
    /// Only addresses that mean the machine itself.
    ThisMachine,
    /// At least one that another machine can use.
    Others,
}

impl Reach {
    pub fn of(addresses: &[String]) -> Self {
        let local = |text: &String| match text.parse() {
            Ok(Address::Socket(socket)) => Some(socket.ip().is_loopback()),
            Ok(Address::Host(_) | Address::Relay(_)) => Some(false),
            Err(_) => None,
        };
        let all: Vec<_> = addresses.iter().filter_map(local).collect();
        match (all.is_empty(), all.iter().all(|local| *local)) {
            (true, _) => Self::Nowhere,
            (false, true) => Self::ThisMachine,
            (false, false) => Self::Others,
        }
    }

    /// As clients of the local API are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::ThisMachine => "this-machine",
            Self::Others => "others",
        }
    }
}

/// The address at which a connection's other side is now.
pub(super) fn address_of(connection: &iroh::endpoint::Connection) -> Option<String> {
    let paths = connection.paths();
    let path = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next())?;
    match path.remote_addr() {
        TransportAddr::Ip(addr) => Some(addr.to_string()),
        TransportAddr::Relay(url) => Some(url.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_makes_no_sense_is_no_address() {
        for good in
            ["192.0.2.7:4277", "[2001:db8::7]:1", "host.example.org:4277", "https://relay.example.org"]
        {
            assert!(good.parse::<Address>().is_ok(), "{good}");
            assert_eq!(check(&[good.into()]), Ok(()));
        }
        let bad =
            ["", "host", "192.0.2.7", "192.0.2.7:0", "0.0.0.0:4277", "[::]:4277", "host:0", "host:70000"];
        for bad in bad.into_iter().chain([":4277", "a b:1", "2001:db8::7:4277", "http://", "224.0.0.1:4277"])
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
            let error = check(&["192.0.2.7:4277".into(), bad.into()]).unwrap_err();
            assert!(error.message().contains(&format!("'{bad}'")) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn a_machine_with_ipv6_alone_tells_its_ipv6_address() {
        let bound = sockets(&["0.0.0.0:4277", "[::]:4277"]);
        let found = sockets(&["[2001:db8::7]:4277", "[fe80::1]:4277", "[2001:db8::7]:4277"]);
        assert_eq!(reachable(found, &bound), sockets(&["[2001:db8::7]:4277"]));
        assert_eq!(reachable(Vec::new(), &bound), sockets(&["127.0.0.1:4277", "[::1]:4277"]));
        assert_eq!(reachable(Vec::new(), &sockets(&["[::]:4277"])), sockets(&["[::1]:4277"]));
        assert_eq!(reachable(Vec::new(), &sockets(&["127.0.0.1:1"])), sockets(&["127.0.0.1:1"]));
    }

    #[test]
    fn how_far_a_ticket_reaches() {
        let reach = |texts: &[&str]| Reach::of(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(reach(&[]), Reach::Nowhere);
        assert_eq!(reach(&["nonsense"]), Reach::Nowhere);
        assert_eq!(reach(&["127.0.0.1:4277", "[::1]:4277"]), Reach::ThisMachine);
        assert_eq!(reach(&["127.0.0.1:4277", "192.0.2.7:4277"]), Reach::Others);
        assert_eq!(reach(&["https://relay.example.org"]), Reach::Others);
    }
}
