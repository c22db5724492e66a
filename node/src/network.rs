//! The network as the driver sees it: commands in, events out, and nothing of libp2p in between.
//!
//! One task owns the libp2p swarm. The driver sends it [`Command`]s through a [`NetworkHandle`],
//! which never blocks, and receives [`Event`]s through the function it gave to [`start`].
//!
//! Promises:
//! - A peer is its [`AuthorKey`]: whoever a [`Event::PeerUp`] names has proved that key.
//! - Every queue is bounded (`network/limits.rs`). When the driver is behind, gossip is ignored and
//!   requests are dropped, both of which repair makes good; events that must arrive wait in order,
//!   and if too many wait, the swarm rests.
//! - No gossip travels on before the driver's [`Verdict`].
//! - A publish is on its way to every subscribed neighbour as soon as the task has read it; no
//!   timer and no batching stand in between.
//!
//! Leaves out: every decision. Whom to dial, keep or drop, and what a message means, the core says.

pub mod address;
mod behaviour;
mod command;
mod counters;
mod dials;
mod directory;
mod event;
mod exchange;
mod gossip;
mod handle;
mod limits;
mod listen;
mod liveness;
mod names;
mod outbox;
mod peer;
mod requests;
mod task;
#[cfg(test)]
mod tests;
mod traffic;
mod transport;

use starling_crdt::id::AuthorKey;
use starling_crdt::limits::{CONNECTIONS_INBOUND_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

pub use command::{Command, MessageToken, Verdict};
pub use counters::NetworkCounts;
pub use event::{DialFailure, Discovery, Event, Offence, RequestFailure};
pub use handle::{NetworkHandle, SendError};
pub use liveness::Patience;
pub use traffic::{PeerBytes, TrafficByPeer};

use crate::metrics::Registry;

/// How many connections a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all. Too few and the node is easily cut off; each costs some ten kilobytes.
    pub total: u32,
    /// Opened by others. Below `total`, so that strangers cannot take every place.
    pub inbound: u32,
    /// With one peer. Two, because both sides may dial at once.
    pub per_peer: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: CONNECTIONS_MAX as u32,
            inbound: CONNECTIONS_INBOUND_MAX as u32,
            per_peer: CONNECTIONS_PER_PEER_MAX as u32,
        }
    }
}

/// What [`start`] needs to know.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Secret half of the node's ed25519 key.
    pub identity_seed: Zeroizing<[u8; 32]>,
    /// Multiaddrs to listen on; port 0 lets the system choose. None: this node only dials.
    pub listen: Vec<String>,
    /// Addresses told to peers besides the ones listened on, for a node behind a NAT or a proxy.
    pub advertise: Vec<String>,
    /// Whether to find and be found by nodes on the local network.
    pub mdns: bool,
    /// How many connections to hold.
    pub connections: ConnectionLimits,
    /// When a connection that no longer answers is given up.
    pub patience: Patience,
    /// Name and version shown to peers, such as `starling/0.1.0`.
    pub agent: String,
    /// Where bytes to and from each peer are counted: who keeps a clone can read them.
    pub traffic: TrafficByPeer,
}

impl NetworkConfig {
    /// The configuration of a node that listens nowhere yet and does not use mDNS.
    pub fn new(identity_seed: Zeroizing<[u8; 32]>) -> Self {
        Self {
            identity_seed,
            listen: Vec::new(),
            advertise: Vec::new(),
            mdns: false,
            connections: ConnectionLimits::default(),
            patience: Patience::SHORT,
            agent: concat!("starling/", env!("CARGO_PKG_VERSION")).to_owned(),
            traffic: TrafficByPeer::default(),
        }
    }
}

/// Why the network did not start. Nothing runs afterwards.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A configured address is none.
    #[error("cannot use the {purpose} address {text:?}")]
    Address {
        /// Which setting it is from: `listen` or `advertise`.
        purpose: &'static str,
        /// What was configured.
        text: String,
        /// What is wrong with it.
        source: address::AddressError,
    },
    /// An advertised address names another node.
    #[error("the advertised address {0:?} names another node's key")]
    AdvertisesAnother(String),
    /// Not one of the configured addresses could be listened on.
    #[error("cannot listen on any address: {}", .0.join("; "))]
    NothingListens(Vec<String>),
    /// The seed is no ed25519 secret key.
    #[error("the identity is no ed25519 key: {0}")]
    Identity(String),
    /// A part of the protocol stack refused its configuration.
    #[error("cannot set up {part}: {reason}")]
    Build {
        /// Which part.
        part: &'static str,
        /// Its reason.
        reason: String,
    },
}

/// Starts the network on `runtime`.
///
/// `deliver` is called on the network's task for every event, so it must only hand the event over,
/// never wait: its time is added to every message's. It gives an event back when the driver has no
/// room; the network then does what the module's promises say.
///
/// # Errors
/// [`NetworkError`]; above all when nothing could be listened on although something was asked for.
/// What could not be listened on besides something that could is an [`Event::ListenFailed`].
pub fn start<F>(
    runtime: &Handle,
    config: &NetworkConfig,
    registry: &mut Registry,
    deliver: F,
) -> Result<NetworkHandle, NetworkError>
where
    F: FnMut(Event) -> Result<(), Box<Event>> + Send + 'static,
{
    let _inside = runtime.enter();
    let (task, handle) = task::SwarmTask::new(config, registry, Box::new(deliver))?;
    runtime.spawn(task.run());
    Ok(handle)
}

/// The author key whose secret half is `identity_seed`.
///
/// # Errors
/// [`NetworkError::Identity`].
pub fn author_of_seed(identity_seed: &Zeroizing<[u8; 32]>) -> Result<AuthorKey, NetworkError> {
    let keypair = task::keypair(identity_seed)?;
    peer::author_key(&keypair.public().to_peer_id())
        .ok_or_else(|| NetworkError::Identity("it has no author key".to_owned()))
}
