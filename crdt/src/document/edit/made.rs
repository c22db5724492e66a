//! The change of an edit, made from its operations before automerge makes it.
//!
//! automerge gives the bytes of a change only by collecting it from the document again, which costs more than
//! the edit, and for a counter means going through every increment it ever had. What operations on members of
//! maps become is known beforehand, so their change is made here, and taken only if its hash is the one
//! automerge committed. A change with any other operation is collected.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{Change, ExpandedChange, ObjId};

use super::Commit;
use crate::document::bridge;
use crate::document::index::Index;
use crate::id::ChangeHash;

/// Operations kept of one edit. A change of more is collected, which then costs little beside them.
const OPERATIONS_MAX: usize = 64;

/// The operations on members of maps that an edit has written into its transaction.
#[derive(Default)]
pub(in crate::document) struct Made {
    operations: Vec<Op>,
    /// There were more than are kept, or one that cannot be told.
    lost: bool,
}

/// A change and what it says.
pub(super) struct Expected {
    pub(super) change: Change,
    pub(super) expanded: ExpandedChange,
}

impl Made {
    /// Whether another operation would be kept.
    pub(in crate::document) fn has_room(&self) -> bool {
        !self.lost && self.operations.len() < OPERATIONS_MAX
    }

    /// Notes an operation on a member, and the values that were there before.
    pub(in crate::document) fn note(&mut self, map: &ObjId, key: &str, action: OpType, values: &[ObjId]) {
        let obj = match map {
            ObjId::Root => Some(ObjectId::Root),
            id => op_id(id).map(ObjectId::Id),
        };
        let pred = values.iter().map(op_id).collect::<Option<Vec<_>>>();
        match obj.zip(pred).filter(|_| self.has_room()) {
            Some((obj, pred)) => {
                let key = Key::Map(key.into());
                self.operations.push(Op { action, obj, key, pred: pred.into(), insert: false });
            }
            None => self.lost = true,
        }
    }

    /// The change that holds these operations and nothing else, written over `heads`; none unless they are
    /// all of so many.
    pub(super) fn change(
        self,
        commit: Commit<'_>,
        ops: usize,
        heads: Vec<ChangeHash>,
        index: &Index,
    ) -> Option<Expected> {
        if self.lost || self.operations.len() != ops {
            return None;
        }
        let tip = index.tip(commit.actor);
        let mut dependencies = heads;
        dependencies.extend(tip.as_ref().map(|tip| tip.hash));
        dependencies.sort_unstable();
        dependencies.dedup();
        let expanded = ExpandedChange {
            operations: self.operations,
            actor_id: bridge::actor_id(commit.actor),
            hash: None,
            seq: tip.map_or(1, |tip| tip.seq + 1),
            start_op: NonZeroU64::MIN.saturating_add(u64::from(index.heads_max_op())),
            time: commit.time_seconds,
            message: commit.message.map(str::to_owned),
            deps: dependencies.iter().map(bridge::automerge_hash).collect(),
            extra_bytes: Vec::new(),
            author: None,
        };
        Some(Expected { change: Change::from(expanded.clone()), expanded })
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
    fn changes_of_members_of_maps_are_not_collected() {
        let mut document = Document::new();
        let texts = [
            r#"{"a":1,"deep":{"er":{"x":null,"y":true}},"f":1.5,"s":"text"}"#,
            r#"{"a":2,"deep":{"er":{"x":"x"}},"new":{"$bytes":"AAEC"}}"#,
            r#"{"a":{"b":{}},"n":{"$counter":4},"at":{"$time":"2026-01-01T00:00:00Z"}}"#,
            r#"{"n":{"$counter":9}}"#,
        ];
        for (actor, text) in (1..).zip(texts) {
            edit(&mut document, actor % 3 + 1, &put(text));
        }
        edit(&mut document, 1, &increment("/new", 5));
        edit(&mut document, 1, &Edit::Remove);
        edit(&mut document, 2, &put("{}"));
        assert_eq!((document.collected, document.changes()), (0, 7));
    }

    #[test]
    fn a_member_that_several_wrote_at_once_is_written_without_collecting() {
        let (mut one, mut other) = (Document::new(), Document::new());
        let mut changes = edit(&mut one, 1, &put(r#"{"a":1,"m":{"x":1}}"#));
        changes.extend(edit(&mut other, 2, &put(r#"{"a":2,"m":{"y":2}}"#)));
        let changes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        assert!(one.apply(&changes[1..]).is_empty());
        assert!(other.apply(&changes[..1]).is_empty());
        let made = edit(&mut one, 1, &put(r#"{"a":3,"m":{"x":1,"y":3}}"#));
        assert_eq!(one.collected, 0);
        assert!(other.apply(&[&made[0]]).is_empty());
        assert_eq!(one.heads(), other.heads());
    }

    #[test]
    fn what_is_not_about_members_of_maps_alone_is_collected() {
        let mut document = Document::new();
        edit(&mut document, 1, &put(r#"{"list":[{"$counter":1}]}"#));
        edit(&mut document, 1, &increment("/list/0", 5));
        edit(&mut document, 1, &put(r#"{"list":[1],"text":{"$text":"t"}}"#));
        assert_eq!(document.collected, 3);
        let members: Vec<String> = (0..=super::OPERATIONS_MAX).map(|n| format!("\"{n}\":{n}")).collect();
        edit(&mut document, 1, &put(&format!("{{{}}}", members.join(","))));
        assert_eq!(document.collected, 4);
    }
}
