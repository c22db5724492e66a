//! The protocols every connection speaks, and who may connect.

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, identify, mdns, ping};

use super::directory::{Asking, directory};
use super::exchange::{EXCHANGE_PROTOCOL, FrameCodec};
use super::gossip::{Followed, Gossip, gossip};
use super::limits::{CONNECTIONS_PENDING_MAX, EXCHANGE_STREAMS_MAX, REQUEST_TIMEOUT};
use super::{ConnectionLimits, NetworkConfig, NetworkError};

/// What identify says this is; a peer that says something else is no Starling node.
pub(super) const PROTOCOL: &str = "/starling/0";

/// Everything the swarm does by itself. The two gates stand first: what they deny, nobody sees.
#[derive(NetworkBehaviour)]
pub(super) struct Protocols {
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) connections: connection_limits::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) exchange: request_response::Behaviour<FrameCodec>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) directory: Asking,
}

impl Protocols {
    /// The protocols of a node with this key.
    pub(super) fn new(
        keypair: &Keypair,
        config: &NetworkConfig,
        followed: Followed,
    ) -> Result<Self, NetworkError> {
        let identify = identify::Config::new(PROTOCOL.to_owned(), keypair.public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        let ping = ping::Config::new()
            .with_interval(config.patience.ping_period)
            .with_timeout(config.patience.silence_max);
        let exchange = request_response::Config::default()
            .with_request_timeout(REQUEST_TIMEOUT)
            .with_max_concurrent_streams(EXCHANGE_STREAMS_MAX);
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            connections: connection_limits::Behaviour::new(limits(&config.connections)),
            gossip: gossip(followed)?,
            exchange: request_response::Behaviour::new(
                [(EXCHANGE_PROTOCOL, ProtocolSupport::Full)],
                exchange,
            ),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            mdns: local_discovery(config.mdns, keypair.public().to_peer_id()).into(),
            directory: directory(keypair.public().to_peer_id(), !config.listen.is_empty()),
        })
    }
}

fn limits(limits: &ConnectionLimits) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(CONNECTIONS_PENDING_MAX))
        .with_max_pending_outgoing(Some(CONNECTIONS_PENDING_MAX))
        .with_max_established(Some(limits.total))
        .with_max_established_incoming(Some(limits.inbound))
        .with_max_established_per_peer(Some(limits.per_peer))
}

/// mDNS where it is wanted and possible. A network without multicast is a reason to say so, none to
/// stop: nodes still find each other by address.
fn local_discovery(wanted: bool, local: PeerId) -> Option<mdns::tokio::Behaviour> {
    if !wanted {
        return None;
    }
    match mdns::tokio::Behaviour::new(mdns::Config::default(), local) {
        Ok(behaviour) => Some(behaviour),
        Err(error) => {
            tracing::warn!(event = "mdns_failed", %error, "mDNS does not work here: nodes on this network are not found by themselves");
            None
        }
    }
}
