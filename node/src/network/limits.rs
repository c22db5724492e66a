//! Every bound of the network shell that is not a limit of the protocol, with its reason and what
//! happens when it is reached.

use std::time::Duration;

use starling_crdt::limits::{EXCHANGE_FRAME_BYTES_MAX, INBOX_INPUTS_MAX};

/// Commands with data (publish, request) waiting for the swarm. Past it `send` says full; the
/// swarm takes one in microseconds, so a full queue means the machine is overloaded.
pub(super) const DATA_COMMANDS_MAX: usize = 4_096;
/// Bytes in such commands.
pub(super) const DATA_COMMANDS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands without data (subscribe, dial, block and the like) waiting for the swarm, counted apart
/// so that a flood of data cannot keep an operator from blocking a peer.
pub(super) const CONTROL_COMMANDS_MAX: usize = 4_096;
/// Events that must arrive, kept while the driver's inbox is full. Past it the swarm rests, and
/// the peers feel it through flow control.
pub(super) const BACKLOG_EVENTS_MAX: usize = 1_024;
/// How soon a full driver is asked again.
pub(super) const BACKLOG_RETRY: Duration = Duration::from_millis(5);

/// Gossip of one peer that waits for a verdict. Past it more of that peer's gossip is ignored
/// (repair fetches it), which leaves half of the driver's inbox to the others.
pub(super) const GOSSIP_UNJUDGED_PER_PEER_MAX: usize = INBOX_INPUTS_MAX / 2;
/// Topics subscribed at once. Peers refuse a longer list: gossipsub's own default filter.
pub(super) const TOPICS_MAX: usize = 100;
/// Messages waiting for one peer inside gossipsub: the burst of two full steps. Past it messages to
/// that peer are dropped and it is reported as slow.
pub(super) const GOSSIP_QUEUE_MESSAGES_MAX: usize = 2_048;
/// Message ids in one IHAVE or IWANT: fewer than gossipsub's own 5,000, which its receiver refuses.
pub(super) const GOSSIP_CONTROL_IDS_MAX: usize = 400;
/// Bytes of control data that a receiver takes in one frame; a longer one breaks the stream.
pub(super) const GOSSIP_CONTROL_BYTES_MAX: usize = 16 * 1024;
// An id takes 32 bytes and 2 of framing; topic and frame take less than 256.
const _: () = assert!(GOSSIP_CONTROL_IDS_MAX * 34 + 256 <= GOSSIP_CONTROL_BYTES_MAX);
// So must the hello of a node that follows all the topics it may: 64 digits and their framing.
const _: () = assert!(starling_crdt::limits::SPACES_MAX <= TOPICS_MAX);
const _: () = assert!(TOPICS_MAX * 80 <= GOSSIP_CONTROL_BYTES_MAX);

/// Requests to one peer without an answer yet. Past it a request fails with "busy".
pub(super) const OUTBOUND_REQUESTS_PER_PEER_MAX: usize = 16;
/// Requests to all peers without an answer yet.
pub(super) const OUTBOUND_REQUESTS_MAX: usize = 256;
/// Requests from one peer in work: more than one may send, because the sender sees an answer before
/// the answerer has finished with it. Past it a request is dropped.
pub(super) const INBOUND_REQUESTS_PER_PEER_MAX: usize = 24;
/// Requests from all peers in work.
pub(super) const INBOUND_REQUESTS_MAX: usize = 256;
/// Exchange streams on one connection, both ways.
pub(super) const EXCHANGE_STREAMS_MAX: usize =
    OUTBOUND_REQUESTS_PER_PEER_MAX + INBOUND_REQUESTS_PER_PEER_MAX + 8;
/// Bytes of requests being received at once. Past it the request that asks for more is dropped.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of responses being received at once; apart from requests, so that askers cannot starve
/// this node's own repair. Past it the response that asks for more is dropped.
pub(super) const RESPONSE_BYTES_MAX: usize = 128 * 1024 * 1024;
const _: () = assert!(REQUEST_BYTES_MAX > 16 * EXCHANGE_FRAME_BYTES_MAX);
/// How long a request may take from its first byte to the last byte of its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Dials under way. Past it a dial fails with "too many".
pub(super) const DIALS_MAX: usize = 64;
/// Addresses of one dial; more are not tried.
pub(super) const DIAL_ADDRESSES_MAX: usize = 32;
/// How long one address may take to connect and prove its key.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections being established at once, each way.
pub(super) const CONNECTIONS_PENDING_MAX: u32 = 64;
/// Registrations of others kept for the directory, some 300 bytes each. Past it new ones are refused
/// until old ones expire.
pub(super) const REGISTRATIONS_MAX: usize = 4_096;
/// How long a registration lasts that is not renewed.
pub(super) const REGISTRATION_LIFETIME: Duration = Duration::from_secs(3_600);
/// Bytes of what a registration is made under: a SHA-256.
pub(super) const REGISTRATION_PLACE_BYTES: usize = 32;
/// Peers named by the directory whose address is being asked for. Past it others named are not asked
/// for; the next search names them again.
pub(super) const DIRECTORY_NAMED_MAX: usize = 32;
/// How long one question to a neighbour may take.
pub(super) const DIRECTORY_STREAM_TIMEOUT: Duration = Duration::from_secs(10);
/// Peers on the block list. Past it a block is refused and logged.
pub(super) const BLOCKED_PEERS_MAX: usize = 10_000;
/// Streams that may be opened on one TCP connection: gossip, identify, ping, directory, exchanges, and room.
pub(super) const STREAMS_MAX: usize = 128;
/// Streams of one connection whose protocol is being agreed on.
pub(super) const STREAMS_NEGOTIATING_MAX: usize = 64;
/// Bytes in flight towards this node on one QUIC stream, and on one QUIC connection.
pub(super) const QUIC_STREAM_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// See [`QUIC_STREAM_BYTES_MAX`].
pub(super) const QUIC_CONNECTION_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// Addresses of one peer taken from identify or mDNS at once.
pub(super) const DISCOVERED_ADDRESSES_MAX: usize = 32;
/// Characters shown of a text that a peer chose.
pub(super) const FOREIGN_TEXT_MAX: usize = 64;
/// A connection without a stream is closed after this long. Gossip keeps a stream on every
/// connection, so this closes only what is broken; pruning is the core's decision.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long a stop may take before what is left is dropped.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_millis(900);
