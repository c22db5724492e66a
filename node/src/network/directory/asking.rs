//! Kademlia that asks its neighbours and dials nobody.
//!
//! Promises: where Kademlia on its way through the directory would dial a node, nothing is dialled:
//! the addresses it would have tried are told instead, and the search goes on without that node.
//! Whom to dial stays one decision in one place, and a search causes no storm of connections.

use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad;
use libp2p::swarm::behaviour::DialFailure;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::registrations::Registrations;

type Kademlia = kad::Behaviour<Registrations>;

/// See the module.
pub(in crate::network) struct Asking(pub(in crate::network) Kademlia);

/// What comes of asking.
#[derive(Debug)]
pub(in crate::network) enum Asked {
    /// What Kademlia itself says.
    Kademlia(Box<kad::Event>),
    /// Where somebody may be who is no neighbour.
    Found {
        /// Who.
        peer: PeerId,
        /// Where. Nobody vouches for it.
        addresses: Vec<Multiaddr>,
    },
}

impl Asking {
    /// Instead of a dial: where it would have led.
    fn instead(&mut self, connection: ConnectionId, peer: PeerId) -> Option<Asked> {
        let role = Endpoint::Dialer;
        let addresses = self.0.handle_pending_outbound_connection(connection, Some(peer), &[], role);
        self.0.on_swarm_event(FromSwarm::DialFailure(DialFailure {
            peer_id: Some(peer),
            error: &DialError::Aborted,
            connection_id: connection,
        }));
        let addresses = addresses.ok().filter(|addresses| !addresses.is_empty())?;
        Some(Asked::Found { peer, addresses })
    }
}

impl NetworkBehaviour for Asking {
    type ConnectionHandler = <Kademlia as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Asked;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.0.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_inbound_connection(connection, peer, local, remote)
    }

    /// Adds no address: a dial goes where the core sends it.
    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.0.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.0.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            match self.0.poll(context) {
                Poll::Ready(ToSwarm::Dial { opts }) => {
                    let peer = opts.get_peer_id();
                    if let Some(found) = peer.and_then(|peer| self.instead(opts.connection_id(), peer)) {
                        return Poll::Ready(ToSwarm::GenerateEvent(found));
                    }
                }
                Poll::Ready(other) => {
                    return Poll::Ready(other.map_out(|event| Asked::Kademlia(Box::new(event))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
