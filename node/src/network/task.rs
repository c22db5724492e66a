//! The one task that owns the swarm: reads commands, watches the swarm, tells the driver.
//!
//! Promises: one command or one event at a time, each handled without waiting. Leaves out: timers
//! of its own, but one for the driver's full inbox.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId, PublishError, TopicHash};
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, ConnectionId, ListenError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping};
use starling_crdt::id::{AuthorKey, Topic};
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::address;
use super::behaviour::{PROTOCOL, Protocols, ProtocolsEvent};
use super::command::{Command, MessageToken, Verdict};
use super::counters::SharedCounters;
use super::dials::Dials;
use super::event::{Discovery, Event, Offence};
use super::gossip::{Followed, topic_hash};
use super::handle::{CommandQueue, NetworkHandle};
use super::limits::{
    BACKLOG_RETRY, BLOCKED_PEERS_MAX, DISCOVERED_ADDRESSES_MAX, FOREIGN_TEXT_MAX,
    GOSSIP_UNJUDGED_PER_PEER_MAX, IDLE_TIMEOUT, STOP_TIMEOUT, STREAMS_NEGOTIATING_MAX,
};
use super::listen::{advertised, explain, listen, listen_addresses};
use super::outbox::{Deliver, Outbox};
use super::requests::Requests;
use super::transport::transport;
use super::{NetworkConfig, NetworkError, peer};
use crate::metrics::Registry;

/// See the module.
pub(super) struct SwarmTask {
    swarm: Swarm<Protocols>,
    queue: CommandQueue,
    outbox: Outbox,
    dials: Dials,
    requests: Requests,
    followed: Followed,
    /// Peers the driver knows to be up.
    up: BTreeSet<AuthorKey>,
    /// How many messages of each peer wait for a verdict.
    unjudged: BTreeMap<AuthorKey, usize>,
    counters: SharedCounters,
}

/// The libp2p form of the node's key. Only this and the swarm hold it besides the identity itself.
pub(super) fn keypair(seed: &Zeroizing<[u8; 32]>) -> Result<Keypair, NetworkError> {
    let mut seed = seed.clone();
    Keypair::ed25519_from_bytes(seed.as_mut_slice())
        .map_err(|error| NetworkError::Identity(error.to_string()))
}

