//! One node of the world: what stays when its process dies, and its process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use starling_crdt::address::Address;
use starling_crdt::gossip::Screener;
use starling_crdt::id::AuthorKey;
use starling_crdt::identity::Identity;
use starling_crdt::replica::{Input, Replica};
use starling_crdt::view::Reader;

use super::clock::Clock;
use super::disk::{Disk, SimStore};
use super::gossip::Neighbourhood;
use super::harm::Trouble;
use super::queue::Time;
use crate::scenario::{Hostility, Region};

/// What a node is at the start of a run.
pub struct NodeSetup {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub identity: Identity,
    /// Where it stands.
    pub region: Region,
    /// Its clocks.
    pub clock: Clock,
    /// Its disk, with the rows of the founding on it.
    pub disk: Disk,
    /// How long one durable commit takes.
    pub sync: Time,
    /// How many bytes fit on its disk; without it, no end.
    pub capacity: Option<u64>,
    /// Places in the fleet of those whose addresses its operator gave it.
    pub seeds: Vec<usize>,
    /// What it does when it does not keep to the protocol.
    pub hostile: Option<Hostility>,
}

/// A node.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub identity: Identity,
    /// Its public key.
    pub key: AuthorKey,
    /// Where it stands.
    pub region: Region,
    /// Its clocks.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// What it does when it does not keep to the protocol.
    pub hostile: Option<Hostility>,
    /// Times its process started.
    pub starts: u64,
    pub(super) sync: Time,
    pub(super) capacity: Option<u64>,
    pub(super) seeds: Vec<Address>,
    pub(super) process: Option<Process>,
    pub(super) paused: bool,
    pub(super) trouble: Trouble,
    /// Peers it refuses to talk to.
    pub(super) blocked: BTreeSet<AuthorKey>,
}

/// The process of a node: everything that dies with it.
pub(super) struct Process {
    /// Which start of the node it is.
    pub(super) number: u64,
    pub(super) replica: Replica<SimStore>,
    pub(super) reader: Reader,
    pub(super) screener: Screener,
    pub(super) commits: Arc<AtomicU64>,
    /// When it will be woken for what is due.
    pub(super) wake_at: Time,
    /// When it is done with the step under way.
    pub(super) busy_until: Time,
    pub(super) step_scheduled: bool,
    pub(super) inbox: VecDeque<Input>,
    /// Signatures to be checked before the next step.
    pub(super) unchecked: u64,
    /// Steps in a row that had nothing to do and were due again at once.
    pub(super) idle_steps: u32,
    /// The connection with each peer.
    pub(super) links: BTreeMap<AuthorKey, u64>,
    /// Questions without an answer, and the connections they went over.
    pub(super) asked: BTreeMap<(AuthorKey, u64), u64>,
    pub(super) gossip: Neighbourhood,
}

impl Node {
    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether its process stands still.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Reads what it shows, while its process runs.
    pub fn reader(&self) -> Option<&Reader> {
        self.process.as_ref().map(|process| &process.reader)
    }

    /// Inputs waiting.
    pub fn waiting(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.inbox.len())
    }

    /// Memory its replica holds beside its store.
    pub fn memory(&self) -> starling_crdt::replica::Memory {
        self.process.as_ref().map(|process| process.replica.memory()).unwrap_or_default()
    }

    /// Peers connected.
    pub fn connected(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.process.iter().flat_map(|process| process.links.keys().copied())
    }
}
