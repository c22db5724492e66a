//! The change of one increment, made from what is known before automerge makes it.
//!
//! automerge gives the bytes of a change only by collecting it from the document again, and for a counter
//! that means going through every increment it ever had. What one increment of a map's member becomes is
//! known beforehand, so it is made here, and taken only if its hash is the one automerge committed.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{Change, ExpandedChange, ObjId};

use super::Commit;
use crate::document::bridge;
use crate::document::index::Index;
use crate::id::ChangeHash;

/// One increment written into a transaction.
pub(in crate::document) struct Increment {
    /// The map that holds the counter.
    pub(in crate::document) map: ObjId,
    /// The member.
    pub(in crate::document) key: String,
    /// Every counter there, concurrent ones included.
    pub(in crate::document) counters: Vec<ObjId>,
    /// By how much.
    pub(in crate::document) by: i64,
}

impl Increment {
    /// The change that holds this increment and nothing else, written over `heads`.
    pub(super) fn change(&self, commit: Commit<'_>, heads: Vec<ChangeHash>, index: &Index) -> Option<Change> {
        let tip = index.tip(commit.actor);
        let mut dependencies = heads;
        dependencies.extend(tip.as_ref().map(|tip| tip.hash));
        dependencies.sort_unstable();
        dependencies.dedup();
        let object = match &self.map {
            ObjId::Root => ObjectId::Root,
            id => ObjectId::Id(op_id(id)?),
        };
        let operation = Op {
            action: OpType::Increment(self.by),
            obj: object,
            key: Key::Map(self.key.as_str().into()),
            pred: self.counters.iter().map(op_id).collect::<Option<Vec<_>>>()?.into(),
            insert: false,
        };
        Some(Change::from(ExpandedChange {
            operations: vec![operation],
            actor_id: bridge::actor_id(commit.actor),
            hash: None,
            seq: tip.map_or(1, |tip| tip.seq + 1),
            start_op: NonZeroU64::MIN.saturating_add(u64::from(index.heads_max_op())),
            time: commit.time_seconds,
            message: commit.message.map(str::to_owned),
            deps: dependencies.iter().map(bridge::automerge_hash).collect(),
            extra_bytes: Vec::new(),
            author: None,
        }))
    }
}

fn op_id(id: &ObjId) -> Option<OpId> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some(OpId(*counter, actor.clone())),
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Commit, Document, Edit, Json};
    use crate::id::Actor;

    fn edit(document: &mut Document, actor: u8, edit: &Edit) -> Vec<Vec<u8>> {
        let commit = Commit { actor: Actor([actor; 16]), time_seconds: 1_000, message: None };
        let edited = document.edit(commit, edit).expect("it can be edited");
        edited.changes.into_iter().map(|change| change.bytes).collect()
    }

    fn increment(pointer: &str, by: i64) -> Edit {
        Edit::Increment { pointer: pointer.parse().expect("a pointer"), by }
    }

    fn put(text: &str) -> Edit {
        Edit::Put { value: Json::parse(text).expect("JSON"), base: None }
    }

    #[test]
    fn the_change_of_an_increment_is_not_collected_from_the_document() {
        let mut document = Document::new();
        edit(&mut document, 1, &put(r#"{"n":{"$counter":0},"deep":{"er":{"n":{"$counter":7}}}}"#));
        let before = document.collected;
        for round in 0..40 {
            for pointer in ["/n", "/deep/er/n"] {
                edit(&mut document, 1 + round % 3, &increment(pointer, i64::from(round) - 5));
            }
        }
        // Adding nothing to a counter is no change.
        assert_eq!(document.collected, before);
    }

    #[test]
    fn concurrent_counters_at_one_place_are_incremented_by_a_change_made_beforehand() {
        let (mut one, mut other) = (Document::new(), Document::new());
        let mut changes = edit(&mut one, 1, &increment("/n", 1));
        changes.extend(edit(&mut other, 2, &increment("/n", 2)));
        let changes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        assert!(one.apply(&changes[1..]).is_empty());
        assert!(other.apply(&changes[..1]).is_empty());
        let before = one.collected;
        let made = edit(&mut one, 1, &increment("/n", 5));
        assert_eq!(one.collected, before);
        assert!(other.apply(&[&made[0]]).is_empty());
        assert_eq!(one.heads(), other.heads());
    }

    #[test]
    fn what_is_more_than_one_increment_is_collected() {
        let mut document = Document::new();
        let before = document.collected;
        edit(&mut document, 1, &put(r#"{"list":[{"$counter":1}]}"#));
        edit(&mut document, 1, &increment("/list/0", 5));
        edit(&mut document, 1, &increment("/new", 5));
        assert_eq!(document.collected, before + 3);
    }
}
