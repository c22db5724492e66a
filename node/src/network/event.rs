//! What the network tells the driver.

use std::time::Duration;

use starling_crdt::id::{AuthorKey, Topic};

use super::address::AddressError;
use super::command::MessageToken;

/// How an address of a peer became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// It answered on the local network. Nothing is proved yet.
    Mdns,
    /// A node both have met says so. Nothing is proved yet.
    Directory,
    /// The connected peer itself says so.
    Identify {
        /// The peer's name and version, shortened and without control characters.
        agent: String,
    },
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// The peer was not connected when the request was to be sent.
    #[error("the peer is not connected")]
    NotConnected,
    /// Too many requests are under way, to this peer or in all.
    #[error("too many requests are under way")]
    Busy,
    /// No answer in time. Whether the peer got the request is unknown.
    #[error("no answer in time")]
    Timeout,
    /// The connection closed. Whether the peer got the request is unknown.
    #[error("the connection closed before the answer came")]
    Disconnected,
    /// The peer does not speak this protocol.
    #[error("the peer does not speak the exchange protocol")]
    Unsupported,
    /// The peer dropped the request without an answer, as a busy one does.
    #[error("the peer dropped the request")]
    Declined,
    /// The answer was longer than a frame may be.
    #[error("the answer has {0} bytes, more than a frame may")]
    Oversized(usize),
    /// This node had no room for the answer.
    #[error("this node is overloaded and dropped the answer")]
    Overloaded,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Stream(String),
}

/// Why a dial did not lead to a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// No address was given.
    #[error("no address is known")]
    NoAddress,
    /// Not one of the addresses is one.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
    /// The addresses name different peers.
    #[error("the addresses name different peers")]
    SeveralPeers,
    /// This node itself is there.
    #[error("this is the node's own address")]
    ToSelf,
    /// Someone else is there.
    #[error("another peer answered: {}", found.map_or("one without an ed25519 key".to_owned(), |key| key.to_string()))]
    WrongPeer {
        /// Who answered, if it has an author key.
        found: Option<AuthorKey>,
    },
    /// There is a connection already.
    #[error("the peer is connected already")]
    AlreadyConnected,
    /// A dial to this peer is under way.
    #[error("the peer is being dialled already")]
    AlreadyDialing,
    /// The peer is blocked here.
    #[error("the peer is blocked")]
    Blocked,
    /// This node has enough connections.
    #[error("no more connections are allowed: {0}")]
    Limit(String),
    /// Too many dials are under way.
    #[error("too many dials are under way")]
    TooMany,
    /// The network stopped.
    #[error("the network is stopping")]
    Stopping,
    /// Nobody could be reached; one reason per address.
    #[error("{}", .0.join("; "))]
    Unreachable(Vec<String>),
}

/// What a peer did wrong at this level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offence {
    /// It sent an exchange frame longer than one may be.
    OversizedFrame {
        /// The length it announced.
        bytes: usize,
    },
    /// It is no Starling node of this version; it has been disconnected.
    ForeignProtocol {
        /// What it says it is, shortened.
        protocol: String,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node can be reached at this address (one event per interface, with the real port).
    Listening {
        /// The multiaddr.
        address: String,
    },
    /// The node can no longer be reached at this address.
    ListenEnded {
        /// The multiaddr.
        address: String,
    },
    /// An address could not be, or is no longer, listened on.
    ListenFailed {
        /// As configured, or the multiaddr.
        address: String,
        /// Why.
        reason: String,
    },
    /// The first connection with a peer is up.
    PeerUp {
        /// Who.
        peer: AuthorKey,
        /// The multiaddr at the other end; of an inbound connection not one to dial.
        address: String,
        /// Whether the peer opened it.
        inbound: bool,
    },
    /// The last connection with a peer is gone.
    PeerDown {
        /// Who.
        peer: AuthorKey,
    },
    /// A message on a topic; it waits for a [`super::Command::Verdict`].
    Gossip {
        /// The topic.
        topic: Topic,
        /// The neighbour it came from, not its author.
        from: AuthorKey,
        /// For the verdict.
        message: MessageToken,
        /// At most `GOSSIP_BYTES_MAX` bytes.
        payload: Vec<u8>,
    },
    /// A peer asks; it waits for a [`super::Command::Respond`] or [`super::Command::Decline`].
    Request {
        /// Who.
        peer: AuthorKey,
        /// For the answer.
        id: u64,
        /// At most `EXCHANGE_FRAME_BYTES_MAX` bytes.
        body: Vec<u8>,
    },
    /// What became of a [`super::Command::Request`]. May come after the peer's `PeerDown`.
    Response {
        /// Who was asked.
        peer: AuthorKey,
        /// The caller's name for it.
        id: u64,
        /// The answer.
        result: Result<Vec<u8>, RequestFailure>,
    },
    /// A dial led to a connection; its `PeerUp`, if it was the first, came before.
    Dialed {
        /// Who is there.
        peer: AuthorKey,
        /// The addresses as given in the command.
        addresses: Vec<String>,
    },
    /// A dial led nowhere.
    DialFailed {
        /// The peer given in the command or named by its addresses.
        peer: Option<AuthorKey>,
        /// The addresses as given in the command.
        addresses: Vec<String>,
        /// Why.
        reason: DialFailure,
    },
    /// Addresses at which a peer says it can be reached. May be dropped under load.
    Discovered {
        /// Who.
        peer: AuthorKey,
        /// Multiaddrs, without `/p2p`; unspecified and link-local ones are left out.
        addresses: Vec<String>,
        /// From where.
        how: Discovery,
    },
    /// A peer began to follow a topic: from now on what is published there reaches it. Told also of
    /// topics this node does not follow. May be dropped under load.
    Follows {
        /// Who.
        peer: AuthorKey,
        /// Which topic.
        topic: Topic,
    },
    /// A peer follows a topic no longer. May be dropped under load.
    Unfollows {
        /// Who.
        peer: AuthorKey,
        /// Which topic.
        topic: Topic,
    },
    /// Messages to a peer were dropped because it reads too slowly. May be dropped under load.
    SlowPeer {
        /// Who.
        peer: AuthorKey,
        /// How many messages since the last such event.
        messages: usize,
    },
    /// A ping came back. May be dropped under load.
    RoundTrip {
        /// From whom.
        peer: AuthorKey,
        /// After how long.
        duration: Duration,
    },
    /// A peer broke a rule. May be dropped under load.
    Offence {
        /// Who.
        peer: AuthorKey,
        /// Which rule.
        offence: Offence,
    },
}
