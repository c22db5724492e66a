//! Every limit of the protocol and of the core, in one place.
//!
//! Constants marked **P** decide what is admitted into history, so every node must use the same
//! value: they are never configurable. The others bound one node's own memory, queues and work.

/// **P** Longest document name, in bytes.
pub const DOCUMENT_NAME_BYTES_MAX: usize = 512;
/// **P** Longest automerge change chunk, in bytes.
pub const CHANGE_BYTES_MAX: usize = 1024 * 1024;
/// **P** Most operations in one change.
pub const CHANGE_OPS_MAX: u64 = 100_000;
/// **P** Most dependencies of one change; a writer that faces more heads merges them first.
pub const CHANGE_DEPENDENCIES_MAX: usize = 256;
/// **P** Longest message of one change, in bytes.
pub const CHANGE_MESSAGE_BYTES_MAX: usize = 1024;
/// **P** Farthest time from 1970 that a change may claim, either way, in seconds: what every reader of JSON takes
/// exactly. Automerge keeps differences between the times of changes, and those of any two 64-bit ones overflow.
pub const CHANGE_TIME_SECONDS_MAX: i64 = (1 << 53) - 1;
/// **P** Most actors, other than its author's, that one change may refer to.
pub const CHANGE_ACTORS_MAX: usize = 4_096;
/// **P** Most columns in a change chunk; automerge itself writes fewer than twenty.
pub const CHANGE_COLUMNS_MAX: usize = 64;
/// **P** Most predecessors that the operations of one change may name in all: twice as many as
/// operations, so that every operation may resolve a conflict of two.
pub const CHANGE_PREDECESSORS_MAX: u64 = 2 * CHANGE_OPS_MAX;
/// **P** Most changes under one signature.
pub const DELTA_CHANGES_MAX: usize = 64;
/// **P** Most bytes of changes under one signature, unless the delta is a single change.
pub const DELTA_BYTES_MAX: usize = 64 * 1024;
/// **P** Deepest nesting of a document; the root is depth 0.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Deepest nesting a JSON text may have: the deepest document and one special form in it.
pub const JSON_DEPTH_MAX: usize = DOCUMENT_DEPTH_MAX + 2;
/// Most insertions and deletions by which two versions of a list or a text are told apart. Past it
/// what differs between their common beginning and end is replaced as a whole. The memory of the
/// comparison grows with the square of this.
pub const SEQUENCE_DIFF_EDITS_MAX: usize = 1_000;
/// Most operations of one JSON Patch. Above it the patch is refused: each is looked up in the document.
pub const PATCH_STEPS_MAX: usize = 10_000;
/// Bytes of values that `move`, `copy` and `test` of one JSON Patch may read in all. Past it the patch
/// is refused as too large: a short patch could otherwise read a large document thousands of times.
pub const PATCH_READ_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most operations by which one write moves members of concurrent maps into the winner. What is
/// beyond it stays where it is, and is read there: a hostile map must not make honest writes large.
pub const MAP_MERGE_OPS_MAX: usize = 1_000;
/// Most heads that one request names as what its client read; far above what a document ever shows at once.
pub const HEADS_NAMED_MAX: usize = 1_024;
/// Causal clocks kept while a document is checked; others are found by walking the graph.
pub const VALIDATOR_CLOCKS_MAX: usize = 256;
/// **P** Farthest from zero that a counter starts. With the next limit it takes four million
/// increments to drive a counter out of the range of an `i64`, where automerge's sum would wrap.
pub const COUNTER_START_MAX: i64 = 1 << 62;
/// **P** Farthest that one increment moves a counter, up or down.
pub const COUNTER_STEP_MAX: i64 = 1 << 40;
/// **P** Operation counters stay below this.
pub const OP_COUNTER_MAX: u64 = 1 << 31;
/// **P** Highest sequence number of an actor in a document.
pub const SEQUENCE_MAX: u64 = (1 << 32) - 1;
/// **P** Most statement tips an incarnation or a statement may cite.
pub const TIPS_MAX: usize = 256;
/// **P** Longest name of a node or a space, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;
/// **P** Longest name prefix of a grant, in bytes.
pub const PREFIX_BYTES_MAX: usize = DOCUMENT_NAME_BYTES_MAX;
/// **P** Most founders of one space.
pub const FOUNDERS_MAX: usize = 64;

/// Longest gossip payload, in bytes, encryption included. Larger deltas are announced and fetched.
/// gossipsub errors on frames near its own limit, which the shell sets 16 KiB above this one.
pub const GOSSIP_BYTES_MAX: usize = 48 * 1024;
/// Longest exchange message, in bytes: one chunk of deltas, or one page of a list.
pub const EXCHANGE_CHUNK_BYTES: usize = 1024 * 1024;
/// Longest exchange frame, in bytes: a chunk, its largest single delta and its framing.
pub const EXCHANGE_FRAME_BYTES_MAX: usize = 2 * EXCHANGE_CHUNK_BYTES + 64 * 1024;
/// Orphans held in all, in bytes of deltas. Past it the oldest are dropped; repair fetches them again.
pub const ORPHAN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Orphans held for one peer, in bytes of deltas.
pub const ORPHAN_BYTES_PER_PEER_MAX: usize = ORPHAN_BYTES_MAX / 8;
/// Inputs waiting for the replica. Past it local requests are refused with "try again" and
/// remote ones ignored.
pub const INBOX_INPUTS_MAX: usize = 4_096;
/// Bytes waiting for the replica.
pub const INBOX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Inputs handled in one step: what bounds the time between two commits.
pub const STEP_INPUTS_MAX: usize = 1_024;
/// Bytes of inputs handled in one step, the last input not counted.
pub const STEP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Connections aimed at for one node.
pub const DEGREE_TARGET: usize = 12;
/// Connections in all, and the part of them that others may open: an attacker that opens all it
/// can still leaves room for the node's own dials.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections opened by others.
pub const CONNECTIONS_INBOUND_MAX: usize = 192;
/// Connections with one peer.
pub const CONNECTIONS_PER_PEER_MAX: usize = 2;
/// Memory for built documents, in bytes (estimated from their changes). Past it the least recently
/// used are dropped and rebuilt when asked for.
pub const DOCUMENTS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Built documents that are kept although nobody touched them lately, in bytes (estimated), in each of the
/// writer's and the readers' memory. Too small, and every touch of a rarely used document builds it anew.
pub const DOCUMENTS_SPARED_BYTES: usize = 4 * 1024 * 1024;
/// Objects in one document above which `status` advises to split it.
pub const DOCUMENT_OBJECTS_ADVISED: usize = 5_000;
/// Documents above that which are remembered, to be told. Past it the one of fewest objects is forgotten.
pub const LARGE_DOCUMENTS_MAX: usize = 256;
/// Documents dropped for room whose names are remembered, to notice when one is built again. Past it the one
/// dropped longest ago is forgotten: whoever reads through more than that once is not short of memory.
pub const DROPPED_REMEMBERED_MAX: usize = 4_096;

