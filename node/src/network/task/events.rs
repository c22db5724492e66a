//! What the swarm reports, turned into what the driver is told.

use std::collections::BTreeMap;

use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId, TopicHash};
use libp2p::kad::{self, GetProvidersOk, QueryResult};
use libp2p::swarm::{ConnectionId, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping};
use starling_crdt::id::{AuthorKey, Topic};
use tokio::time::Instant;

use super::SwarmTask;
use crate::network::behaviour::{PROTOCOL, ProtocolsEvent};
use crate::network::command::MessageToken;
use crate::network::directory::{Asked, DIRECTORY_PROTOCOL};
use crate::network::event::{DialFailure, Discovery, Event, Offence};
use crate::network::limits::{DISCOVERED_ADDRESSES_MAX, FOREIGN_TEXT_MAX, GOSSIP_UNJUDGED_PER_PEER_MAX};
use crate::network::listen::explain;
use crate::network::{address, peer};

impl SwarmTask {
    /// Handles one event of the swarm.
    pub(super) fn happened(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.protocol_happened(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.disconnected(&peer_id, connection_id)
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(event) = self.dials.failed(&mut self.swarm, connection_id, error) {
                    self.outbox.insist(event);
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                if matches!(error, ListenError::Denied { .. }) {
                    self.counters.connections_refused.increment();
                }
                tracing::debug!(event = "connection_failed", from = %send_back_addr, error = explain(&error), "no connection came about");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.outbox.insist(Event::Listening { address: address.to_string() });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.outbox.insist(Event::ListenEnded { address: address.to_string() });
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                for address in addresses {
                    let (address, reason) = (address.to_string(), explain(&error));
                    self.outbox.insist(Event::ListenFailed { address, reason });
                }
            }
            SwarmEvent::ListenerError { error, .. } => {
                // Without file descriptors this repeats as fast as the system can say it.
                self.counters.accept_failures.increment();
                let times = self.counters.accept_failures.read();
                if times.is_power_of_two() {
                    let error = explain(&error);
                    tracing::warn!(
                        event = "accept_failed",
                        error,
                        times,
                        "a listener could not accept a connection"
                    );
                }
            }
            _ => {}
        }
    }

    fn connected(&mut self, peer: &PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let given = self.dials.succeeded(connection);
        let Some(author) = peer::author_key(peer) else {
            self.counters.connections_refused.increment();
            self.swarm.close_connection(connection);
            if let Some(addresses) = given {
                self.outbox.insist(Event::DialFailed {
                    peer: None,
                    addresses,
                    reason: DialFailure::WrongPeer { found: None },
                });
            }
            return;
        };
        self.liveness.connected(connection, Instant::now());
        let connections = self.up.entry(author).or_default();
        connections.push(connection);
        if connections.len() == 1 {
            let address = address::without_peer(endpoint.get_remote_address()).to_string();
            let inbound = endpoint.is_listener();
            self.outbox.insist(Event::PeerUp { peer: author, address, inbound });
        }
        if let Some(addresses) = given {
            self.outbox.insist(Event::Dialed { peer: author, addresses });
        }
    }

    /// gossipsub keeps its stream on a peer's first connection and, when that closes, does not
    /// move to another before something else happens there; what it sends until then is lost. So a
    /// peer that loses its first connection is disconnected altogether and starts afresh.
    fn disconnected(&mut self, peer_id: &PeerId, connection: ConnectionId) {
        self.liveness.closed(connection);
        let Some(peer) = peer::author_key(peer_id) else {
            return;
        };
        let Some(connections) = self.up.get_mut(&peer) else {
            return;
        };
        let first = connections.first() == Some(&connection);
        connections.retain(|other| *other != connection);
        if connections.is_empty() {
            self.up.remove(&peer);
            self.unjudged.remove(&peer);
            self.outbox.insist(Event::PeerDown { peer });
        } else if first {
            // An error means that the rest is closing already.
            let _ = self.swarm.disconnect_peer_id(*peer_id);
        }
    }

