//! Addresses as people write them, and the one form the network understands.
//!
//! A person writes a multiaddr (`/ip4/192.0.2.7/tcp/4710`, with or without `/p2p/PEERID`),
//! `host:port`, or `host`; without a transport both TCP and QUIC are meant, without a port 4710.
//! Promises: what parses can be dialled, and its text form parses to the same again. Leaves out:
//! whether anyone is there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use libp2p::multiaddr::{Multiaddr, Protocol};
use starling_crdt::id::AuthorKey;

use super::peer;

/// The port a node listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4710;
/// Longest address in text; longer ones are refused unread.
const ADDRESS_CHARACTERS_MAX: usize = 1_024;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is nothing in it.
    #[error("address is empty; write a multiaddr, HOST:PORT or HOST")]
    Empty,
    /// It is too long to be one.
    #[error("address is longer than {ADDRESS_CHARACTERS_MAX} characters")]
    TooLong,
    /// The part before the port names no host.
    #[error("{host:?} is neither an IP address nor a host name")]
    BadHost {
        /// What was found.
        host: String,
    },
    /// The part after the colon is no port.
    #[error("{port:?} is no port; write a number from 1 to 65535")]
    BadPort {
        /// What was found.
        port: String,
    },
    /// It begins like a multiaddr but is none.
    #[error("{address:?} is no multiaddr: {reason}")]
    BadMultiaddr {
        /// What was found.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is a multiaddr this node cannot use.
    #[error(
        "{address} is not supported; write /ip4, /ip6, /dns, /dns4 or /dns6, then /tcp/PORT or \
         /udp/PORT/quic-v1, then /p2p/PEERID if wanted"
    )]
    Unsupported {
        /// What was found.
        address: String,
    },
    /// The peer in it has no ed25519 key.
    #[error("the peer in {address} has no ed25519 key, so it is no Starling node")]
    ForeignPeer {
        /// What was found.
        address: String,
    },
    /// It names every host, so it names none.
    #[error("{address} is a listen address and names no host; write the address of one")]
    Unspecified {
        /// What was found.
        address: String,
    },
    /// A node can listen only on an IP address of its own.
    #[error("cannot listen on {address}; write /ip4 or /ip6 with /tcp/PORT or /udp/PORT/quic-v1")]
    NotListenable {
        /// What was found.
        address: String,
    },
}

/// One way to reach a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Whom the address claims to find there.
    pub peer: Option<AuthorKey>,
    /// The multiaddr without its `/p2p` part.
    pub address: String,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        match &self.peer {
            Some(author) => write!(f, "/p2p/{}", peer_id_text(author)),
            None => Ok(()),
        }
    }
}

/// The libp2p PeerId of `author`, in the text form other tools show.
pub fn peer_id_text(author: &AuthorKey) -> String {
    peer::peer_id(author).to_base58()
}

/// The author key in a PeerId's text form, if it is one of an ed25519 key.
pub fn author_of_peer_id(text: &str) -> Option<AuthorKey> {
    text.parse().ok().as_ref().and_then(peer::author_key)
}

/// Every way to reach the node that `text` names, the one to try first in front.
///
/// # Errors
/// [`AddressError`] says what is wrong and what to write instead.
pub fn parse(text: &str) -> Result<Vec<PeerAddress>, AddressError> {
    Ok(dialable(text)?
        .into_iter()
        .map(|target| PeerAddress { peer: target.peer, address: target.address.to_string() })
        .collect())
}

/// The canonical multiaddrs that `text` stands for, each with its `/p2p` part if it had one.
///
/// # Errors
/// As [`parse`].
pub fn normalise(text: &str) -> Result<Vec<String>, AddressError> {
    Ok(parse(text)?.iter().map(ToString::to_string).collect())
}

/// A parsed [`PeerAddress`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) peer: Option<AuthorKey>,
    pub(super) address: Multiaddr,
}

