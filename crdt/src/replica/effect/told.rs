//! What a node tells of itself, its spaces, members and peers when a local request asks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::Address;
use crate::budget::Standing;
use crate::charter::Member;
use crate::id::{AuthorKey, DocumentName, Position, SpaceId};
use crate::presence::{Reason, State};
use crate::time::WallTime;
use crate::view::Built;

/// How this node is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its key.
    pub key: AuthorKey,
    /// Its name.
    pub name: String,
    /// Where it listens, as it announces it.
    pub addresses: Vec<Address>,
    /// Its spaces.
    pub spaces: Vec<SpaceReport>,
    /// Connected peers.
    pub peers: usize,
    /// Its last commit.
    pub position: Position,
    /// Deltas that wait for something.
    pub orphans: usize,
    /// What the writer has built.
    pub built: Built,
    /// Whether another process speaks with this node's identity.
    pub has_twin: bool,
}

/// One space as this node holds it.
#[derive(Clone, Debug)]
pub struct SpaceReport {
    /// Its id.
    pub id: SpaceId,
    /// Its name.
    pub name: String,
    /// When its genesis says it was made.
    pub created: WallTime,
    /// Its founders.
    pub founders: Vec<AuthorKey>,
    /// This node's membership; absent while it waits to be witnessed.
    pub membership: Option<Member>,
    /// Why nobody witnessed it yet, in the words of the last peer that refused.
    pub join_refused: Option<String>,
    /// Members known.
    pub members: usize,
    /// Documents that exist.
    pub documents: u64,
    /// Clean changes.
    pub changes: u64,
    /// Bytes of changes, as far as they were counted.
    pub bytes: u64,
    /// How many this node keeps at most.
    pub bytes_max: Option<u64>,
    /// Items fingerprint: equal on nodes that hold the same changes.
    pub fingerprint: u64,
    /// Documents of more objects than advised, as far as the writer built them, each with its objects.
    pub large: BTreeMap<DocumentName, usize>,
}

/// One member as this node sees it.
#[derive(Clone, Debug)]
pub struct MemberReport {
    /// What the charter says.
    pub member: Member,
    /// What it calls itself, or what the charter calls it.
    pub name: Option<String>,
    /// Whether it is this node.
    pub this_node: bool,
    /// Alive, suspect, away, left; absent when never heard of.
    pub state: Option<State>,
    /// For how long.
    pub since: Option<Duration>,
    /// Why.
    pub reason: Option<Reason>,
    /// What its last beacon said.
    pub last_word: Option<LastWord>,
    /// Whether a connection stands.
    pub connected: bool,
    /// The last ping over it.
    pub round_trip: Option<Duration>,
    /// How far its clock was ahead of this node's when it was last heard, in milliseconds.
    pub clock_offset_ms: Option<i64>,
}

/// What a member's last beacon said.
#[derive(Clone, Debug)]
pub struct LastWord {
    /// How long ago it came.
    pub age: Duration,
    /// Its name for itself.
    pub name: String,
    /// Its software's version.
    pub version: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Documents it held.
    pub documents: u64,
    /// Changes it held.
    pub changes: u64,
    /// Documents this node holds now.
    pub own_documents: u64,
    /// Changes this node holds now.
    pub own_changes: u64,
    /// Whether it held exactly what this node holds now.
    pub in_sync: bool,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerReport {
    /// Its key.
    pub key: AuthorKey,
    /// Its name, where a charter or beacon gives one.
    pub name: Option<String>,
    /// The connection, if one stands.
    pub connection: Option<ConnectionReport>,
    /// If blocked: for how much longer; `None` inside for good.
    pub blocked: Option<Option<Duration>>,
    /// What it did wrong, if anything that is remembered.
    pub standing: Option<Standing>,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// The peer's address.
    pub address: Address,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// For how long it stands.
    pub age: Duration,
    /// The last ping.
    pub round_trip: Option<Duration>,
}