    fn protocol_happened(&mut self, event: ProtocolsEvent) {
        match event {
            ProtocolsEvent::Gossip(event) => self.gossip_happened(event),
            ProtocolsEvent::Exchange(event) => self.requests.happened(event, &mut self.outbox),
            ProtocolsEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.identified(&peer_id, info);
            }
            ProtocolsEvent::Ping(event) => self.pinged(event),
            ProtocolsEvent::Mdns(mdns::Event::Discovered(found)) => self.found_nearby(found),
            ProtocolsEvent::Directory(Asked::Kademlia(event)) => self.directory_happened(*event),
            ProtocolsEvent::Directory(Asked::Found { peer, addresses }) => {
                if let Some(peer) = peer::author_key(&peer)
                    && self.named.remove(&peer)
                {
                    self.counters.directory_found.increment();
                    self.discovered(peer, addresses, Discovery::Directory);
                }
            }
            ProtocolsEvent::Identify(_) | ProtocolsEvent::Mdns(_) => {}
        }
    }

    fn directory_happened(&mut self, event: kad::Event) {
        match event {
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => self.agenda.neighbour(Instant::now()),
            kad::Event::OutboundQueryProgressed {
                result: QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
                ..
            } => self.ask_where(providers),
            kad::Event::OutboundQueryProgressed {
                result: QueryResult::GetClosestPeers(ended), step, ..
            } => {
                let key = match &ended {
                    Ok(closest) => &closest.key,
                    Err(error) => error.key(),
                };
                let asked = PeerId::from_bytes(key).ok().and_then(|peer| peer::author_key(&peer));
                if let Some(asked) = asked.filter(|_| step.last) {
                    self.named.remove(&asked);
                }
            }
            _ => {}
        }
    }

    /// Asks where those are whom the directory named and who are no neighbours.
    fn ask_where(&mut self, named: impl IntoIterator<Item = PeerId>) {
        let own = *self.swarm.local_peer_id();
        for peer_id in named {
            if let Some(peer) = peer::author_key(&peer_id)
                && peer_id != own
                && !self.up.contains_key(&peer)
                && self.named.insert(peer)
            {
                self.swarm.behaviour_mut().directory.0.get_closest_peers(peer_id);
            }
        }
    }

    fn gossip_happened(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.heard(&propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let event = |peer, topic| Event::Follows { peer, topic };
                self.follower_changed(&peer_id, &topic, event);
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                let event = |peer, topic| Event::Unfollows { peer, topic };
                self.follower_changed(&peer_id, &topic, event);
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                self.counters.slow_peers.increment();
                if let Some(peer) = peer::author_key(&peer_id) {
                    let messages = failed_messages.priority + failed_messages.non_priority;
                    self.outbox.mention(Event::SlowPeer { peer, messages });
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(event = "no_gossipsub", peer = %peer_id, "a peer does not speak gossipsub");
            }
        }
    }

    fn follower_changed(
        &mut self,
        peer: &PeerId,
        topic: &TopicHash,
        event: impl FnOnce(AuthorKey, Topic) -> Event,
    ) {
        if let (Some(peer), Ok(topic)) = (peer::author_key(peer), topic.as_str().parse()) {
            self.outbox.mention(event(peer, topic));
        }
    }

    /// Gives a message to the driver, or ignores it where the driver or the peer's share is full.
    fn heard(&mut self, from: &PeerId, id: MessageId, message: gossipsub::Message) {
        let author = peer::author_key(from);
        let topic: Option<Topic> = message.topic.as_str().parse().ok();
        let (Some(author), Some(topic)) = (author, topic) else {
            self.report(&id, from, MessageAcceptance::Reject);
            return;
        };
        let token = MessageToken { from: author, id: id.0.clone() };
        let unjudged = self.unjudged.entry(author).or_default();
        let event = Event::Gossip { topic, from: author, message: token, payload: message.data };
        if *unjudged < GOSSIP_UNJUDGED_PER_PEER_MAX && self.outbox.offer(event) {
            *unjudged += 1;
            self.counters.gossip_delivered.increment();
        } else {
            self.counters.gossip_no_room.increment();
            self.report(&id, from, MessageAcceptance::Ignore);
        }
    }

    fn identified(&mut self, peer_id: &PeerId, info: identify::Info) {
        let Some(peer) = peer::author_key(peer_id) else {
            return;
        };
        if info.protocol_version != PROTOCOL {
            let protocol = shown(&info.protocol_version);
            tracing::info!(event = "incompatible_peer", %peer, protocol, "disconnecting what is no Starling node of this version");
            self.outbox.mention(Event::Offence { peer, offence: Offence::ForeignProtocol { protocol } });
            // An error means that it is gone already.
            let _ = self.swarm.disconnect_peer_id(*peer_id);
            return;
        }
        if info.protocols.contains(&DIRECTORY_PROTOCOL) {
            let told = info.listen_addrs.iter().take(DISCOVERED_ADDRESSES_MAX);
            for address in told.filter(|address| address::usable(address).is_some()) {
                self.swarm.behaviour_mut().directory.0.add_address(peer_id, address.clone());
            }
        }
        let how = Discovery::Identify { agent: shown(&info.agent_version) };
        self.discovered(peer, info.listen_addrs, how);
    }

    fn found_nearby(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let mut by_peer: BTreeMap<AuthorKey, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, address) in found {
            if let Some(peer) = peer::author_key(&peer) {
                by_peer.entry(peer).or_default().push(address);
            }
        }
        for (peer, addresses) in by_peer {
            self.discovered(peer, addresses, Discovery::Mdns);
        }
    }

    fn discovered(&mut self, peer: AuthorKey, addresses: Vec<Multiaddr>, how: Discovery) {
        let of_peer = |address: &address::PeerAddress| address.peer.is_none_or(|named| named == peer);
        let addresses = addresses
            .iter()
            .take(DISCOVERED_ADDRESSES_MAX)
            .filter_map(address::usable)
            .filter(of_peer)
            .map(|address| address.address)
            .collect::<Vec<_>>();
        if addresses.is_empty() && !matches!(how, Discovery::Identify { .. }) {
            return;
        }
        self.outbox.mention(Event::Discovered { peer, addresses, how });
    }

    /// A failed ping needs nothing here: whoever answers none for long is found by [`Liveness`].
    ///
    /// [`Liveness`]: crate::network::liveness::Liveness
    fn pinged(&mut self, event: ping::Event) {
        if let (Ok(duration), Some(peer)) = (event.result, peer::author_key(&event.peer)) {
            self.liveness.answered(event.connection, Instant::now());
            self.outbox.mention(Event::RoundTrip { peer, duration });
        }
    }
}

/// A text a peer chose, fit for a log or a table.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(FOREIGN_TEXT_MAX).collect()
}