/// As [`parse`], for use within the network.
pub(super) fn dialable(text: &str) -> Result<Vec<Target>, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.len() > ADDRESS_CHARACTERS_MAX {
        return Err(AddressError::TooLong);
    }
    if text.starts_with('/') {
        return dialable_multiaddr(text).map(|target| vec![target]);
    }
    let (host, port) = split_host(text)?;
    let addresses = both_transports(&host, port);
    addresses.into_iter().map(|address| named(&address).map(|()| Target { peer: None, address })).collect()
}

/// The address to listen on that `text` names. Port 0 lets the system choose one.
pub(super) fn listenable(text: &str) -> Result<Multiaddr, AddressError> {
    let address = read_multiaddr(text.trim())?;
    let fail = || AddressError::NotListenable { address: address.to_string() };
    match shape(&address) {
        Some(Shape { host: Protocol::Ip4(_) | Protocol::Ip6(_), peer: None, .. }) => Ok(address),
        _ => Err(fail()),
    }
}

/// Why nobody could listen at `text`; nothing where somebody could.
pub(crate) fn listen_fault(text: &str) -> Option<String> {
    listenable(text).err().map(|error| format!("{text:?} cannot be listened at: {error}"))
}

/// What a multiaddr a peer told us about itself is good for: none unless it can be dialled from
/// another host's point of view. Zone-less link-local addresses cannot.
pub(super) fn usable(address: &Multiaddr) -> Option<PeerAddress> {
    let shape = shape(address)?;
    named(address).ok()?;
    if matches!(shape.host, Protocol::Ip6(ip) if ip.is_unicast_link_local()) || shape.port == 0 {
        return None;
    }
    let peer = match shape.peer {
        Some(peer) => Some(peer::author_key(&peer)?),
        None => None,
    };
    Some(PeerAddress { peer, address: without_peer(address).to_string() })
}

/// `address` without its `/p2p` part.
pub(super) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

/// The TCP socket that a listen address means, if it is one of TCP.
pub(super) fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    match shape(address)? {
        Shape { host: Protocol::Ip4(ip), tcp: true, port, .. } => Some((ip, port).into()),
        Shape { host: Protocol::Ip6(ip), tcp: true, port, .. } => Some((ip, port).into()),
        _ => None,
    }
}

fn read_multiaddr(text: &str) -> Result<Multiaddr, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.len() > ADDRESS_CHARACTERS_MAX {
        return Err(AddressError::TooLong);
    }
    text.parse().map_err(|error: libp2p::multiaddr::Error| AddressError::BadMultiaddr {
        address: text.to_owned(),
        reason: error.to_string(),
    })
}

fn dialable_multiaddr(text: &str) -> Result<Target, AddressError> {
    let address = read_multiaddr(text)?;
    let shape = shape(&address).filter(|shape| shape.port != 0);
    let shape = shape.ok_or_else(|| AddressError::Unsupported { address: address.to_string() })?;
    named(&address)?;
    let foreign = || AddressError::ForeignPeer { address: address.to_string() };
    let peer = match shape.peer {
        Some(peer) => Some(peer::author_key(&peer).ok_or_else(foreign)?),
        None => None,
    };
    Ok(Target { peer, address: without_peer(&address) })
}

/// The parts of the only multiaddrs a node uses.
struct Shape<'a> {
    host: Protocol<'a>,
    tcp: bool,
    port: u16,
    peer: Option<libp2p::PeerId>,
}

fn shape(address: &Multiaddr) -> Option<Shape<'_>> {
    let mut parts = address.iter();
    let host = parts.next().filter(|part| {
        use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6};
        matches!(part, Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_))
    })?;
    let (tcp, port) = match parts.next()? {
        Protocol::Tcp(port) => (true, port),
        Protocol::Udp(port) if parts.next() == Some(Protocol::QuicV1) => (false, port),
        _ => return None,
    };
    let peer = match parts.next() {
        None => None,
        Some(Protocol::P2p(peer)) => Some(peer),
        Some(_) => return None,
    };
    parts.next().is_none().then_some(Shape { host, tcp, port, peer })
}

/// Refuses an address that names every host.
fn named(address: &Multiaddr) -> Result<(), AddressError> {
    let unspecified = match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_unspecified(),
        Some(Protocol::Ip6(ip)) => ip.is_unspecified(),
        _ => false,
    };
    if unspecified {
        return Err(AddressError::Unspecified { address: address.to_string() });
    }
    Ok(())
}

