//! One node of a mesh: a replica over a store in memory, what it said, and how it starts again.

use std::collections::{BTreeMap, BTreeSet};

use starling_crdt::charter::{Label, VerifiedStatement};
use starling_crdt::id::{AuthorKey, SpaceId, StatementId, StoreId, Topic};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{Effect, Input, Options, Refusal, Replica, Reply};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::tables::{SpaceIndex, walk_prefix};
use starling_crdt::store::{MemoryStore, Store, StoreRead, Table, WriteBatch};
use starling_crdt::view::Reader;

use super::failing::{Failing, How};
use super::rogue::Rogue;
use super::{Mesh, now};

pub struct Node {
    pub replica: Replica<Failing>,
    pub reader: Reader,
    pub topics: BTreeSet<Topic>,
    pub replies: BTreeMap<u64, Result<Reply, Refusal>>,
    pub effects: Vec<String>,
    pub exchanged: Exchanged,
    pub key: AuthorKey,
    pub(super) store: Failing,
    pub(super) seed: u8,
    pub(super) starts: u8,
    pub(super) inbox: Vec<Input>,
}

/// What a node said in exchanges: questions and answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchanged {
    pub questions: usize,
    pub answers: usize,
    pub bytes: usize,
}

/// The key under which the mesh's spaces seal their gossip.
pub const EPOCH: [u8; 32] = [9; 32];

/// Every statement a node holds: what an honest author would cite, and more.
pub fn statements(node: &Node) -> Vec<StatementId> {
    let mut ids = Vec::new();
    walk_prefix(node.store(), Table::Statements, &SpaceIndex(0).all(), |_, value| {
        ids.push(VerifiedStatement::from_bytes(value).unwrap().id());
        Ok(())
    })
    .unwrap();
    ids
}

impl Rogue {
    /// As a member of the mesh's space, with all it knows.
    pub fn of(node: &Node, space: SpaceId, nonce: u8) -> Self {
        Self::new(node.identity(), space, EpochKey::from_bytes(EPOCH), nonce, statements(node))
    }
}

impl Node {
    pub(super) fn open(
        seed: u8,
        starts: u8,
        stored: Option<(Failing, u64)>,
        space_bytes_max: Option<u64>,
    ) -> Self {
        let identity = Identity::from_seed(&[seed + 1; 32]);
        let (store, at) =
            stored.unwrap_or_else(|| (Failing::new(MemoryStore::new(StoreId([seed; 16]))), 1_000_000));
        let mut count = 0_u8;
        let nonces = Box::new(move || {
            count += 1;
            [seed, starts, count, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        });
        let options = Options {
            name: Label::new(format!("node-{seed}")).unwrap(),
            version: Label::new("test").unwrap(),
            seeds: Vec::new(),
            space_bytes_max,
        };
        let random = [seed.wrapping_mul(31).wrapping_add(starts); 32];
        let key = identity.key();
        let replica = Replica::open(store.clone(), identity, options, random, nonces, now(at)).unwrap();
        let topics = replica
            .standing_effects()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Subscribe(topic) => Some(topic),
                _ => None,
            })
            .collect();
        let reader = Reader::new(replica.store_reader(), 64 * 1024 * 1024);
        Self {
            replica,
            reader,
            topics,
            replies: BTreeMap::new(),
            effects: Vec::new(),
            exchanged: Exchanged::default(),
            key,
            store,
            seed,
            starts,
            inbox: Vec::new(),
        }
    }

    /// Replaces a row by bytes that are no record.
    pub fn damage(&mut self, table: Table, key: Vec<u8>) {
        let mut batch = WriteBatch::default();
        batch.put(table, key, vec![0xff; 9]);
        self.store.commit(&batch).expect("memory stores do not fail");
    }

    /// Writes rows behind the replica's back; a restart makes it see them.
    pub fn commit(&mut self, batch: &WriteBatch) {
        self.store.commit(batch).expect("memory stores do not fail");
    }

    /// Puts an empty store in place of its own; a restart opens it.
    pub fn forget(&mut self) {
        self.store = Failing::new(MemoryStore::new(StoreId([self.seed ^ 0x80; 16])));
    }

    /// Lets its store fail, or work again.
    pub fn store_now(&self, how: How) {
        self.store.now(how);
    }

    pub fn identity(&self) -> Identity {
        Identity::from_seed(&[self.seed + 1; 32])
    }

    pub fn store(&self) -> &dyn StoreRead {
        &self.store
    }
}

impl Mesh {
    /// Stops a node as by a kill, and starts it on the same store.
    pub fn restart(&mut self, index: usize) {
        self.restart_with_quota(index, None);
    }

    /// Restarts a node that keeps so many bytes of each space.
    pub fn restart_with_quota(&mut self, index: usize, space_bytes_max: Option<u64>) {
        for other in 0..self.nodes.len() {
            self.disconnect(index, other);
        }
        self.flights.retain(|_, flight| flight.to != index);
        self.held.retain(|(node, _), _| *node != index);
        let old = &self.nodes[index];
        let (seed, starts, store) = (old.seed, old.starts + 1, old.store.clone());
        self.nodes[index] = Node::open(seed, starts, Some((store, self.now)), space_bytes_max);
    }
}