impl SwarmTask {
    /// Sets everything up and listens. Must be called inside a tokio runtime.
    pub(super) fn new(
        config: &NetworkConfig,
        registry: &mut Registry,
        deliver: Deliver,
    ) -> Result<(Self, NetworkHandle), NetworkError> {
        let keypair = keypair(&config.identity_seed)?;
        let local = keypair.public().to_peer_id();
        let author = peer::author_key(&local)
            .ok_or_else(|| NetworkError::Identity("it has no author key".to_owned()))?;
        let addresses = listen_addresses(&config.listen)?;
        let external = advertised(&config.advertise, local)?;

        let followed = Followed::default();
        let protocols = Protocols::new(&keypair, config, followed.clone())?;
        let settings = Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE_TIMEOUT)
            .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX);
        let mut swarm = Swarm::new(transport(&keypair, registry)?, protocols, local, settings);
        let failures = listen(&mut swarm, &addresses)?;
        for address in external {
            swarm.add_external_address(address);
        }

        let counters = SharedCounters::default();
        let mut outbox = Outbox::new(deliver, counters.clone());
        for failure in failures {
            outbox.insist(failure);
        }
        let (handle, queue) = NetworkHandle::new(author, counters.clone());
        let task = Self {
            swarm,
            queue,
            outbox,
            dials: Dials::default(),
            requests: Requests::new(counters.clone()),
            followed,
            up: BTreeSet::new(),
            unjudged: BTreeMap::new(),
            counters,
        };
        Ok((task, handle))
    }

    /// Runs until [`NetworkHandle::shutdown`], or until no handle is left.
    pub(super) async fn run(mut self) {
        loop {
            if self.outbox.waits() {
                self.outbox.retry();
            }
            let rests = self.outbox.is_full();
            tokio::select! {
                _ = self.queue.stop.changed() => break,
                queued = self.queue.commands.recv(), if !rests => match queued {
                    Some(queued) => self.obey(queued.command),
                    None => break,
                },
                event = self.swarm.select_next_some(), if !rests => self.happened(event),
                () = sleep(BACKLOG_RETRY), if self.outbox.waits() => {}
            }
        }
        self.stop().await;
    }

    /// Closes everything in order; what takes too long is dropped with the swarm.
    async fn stop(mut self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error means that it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        while self.swarm.network_info().num_peers() > 0 {
            match timeout_at(deadline, self.swarm.select_next_some()).await {
                Ok(event) => self.happened(event),
                Err(_) => break,
            }
        }
        for failure in self.dials.abandon().chain(self.requests.abandon()) {
            self.outbox.insist(failure);
        }
        self.outbox.retry();
        let CommandQueue { commands, stopped, .. } = self.queue;
        drop((self.swarm, commands));
        stopped.send_replace(true);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Subscribe { topic } => self.subscribe(&topic),
            Command::Unsubscribe { topic } => self.unsubscribe(&topic),
            Command::Publish { topic, payload } => self.publish(&topic, payload),
            Command::Verdict { message, verdict } => self.judge(&message, verdict),
            Command::Request { peer, id, body } => {
                let exchange = &mut self.swarm.behaviour_mut().exchange;
                if let Some(event) = self.requests.ask(exchange, peer, id, body) {
                    self.outbox.insist(event);
                }
            }
            Command::Respond { peer, id, body } => {
                self.requests.respond(&mut self.swarm.behaviour_mut().exchange, peer, id, body);
            }
            Command::Decline { peer, id } => self.requests.decline(peer, id),
            Command::Dial { peer, addresses } => {
                if let Some(event) = self.dials.begin(&mut self.swarm, peer, addresses) {
                    self.outbox.insist(event);
                }
            }
            Command::Disconnect { peer } => {
                // An error means that it is gone already.
                let _ = self.swarm.disconnect_peer_id(peer::peer_id(&peer));
            }
            Command::Block { peer } => self.block(&peer),
            Command::Unblock { peer } => {
                self.swarm.behaviour_mut().blocked.unblock_peer(peer::peer_id(&peer));
            }
        }
    }

    fn subscribe(&mut self, topic: &Topic) {
        if !self.followed.insert(topic_hash(topic)) {
            tracing::warn!(%topic, "too many topics: this one is not followed; repair still works");
            return;
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if let Err(error) = gossip.subscribe(&IdentTopic::new(topic.to_string())) {
            tracing::warn!(%topic, ?error, "cannot follow a topic");
        }
    }

    fn unsubscribe(&mut self, topic: &Topic) {
        self.followed.remove(&topic_hash(topic));
        self.swarm.behaviour_mut().gossip.unsubscribe(&IdentTopic::new(topic.to_string()));
    }

    fn publish(&mut self, topic: &Topic, payload: Vec<u8>) {
        let counters = &self.counters;
        match self.swarm.behaviour_mut().gossip.publish(topic_hash(topic), payload) {
            Ok(_) => counters.published.increment(),
            // Nobody is there, or it went out before: the normal life of a small fleet.
            Err(PublishError::NoPeersSubscribedToTopic) => counters.published_to_nobody.increment(),
            Err(PublishError::Duplicate) => counters.published_again.increment(),
            // Shows as `SlowPeer` too; repair brings the change.
            Err(PublishError::AllQueuesFull(_)) => counters.publish_no_room.increment(),
            Err(error) => tracing::error!(%error, "gossipsub refused a payload within its limits"),
        }
    }

    fn judge(&mut self, message: &MessageToken, verdict: Verdict) {
        if let Some(count) = self.unjudged.get_mut(&message.from) {
            *count = count.saturating_sub(1);
        }
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        if !self.report(&MessageId::new(&message.id), &peer::peer_id(&message.from), acceptance) {
            self.counters.verdicts_late.increment();
        }
    }

    fn report(&mut self, id: &MessageId, from: &PeerId, acceptance: MessageAcceptance) -> bool {
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, from, acceptance)
    }

    fn block(&mut self, peer: &AuthorKey) {
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        if blocked.blocked_peers().len() >= BLOCKED_PEERS_MAX {
            tracing::error!(%peer, "the block list is full: this peer is not blocked");
            return;
        }
        blocked.block_peer(peer::peer_id(peer));
    }

    fn happened(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.protocol_happened(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.disconnected(&peer_id);
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
                tracing::debug!(from = %send_back_addr, error = explain(&error), "no connection came about");
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
                tracing::warn!(error = explain(&error), "a listener could not accept a connection");
            }
            _ => {}
        }
    }

    fn connected(&mut self, peer: &PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let given = self.dials.succeeded(connection);
        let Some(author) = peer::author_key(peer) else {
            self.counters.connections_refused.increment();
            self.swarm.close_connection(connection);
            return;
        };
        if self.up.insert(author) {
            let address = address::without_peer(endpoint.get_remote_address()).to_string();
            let inbound = endpoint.is_listener();
            self.outbox.insist(Event::PeerUp { peer: author, address, inbound });
        }
        if let Some(addresses) = given {
            self.outbox.insist(Event::Dialed { peer: author, addresses });
        }
    }

    fn disconnected(&mut self, peer: &PeerId) {
        let Some(peer) = peer::author_key(peer) else {
            return;
        };
        self.unjudged.remove(&peer);
        if self.up.remove(&peer) {
            self.outbox.insist(Event::PeerDown { peer });
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
            ProtocolsEvent::Identify(_) | ProtocolsEvent::Mdns(_) => {}
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
                if let Some(peer) = peer::author_key(&peer_id) {
                    let messages = failed_messages.priority + failed_messages.non_priority;
                    self.outbox.mention(Event::SlowPeer { peer, messages });
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "a peer does not speak gossipsub");
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
            tracing::info!(%peer, protocol, "disconnecting what is no Starling node of this version");
            self.outbox.mention(Event::Offence { peer, offence: Offence::ForeignProtocol { protocol } });
            // An error means that it is gone already.
            let _ = self.swarm.disconnect_peer_id(*peer_id);
            return;
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
            .collect();
        self.outbox.mention(Event::Discovered { peer, addresses, how });
    }

    fn pinged(&mut self, event: ping::Event) {
        match (event.result, peer::author_key(&event.peer)) {
            (Ok(duration), Some(peer)) => self.outbox.mention(Event::RoundTrip { peer, duration }),
            (Err(ping::Failure::Timeout), _) => {
                tracing::debug!(peer = %event.peer, "closing a connection that no longer answers");
                self.swarm.close_connection(event.connection);
            }
            _ => {}
        }
    }
}

/// A text a peer chose, fit for a log or a table.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(FOREIGN_TEXT_MAX).collect()
}
