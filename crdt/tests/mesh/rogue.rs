//! An author that signs whatever it likes: changes made by hand, deltas no honest node would send.

#![allow(dead_code, reason = "each test uses the part it needs")]

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ScalarValue};
use minicbor::bytes::ByteVec;
use sha2::{Digest, Sha256};
use starling_crdt::codec::Signable;
use starling_crdt::delta::Delta;
use starling_crdt::gossip::Frame;
use starling_crdt::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId, StatementId, Topic};
use starling_crdt::identity::{Identity, Signature};
use starling_crdt::incarnation::VerifiedIncarnation;
use starling_crdt::seal::{self, EpochKey};

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

impl Rogue {
    pub fn new(
        identity: Identity,
        space: SpaceId,
        epoch: EpochKey,
        nonce: u8,
        tips: Vec<StatementId>,
    ) -> Self {
        let incarnation = VerifiedIncarnation::sign(&identity, space, [nonce; 16], tips);
        Self { identity, space, epoch, incarnation }
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
    altered(actor, seq, start_op, dependencies, operations, |_| {})
}

/// A change in automerge's own form, with something else about it.
pub fn altered(
    actor: Actor,
    seq: u64,
    start_op: u64,
    dependencies: &[ChangeHash],
    operations: Vec<Op>,
    alter: impl FnOnce(&mut ExpandedChange),
) -> Made {
    let mut deps: Vec<_> = dependencies.iter().map(|hash| automerge::ChangeHash(hash.0)).collect();
    deps.sort_unstable();
    let mut change = ExpandedChange {
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
    alter(&mut change);
    let bytes = Change::from(change).raw_bytes().to_vec();
    Made { hash: chunk_hash(&bytes), bytes, seq }
}

/// A signature of nothing.
pub fn no_signature() -> Signature {
    Signature([7; 64])
}
