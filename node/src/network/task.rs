//! The one task that owns the swarm: reads commands, watches the swarm, tells the driver.
//!
//! Promises: one command or one event at a time, each handled without waiting. Leaves out: timers
//! of its own, but one for the driver's full inbox and one for connections that fell silent.

mod events;

use std::collections::BTreeMap;

use futures::StreamExt;
use libp2p::PeerId;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, MessageId, PublishError};
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, ConnectionId, Swarm};
use starling_crdt::id::{AuthorKey, Topic};
use starling_crdt::limits::DEGREE_TARGET;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use zeroize::Zeroizing;

use super::behaviour::Protocols;
use super::command::{Command, MessageToken, Verdict};
use super::counters::{SharedCounters, counted};
use super::dials::Dials;
use super::directory::{Agenda, Errand, Named, place};
use super::gossip::{Followed, topic_hash};
use super::handle::{CommandQueue, NetworkHandle};
use super::limits::{BACKLOG_RETRY, BLOCKED_PEERS_MAX, IDLE_TIMEOUT, STOP_TIMEOUT, STREAMS_NEGOTIATING_MAX};
use super::listen::{advertised, listen, listen_addresses};
use super::liveness::{LOOK_PERIOD, Liveness};
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
    agenda: Agenda,
    named: Named,
    /// The connections of each peer the driver knows to be up, oldest first.
    up: BTreeMap<AuthorKey, Vec<ConnectionId>>,
    liveness: Liveness,
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

/// From 0 to 1. Without randomness from the system it is always in the middle, which only costs spread.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
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
        let mut swarm =
            Swarm::new(transport(&keypair, registry, &config.traffic)?, protocols, local, settings);
        let failures = listen(&mut swarm, &addresses)?;
        for address in external {
            swarm.add_external_address(address);
        }

        let counters = counted(registry);
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
            agenda: Agenda::default(),
            named: Named::default(),
            up: BTreeMap::new(),
            liveness: Liveness::new(config.patience, Instant::now()),
            unjudged: BTreeMap::new(),
            counters,
        };
        Ok((task, handle))
    }

    /// Runs until [`NetworkHandle::shutdown`], or until no handle is left.
    pub(super) async fn run(mut self) {
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = looks.tick(), if !rests => {
                    self.close_silent();
                    self.run_errands();
                }
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

    fn close_silent(&mut self) {
        for connection in self.liveness.dead(Instant::now()) {
            tracing::debug!(event = "connection_dead", %connection, "closing a connection that no longer answers");
            self.swarm.close_connection(connection);
        }
    }

    /// Registers and searches as the agenda says. Both fail only where no neighbour has a directory,
    /// and are due again when one comes.
    fn run_errands(&mut self) {
        let gossip = &self.swarm.behaviour().gossip;
        let lacks = |topic: &Topic| {
            let topic = topic_hash(topic);
            gossip.all_peers().filter(|(_, topics)| topics.contains(&&topic)).count() < DEGREE_TARGET
        };
        let errands = self.agenda.due(Instant::now(), lacks, chance);
        let directory = &mut self.swarm.behaviour_mut().directory.0;
        for errand in errands {
            match errand {
                Errand::Register(topic) => {
                    if let Err(error) = directory.start_providing(place(&topic)) {
                        tracing::debug!(event = "register_failed", %error, "cannot register in the directory");
                    }
                }
                Errand::Search(topic) => {
                    self.counters.directory_searches.increment();
                    directory.get_providers(place(&topic));
                }
            }
        }
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
            tracing::warn!(event = "too_many_topics", %topic, "too many topics: this one is not followed; repair still works");
            return;
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if let Err(error) = gossip.subscribe(&IdentTopic::new(topic.to_string())) {
            tracing::warn!(event = "subscribe_failed", %topic, ?error, "cannot follow a topic");
        }
        self.agenda.follow(*topic, Instant::now());
    }

    fn unsubscribe(&mut self, topic: &Topic) {
        self.followed.remove(&topic_hash(topic));
        self.agenda.unfollow(topic);
        let protocols = self.swarm.behaviour_mut();
        protocols.gossip.unsubscribe(&IdentTopic::new(topic.to_string()));
        protocols.directory.0.stop_providing(&place(topic));
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
            Err(error) => {
                tracing::error!(event = "publish_failed", %error, "gossipsub refused a payload within its limits")
            }
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
            tracing::error!(event = "block_list_full", %peer, "the block list is full: this peer is not blocked");
            return;
        }
        blocked.block_peer(peer::peer_id(peer));
    }
}