/// TCP first: it fails at once where nobody listens, while a blocked QUIC packet only times out.
fn both_transports(host: &Protocol<'_>, port: u16) -> [Multiaddr; 2] {
    let host = Multiaddr::from(host.clone());
    let tcp = host.clone().with(Protocol::Tcp(port));
    let quic = host.with(Protocol::Udp(port)).with(Protocol::QuicV1);
    [tcp, quic]
}

/// Splits `HOST[:PORT]`, where an IPv6 address with a port stands in brackets.
fn split_host(text: &str) -> Result<(Protocol<'_>, u16), AddressError> {
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Ok((Protocol::Ip6(ip), DEFAULT_PORT));
    }
    let bad_host = || AddressError::BadHost { host: text.to_owned() };
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or_else(bad_host)?;
        let ip = ip.parse::<Ipv6Addr>().map_err(|_| bad_host())?;
        let port = match rest {
            "" => DEFAULT_PORT,
            _ => read_port(rest.strip_prefix(':').ok_or_else(bad_host)?)?,
        };
        return Ok((Protocol::Ip6(ip), port));
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((read_host(host)?, read_port(port)?)),
        None => Ok((read_host(text)?, DEFAULT_PORT)),
    }
}

fn read_port(text: &str) -> Result<u16, AddressError> {
    let bad_port = || AddressError::BadPort { port: text.to_owned() };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.then(|| text.parse::<u16>().ok()).flatten();
    port.filter(|port| *port != 0).ok_or_else(bad_port)
}

