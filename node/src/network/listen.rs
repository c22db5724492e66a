//! Where the node listens, and what it says of itself.

use std::error::Error;
use std::io;
use std::net::TcpListener;

use libp2p::swarm::Swarm;
use libp2p::{Multiaddr, PeerId};

use super::address::{self, AddressError};
use super::behaviour::Protocols;
use super::event::Event;
use super::{NetworkError, peer};

/// Reads the configured listen addresses.
pub(super) fn listen_addresses(texts: &[String]) -> Result<Vec<Multiaddr>, NetworkError> {
    texts.iter().map(|text| address::listenable(text).map_err(|source| bad("listen", text, source))).collect()
}

/// Reads the addresses to advertise; one with a `/p2p` part must name this node.
pub(super) fn advertised(texts: &[String], local: PeerId) -> Result<Vec<Multiaddr>, NetworkError> {
    let mut addresses = Vec::new();
    for text in texts {
        let targets = address::dialable(text).map_err(|source| bad("advertise", text, source))?;
        for target in targets {
            if target.peer.is_some_and(|named| peer::peer_id(&named) != local) {
                return Err(NetworkError::AdvertisesAnother(text.clone()));
            }
            addresses.push(target.address);
        }
    }
    Ok(addresses)
}

fn bad(purpose: &'static str, text: &str, source: AddressError) -> NetworkError {
    NetworkError::Address { purpose, text: text.to_owned(), source }
}

/// Listens on all `addresses` that can be; the others become events.
pub(super) fn listen(
    swarm: &mut Swarm<Protocols>,
    addresses: &[Multiaddr],
) -> Result<Vec<Event>, NetworkError> {
    // All are probed before the first is taken, because probing `[::]` would collide with our own
    // `0.0.0.0`.
    let taken: Vec<bool> = addresses.iter().map(in_use).collect();
    let mut failures = Vec::new();
    for (address, taken) in addresses.iter().zip(taken) {
        let result = if taken {
            Err(explain(&io::Error::from(io::ErrorKind::AddrInUse)))
        } else {
            swarm.listen_on(address.clone()).map(drop).map_err(|error| explain(&error))
        };
        if let Err(reason) = result {
            failures.push((address.to_string(), reason));
        }
    }
    if !addresses.is_empty() && failures.len() == addresses.len() {
        let texts = failures.iter().map(|(address, reason)| format!("{address}: {reason}"));
        return Err(NetworkError::NothingListens(texts.collect()));
    }
    let event = |(address, reason)| Event::ListenFailed { address, reason };
    Ok(failures.into_iter().map(event).collect())
}

/// Whether another socket listens on this TCP port. libp2p sets SO_REUSEPORT on its listeners, so
/// a second node of the same user would silently share the port and get half of the connections.
fn in_use(address: &Multiaddr) -> bool {
    let socket = address::tcp_socket(address).filter(|socket| socket.port() != 0);
    let probe = socket.map(TcpListener::bind);
    matches!(probe, Some(Err(error)) if error.kind() == io::ErrorKind::AddrInUse)
}

/// The innermost cause of `error` in words; the layers round it only repeat each other.
pub(super) fn explain(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let in_use =
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    if in_use {
        return "the port is in use; stop what listens there or choose another".to_owned();
    }
    cause.to_string()
}
