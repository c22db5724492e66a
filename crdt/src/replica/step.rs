//! One step: what it reads, writes and will do.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Counted, Effect, Note, Refusal, Reply};
use super::input::RequestTicket;
use crate::chunk::ChangeChunk;
use crate::document::LocalChange;
use crate::id::{Actor, AuthorKey, DocumentName, SpaceId};
use crate::limits::{DELTA_BYTES_MAX, DELTA_CHANGES_MAX};
use crate::store::StoreRead;
use crate::store::tables::Transaction;
use crate::time::{Now, WallTime};
use crate::view::DocumentKey;

/// Everything a step gathers. Nothing of it leaves before the commit.
pub(super) struct Step<'s> {
    pub(super) now: Now,
    /// The number this step's commit will have.
    pub(super) commit: u64,
    pub(super) transaction: Transaction<'s>,
    pub(super) effects: Vec<Effect>,
    /// Documents whose record must be written anew.
    pub(super) touched: BTreeMap<(SpaceId, DocumentName), Touch>,
    /// Own changes that wait for their signature: one delta per document at the end of the step.
    pub(super) runs: BTreeMap<(SpaceId, DocumentName), Run>,
    /// Documents that had no record before.
    pub(super) made: Vec<DocumentKey>,
    /// Peers that brought what this step keeps, or holds until something else comes.
    pub(super) brought_by: BTreeSet<AuthorKey>,
}

/// Whose change touched a document last.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    pub(super) author: AuthorKey,
    pub(super) time: WallTime,
}

/// Own changes of one document, consecutive, not signed yet.
pub(super) struct Run {
    pub(super) actor: Actor,
    pub(super) changes: Vec<(ChangeChunk, Vec<u8>)>,
    bytes: usize,
}

impl Run {
    pub(super) fn new(actor: Actor) -> Self {
        Self { actor, changes: Vec::new(), bytes: 0 }
    }

    /// Whether a change of this size still fits under the same signature.
    pub(super) fn fits(&self, actor: Actor, bytes: usize) -> bool {
        self.actor == actor
            && (self.changes.is_empty()
                || (self.changes.len() < DELTA_CHANGES_MAX && self.bytes + bytes <= DELTA_BYTES_MAX))
    }

    pub(super) fn push(&mut self, change: LocalChange) {
        self.bytes += change.bytes.len();
        self.changes.push((change.chunk, change.bytes));
    }
}

impl<'s> Step<'s> {
    pub(super) fn new(now: Now, commit: u64, store: &'s dyn StoreRead) -> Self {
        Self {
            now,
            commit,
            transaction: Transaction::new(store),
            effects: Vec::new(),
            touched: BTreeMap::new(),
            runs: BTreeMap::new(),
            made: Vec::new(),
            brought_by: BTreeSet::new(),
        }
    }

    pub(super) fn reply(&mut self, ticket: RequestTicket, reply: Result<Reply, Refusal>) {
        self.effects.push(Effect::Reply { ticket, reply });
    }

    pub(super) fn count(&mut self, what: Counted, by: u64) {
        if by > 0 {
            self.effects.push(Effect::Count { what, by });
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }

    pub(super) fn touch(&mut self, space: SpaceId, document: &DocumentName, touch: Touch) {
        self.touched.insert((space, document.clone()), touch);
    }
}