/// An IPv4 address, or a host name by RFC 1123 (and `_`, which people use).
fn read_host(text: &str) -> Result<Protocol<'_>, AddressError> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Protocol::Ip4(ip));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-')
    };
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > 253 || last_is_number || !name.split('.').all(label) {
        return Err(AddressError::BadHost { host: text.to_owned() });
    }
    Ok(Protocol::Dns(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    #[test]
    fn what_people_write_becomes_multiaddrs() {
        let rows: &[(&str, &[&str])] = &[
            ("/ip4/192.0.2.7/tcp/4710", &["/ip4/192.0.2.7/tcp/4710"]),
            ("/dns4/host/udp/1/quic-v1", &["/dns4/host/udp/1/quic-v1"]),
            ("/dns6/host/tcp/1", &["/dns6/host/tcp/1"]),
            (" 192.0.2.7:99 ", &["/ip4/192.0.2.7/tcp/99", "/ip4/192.0.2.7/udp/99/quic-v1"]),
            ("192.0.2.7", &["/ip4/192.0.2.7/tcp/4710", "/ip4/192.0.2.7/udp/4710/quic-v1"]),
            ("::1", &["/ip6/::1/tcp/4710", "/ip6/::1/udp/4710/quic-v1"]),
            ("[::1]", &["/ip6/::1/tcp/4710", "/ip6/::1/udp/4710/quic-v1"]),
            ("[2001:db8::1]:5", &["/ip6/2001:db8::1/tcp/5", "/ip6/2001:db8::1/udp/5/quic-v1"]),
            ("host-1", &["/dns/host-1/tcp/4710", "/dns/host-1/udp/4710/quic-v1"]),
            ("a.example.:80", &["/dns/a.example/tcp/80", "/dns/a.example/udp/80/quic-v1"]),
            ("node_1.lan:65535", &["/dns/node_1.lan/tcp/65535", "/dns/node_1.lan/udp/65535/quic-v1"]),
        ];
        for (text, expected) in rows {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(normalise(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_named_peer_is_kept_apart_and_comes_back() {
        let text = format!("/ip4/192.0.2.7/tcp/4710/p2p/{PEER}");
        let parsed = parse(&text).expect("an address");
        let author = author_of_peer_id(PEER).expect("an ed25519 peer");
        assert_eq!(parsed[0].peer, Some(author));
        assert_eq!(parsed[0].address, "/ip4/192.0.2.7/tcp/4710");
        assert_eq!(parsed[0].to_string(), text);
        assert_eq!(peer_id_text(&author), PEER);
    }

    #[test]
    fn what_cannot_be_dialled_says_why() {
        use AddressError as E;
        type Matches = fn(&AddressError) -> bool;
        let rows: &[(&str, Matches)] = &[
            ("", |e| matches!(e, E::Empty)),
            ("  ", |e| matches!(e, E::Empty)),
            ("host:", |e| matches!(e, E::BadPort { .. })),
            ("host:0", |e| matches!(e, E::BadPort { .. })),
            ("host:65536", |e| matches!(e, E::BadPort { .. })),
            ("host:+80", |e| matches!(e, E::BadPort { .. })),
            ("host:80:90", |e| matches!(e, E::BadPort { .. })),
            (":80", |e| matches!(e, E::BadHost { .. })),
            ("http://host", |e| matches!(e, E::BadPort { .. })),
            ("host/path", |e| matches!(e, E::BadHost { .. })),
            ("300.1.1.1", |e| matches!(e, E::BadHost { .. })),
            ("1.2.3", |e| matches!(e, E::BadHost { .. })),
            ("-host", |e| matches!(e, E::BadHost { .. })),
            ("two words", |e| matches!(e, E::BadHost { .. })),
            ("höst", |e| matches!(e, E::BadHost { .. })),
            ("[::1", |e| matches!(e, E::BadHost { .. })),
            ("[::1]80", |e| matches!(e, E::BadHost { .. })),
            ("0.0.0.0:80", |e| matches!(e, E::Unspecified { .. })),
            ("/ip6/::/tcp/1", |e| matches!(e, E::Unspecified { .. })),
            ("/ip4/1.2.3/tcp/1", |e| matches!(e, E::BadMultiaddr { .. })),
            ("/nonsense", |e| matches!(e, E::BadMultiaddr { .. })),
            ("/ip4/192.0.2.7", |e| matches!(e, E::Unsupported { .. })),
            ("/ip4/192.0.2.7/tcp/0", |e| matches!(e, E::Unsupported { .. })),
            ("/ip4/192.0.2.7/udp/1", |e| matches!(e, E::Unsupported { .. })),
            ("/ip4/192.0.2.7/udp/1/quic", |e| matches!(e, E::Unsupported { .. })),
            ("/ip4/192.0.2.7/tcp/1/ws", |e| matches!(e, E::Unsupported { .. })),
            ("/memory/1", |e| matches!(e, E::Unsupported { .. })),
            ("/ip4/192.0.2.7/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", |e| {
                matches!(e, E::ForeignPeer { .. })
            }),
        ];
        for (text, matches) in rows {
            let error = parse(text).expect_err(text);
            assert!(matches(&error), "{text}: {error:?}");
            assert!(!error.to_string().is_empty());
        }
        let long = format!("/dns/{}/tcp/1", "x".repeat(2_000));
        assert_eq!(parse(&long), Err(E::TooLong));
    }

    #[test]
    fn only_addresses_of_this_host_can_be_listened_on() {
        for good in ["/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/4710/quic-v1", "/ip4/127.0.0.1/tcp/1"] {
            assert!(listenable(good).is_ok(), "{good}");
        }
        let named = format!("/ip4/0.0.0.0/tcp/1/p2p/{PEER}");
        for bad in ["/dns/host/tcp/1", "/ip4/0.0.0.0/udp/1", "host:1", "", named.as_str()] {
            assert!(listenable(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_a_peer_tells_are_sifted() {
        let usable = |text: &str| usable(&text.parse().expect("a multiaddr"));
        assert!(usable("/ip4/192.0.2.7/tcp/1").is_some());
        assert!(usable("/dns/host/tcp/1").is_some());
        for useless in [
            "/ip4/0.0.0.0/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip4/192.0.2.7/tcp/0",
            "/ip4/192.0.2.7/tcp/1/ws",
            "/p2p-circuit",
        ] {
            assert!(usable(useless).is_none(), "{useless}");
        }
    }
}
