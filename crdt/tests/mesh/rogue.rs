//! An author that signs whatever it likes: changes made by hand, deltas no honest node would send.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ScalarValue};
use minicbor::bytes::ByteVec;
use sha2::{Digest, Sha256};
use starling_crdt::charter::VerifiedStatement;
use starling_crdt::codec::Signable;
use starling_crdt::delta::Delta;
use starling_crdt::gossip::Frame;
use starling_crdt::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId, StatementId, Topic};
use starling_crdt::identity::{Identity, Signature};
use starling_crdt::incarnation::VerifiedIncarnation;
use starling_crdt::seal::{self, EpochKey};
use starling_crdt::store::Table;
use starling_crdt::store::tables::{SpaceIndex, walk_prefix};

use super::Node;

/// One author in one space, writing as one actor.
pub struct Rogue {
    pub identity: Identity,
    pub space: SpaceId,
    pub epoch: EpochKey,
    pub incarnation: VerifiedIncarnation,
}

/// A change made by hand.
#[derive(Clone)]
pub struct Made {
    pub bytes: Vec<u8>,
    pub hash: ChangeHash,
    pub seq: u64,
}

pub fn put(key: &str, value: impl Into<ScalarValue>) -> Op {
    Op {
        action: OpType::Put(value.into()),
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: SortedVec::from(Vec::<OpId>::new()),
        insert: false,
    }
}

/// Admitted, and refused by every document: it writes into an object that does not exist.
pub fn poison(actor: Actor) -> Op {
    let nowhere = ObjectId::Id(OpId::new(1_000, &ActorId::from(actor.0)));
    Op { obj: nowhere, ..put("k", 1) }
}

pub fn chunk_hash(bytes: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(&bytes[8..]).into())
}

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
    pub fn new(identity: Identity, space: SpaceId, nonce: u8, tips: Vec<StatementId>) -> Self {
        let incarnation = VerifiedIncarnation::sign(&identity, space, [nonce; 16], tips);
        Self { identity, space, epoch: EpochKey::from_bytes([9; 32]), incarnation }
    }

    /// As a member of the mesh's space, with all it knows.
    pub fn of(node: &Node, space: SpaceId, nonce: u8) -> Self {
        Self::new(node.identity(), space, nonce, statements(node))
    }

    pub fn key(&self) -> AuthorKey {
        self.identity.key()
    }

    pub fn actor(&self) -> Actor {
        self.incarnation.actor()
    }

    pub fn topic(&self) -> Topic {
        seal::topic(self.space, &self.epoch)
    }

    pub fn change(&self, seq: u64, start_op: u64, dependencies: &[ChangeHash], operations: Vec<Op>) -> Made {
        make(self.actor(), seq, start_op, dependencies, operations)
    }

    /// Signs the last of `changes`, whatever they are.
    pub fn delta(&self, document: &str, changes: &[&Made]) -> Delta {
        let last = changes.last().unwrap();
        let document = DocumentName::new(document).unwrap();
        let signable = Signable::new("starling/delta")
            .bytes(&self.space.0)
            .bytes(document.as_str().as_bytes())
            .bytes(&self.actor().0)
            .number(last.seq)
            .bytes(&last.hash.0);
        Delta {
            space: self.space,
            document,
            actor: self.actor(),
            first_seq: changes[0].seq,
            changes: changes.iter().map(|change| ByteVec::from(change.bytes.clone())).collect(),
            signature: self.identity.sign(&signable),
        }
    }

    pub fn frame(&self, delta: Delta) -> Vec<u8> {
        let incarnation = Some(self.incarnation.certificate().clone());
        Frame::Delta { incarnation, delta }.seal(&self.epoch)
    }

    /// A sealed delta of `changes`.
    pub fn payload(&self, document: &str, changes: &[&Made]) -> Vec<u8> {
        self.frame(self.delta(document, changes))
    }
}

/// A change in automerge's own form.
pub fn make(actor: Actor, seq: u64, start_op: u64, dependencies: &[ChangeHash], operations: Vec<Op>) -> Made {
    let mut deps: Vec<_> = dependencies.iter().map(|hash| automerge::ChangeHash(hash.0)).collect();
    deps.sort_unstable();
    let change = ExpandedChange {
        operations,
        actor_id: ActorId::from(actor.0),
        hash: None,
        seq,
        start_op: NonZeroU64::new(start_op).unwrap(),
        time: 1_700_000_000,
        message: None,
        deps,
        extra_bytes: vec![],
        author: None,
    };
    let bytes = Change::from(change).raw_bytes().to_vec();
    Made { hash: chunk_hash(&bytes), bytes, seq }
}

/// A signature of nothing.
pub fn no_signature() -> Signature {
    Signature([7; 64])
}