/// **P** Most addresses in a beacon or a ticket, and most kept for one peer.
pub const ADDRESSES_MAX: usize = 16;
/// **P** Longest address, in bytes: a relayed multiaddr with two peer ids takes about 180.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// **P** Longest encoded statement, in bytes: [`TIPS_MAX`] tips of 34 bytes each and a body well
/// below 1 KiB.
pub const STATEMENT_BYTES_MAX: usize = 10 * 1024;
/// Statements of one space that took effect. Past it further ones are refused, loudly: only admins
/// and witnesses can make any.
pub const STATEMENTS_MAX: usize = 65_536;
/// Joins stop earlier than other statements, so that a holder of a ticket who invents members
/// leaves admins room to act.
pub const STATEMENTS_JOINS_MAX: usize = STATEMENTS_MAX * 3 / 4;
/// Statements that wait for ones they cite. Past it the oldest are dropped; repair sends them again
/// in causal order.
pub const STATEMENTS_WAITING_MAX: usize = 1_024;
/// Statement tips told in one exchange message, and those of a peer looked at. A charter with more has
/// that many statements that know nothing of each other: what they cite is then sent once more.
pub const STATEMENT_TIPS_TOLD_MAX: usize = 4_096;
/// Statements without effect that are kept to be shown. Past it the oldest are forgotten.
pub const STATEMENTS_VOID_MAX: usize = 256;
/// Longest text of a ticket, in bytes, white space included: 64 founders and 16 addresses fit.
pub const TICKET_TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest encoded beacon, in bytes: addresses at their limit, everything else, and as much again
/// for fields of newer versions.
pub const BEACON_BYTES_MAX: usize = 12 * 1024;
/// Lost neighbours named in one beacon. Further ones expire by silence.
pub const BEACON_LOST_MAX: usize = 16;
/// Addresses an operator gave. Past it further ones are refused.
pub const SEEDS_MAX: usize = 256;
/// Peers remembered with their addresses. Past it the one heard of longest ago among those no space
/// wants is forgotten.
pub const PEERS_KNOWN_MAX: usize = 4_096;
/// Blocked peers. Past it further blocks are refused, since forgetting one would let it in.
pub const PEERS_BLOCKED_MAX: usize = 4_096;
/// Dials under way at once: what keeps a node that wakes up from flooding its network.
pub const DIALS_MAX: usize = 8;
/// Connections above which the policy closes some, down to this number. Twice the target, so that
/// peers who dial us do not make us close what we dialled.
pub const DEGREE_HIGH: usize = 2 * DEGREE_TARGET;
/// Peers and authors whose use is measured. Past it the least notable one is forgotten.
pub const PEERS_MEASURED_MAX: usize = 4_096;

/// Longest id of a local request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// How long the reply to a request with an id is remembered.
pub const REQUEST_MEMORY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
/// Memory for the indexes of documents' histories, in bytes (estimated). Past it the least recently
/// used are dropped and loaded again when needed.
pub const HISTORIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Indexes of histories that are kept although nobody touched them lately, in bytes (estimated). Loading one
/// again reads and verifies all of the document's history, so a change now and then would cost as much.
pub const HISTORIES_SPARED_BYTES: usize = 8 * 1024 * 1024;
/// Peers with which this node has an exchange under way at once. Further ones wait their turn.
pub const EXCHANGES_MAX: usize = 4;
/// Items remembered per peer because what it sent of them was refused. Past it those remembered longest
/// are forgotten, and fetched once more.
pub const REFUSED_ITEMS_MAX: usize = 4_096;
/// Bytes of proofs of forks in one space up to which a node takes another one although the space has no room
/// left: seven of the largest, tens of thousands of usual ones. Past it further ones are refused, and counted.
pub const PROOF_BYTES_WITHOUT_ROOM_MAX: u64 = 16 * 1024 * 1024;
/// Runs wanted in one fetch request.
pub const FETCH_WANTS_MAX: usize = 1_024;
/// Local requests that wait for other nodes. Past it further ones are refused.
pub const WAITERS_MAX: usize = 256;
/// Comparisons with other nodes under way. Past it further ones are refused.
pub const COMPARISONS_MAX: usize = 64;
/// Items that one comparison tells as different, and names asked for in one look. Past it the comparison ends
/// and says that there are more.
pub const COMPARED_ITEMS_MAX: usize = 1_024;
/// Spaces one node holds. Past it creating and joining is refused. Each has a gossip topic, of which the
/// network follows a hundred.
pub const SPACES_MAX: usize = 96;
