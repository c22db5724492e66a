//! A space with a history by several authors, some of them out of touch with others for a while.

#![allow(dead_code, reason = "each bench uses the part it needs")]

use std::ops::Range;

use automerge::Change;
use starling_crdt::delta::VerifiedDelta;
use starling_crdt::document::{Commit, Document, Edit, Json, Pointer};
use starling_crdt::gossip::Frame;
use starling_crdt::id::{DocumentName, SpaceId, StatementId, StoreId};
use starling_crdt::incarnation::VerifiedIncarnation;
use starling_crdt::store::tables::{SpaceIndex, walk_prefix};
use starling_crdt::store::{MemoryStore, Store, StoreError, Table};

use crate::support::{Clock, Node, Outcome, epoch_key, identity, join, name};

/// The first number of an author's identity; the founder and others have smaller ones.
const FIRST_AUTHOR: u8 = 100;

/// An author who may write in the space.
pub struct Author {
    number: u8,
    pub incarnation: VerifiedIncarnation,
}

/// Makes so many authors members of the space of `host`.
pub fn authors<S: Store>(
    host: &mut Node<S>,
    space: SpaceId,
    count: u8,
    clock: &Clock,
) -> Outcome<Vec<Author>> {
    for number in FIRST_AUTHOR..FIRST_AUTHOR + count {
        let mut guest = Node::open(MemoryStore::new(StoreId([number; 16])), number, clock)?;
        join(&mut guest, host, space, clock)?;
    }
    let mut tips: Vec<StatementId> = Vec::new();
    walk_prefix(host.replica.store(), Table::Statements, &SpaceIndex(0).all(), |key, _| {
        let id = key.get(SpaceIndex(0).all().len()..).and_then(StatementId::from_slice);
        tips.push(id.ok_or_else(|| StoreError::Corrupt("a statement's key".into()))?);
        Ok(())
    })?;
    let incarnation =
        |number| VerifiedIncarnation::sign(&identity(number), space, [number; 16], tips.clone());
    let all = FIRST_AUTHOR..FIRST_AUTHOR + count;
    Ok(all.map(|number| Author { number, incarnation: incarnation(number) }).collect())
}

/// The history of one document: its deltas, each after those it rests on.
pub struct History {
    pub document: DocumentName,
    pub deltas: Vec<VerifiedDelta>,
}

impl History {
    /// So many changes by these authors in turn, each signing `run` of them together. Half of the authors hear
    /// of the other half only after each round.
    pub fn new(authors: &[Author], space: SpaceId, number: u64, changes: u64, run: u64) -> Outcome<Self> {
        let document = name(number);
        let (mut sides, mut deltas) = ([Document::new(), Document::new()], Vec::<VerifiedDelta>::new());
        let mut made = 0;
        while made < changes {
            let heard = deltas.len();
            for (turn, author) in authors.iter().enumerate() {
                let side = usize::from(turn >= authors.len() / 2);
                let end = changes.min(made + run);
                if made < end {
                    deltas.push(author.run(&mut sides[side], space, &document, made..end)?);
                }
                made = end;
            }
            let news: Vec<&[u8]> =
                deltas[heard..].iter().flat_map(|delta| delta.changes().map(|(_, bytes)| bytes)).collect();
            for side in &mut sides {
                if !side.apply(&news).is_empty() {
                    return Err("honest changes apply".into());
                }
            }
        }
        Ok(Self { document, deltas })
    }

    /// Its changes, parsed by automerge.
    pub fn parsed(&self) -> Vec<Change> {
        let changes = self.deltas.iter().flat_map(VerifiedDelta::changes);
        changes.map(|(_, bytes)| Change::try_from(bytes).expect("a change made here")).collect()
    }
}

impl Author {
    /// The number of its identity.
    pub fn number(&self) -> u8 {
        self.number
    }

    fn run(
        &self,
        side: &mut Document,
        space: SpaceId,
        document: &DocumentName,
        numbers: Range<u64>,
    ) -> Outcome<VerifiedDelta> {
        let actor = self.incarnation.actor();
        let mut changes = Vec::new();
        for number in numbers {
            let pointer: Pointer = [format!("k{:02}", number % 50)].into_iter().collect();
            let edit = Edit::Set { pointer, value: Json::Integer(number as i64) };
            let commit = Commit { actor, time_seconds: 1_700_000_000 + number as i64, message: None };
            changes.extend(side.edit(commit, &edit)?.changes.into_iter().map(|change| change.bytes));
        }
        Ok(VerifiedDelta::sign(&identity(self.number), space, document.clone(), actor, changes)?)
    }

    /// The gossip payload of one of its deltas.
    pub fn payload(&self, delta: &VerifiedDelta) -> Vec<u8> {
        let incarnation = Some(self.incarnation.certificate().clone());
        Frame::Delta { incarnation, delta: delta.delta().clone() }.seal(&epoch_key())
    }
}

/// The author of a delta.
pub fn author_of<'a>(authors: &'a [Author], delta: &VerifiedDelta) -> Option<&'a Author> {
    authors.iter().find(|author| author.incarnation.actor() == delta.delta().actor)
}
