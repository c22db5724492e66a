//! Places where concurrent writes left more than one value.
//!
//! Reported: values that lose against the one shown; and, at the root, a deletion that ran into
//! concurrent edits. Not reported: concurrent maps, which read as their union, unless they hold
//! different values for one member; and equal values, of which nothing is hidden.

use automerge::{AutomergeError, ObjId};

use super::json::Json;
use super::pointer::Pointer;
use super::read::{Entry, Node, ReadError, View};
use super::{Document, bridge};
use crate::id::{Actor, ChangeHash};

/// A place with more than one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub pointer: Pointer,
    /// The values, the one that is shown first.
    pub values: Vec<ConflictValue>,
}

/// One of several values at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictValue {
    /// The value; absent where the document was deleted.
    pub value: Option<Json>,
    /// The actor that put it there.
    pub actor: Actor,
    /// The change that put it there.
    pub change: ChangeHash,
    /// Counter of the operation that put it there; 0 for a whole document.
    pub op: u64,
}

impl Document {
    /// Every place with more than one value, in order of the document.
    ///
    /// # Errors
    /// [`ReadError`] when automerge fails.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        let mut conflicts: Vec<Conflict> = self.revival()?.into_iter().collect();
        conflicts.extend(self.viewed(None, |view| {
            let mut found = Vec::new();
            walk(view, &view.root(), &Pointer::root(), &mut found)?;
            Ok(found)
        })?);
        Ok(conflicts)
    }

    /// The conflict of a deletion with concurrent edits: each head's own document.
    fn revival(&self) -> Result<Option<Conflict>, ReadError> {
        let heads = self.heads();
        let (deleted, alive): (Vec<_>, Vec<_>) =
            heads.into_iter().partition(|head| self.is_deleted(Some(std::slice::from_ref(head))));
        if deleted.is_empty() || alive.is_empty() {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(deleted.len() + alive.len());
        for head in alive.iter().chain(&deleted) {
            let Some(actor) = self.index.author(head) else {
                continue;
            };
            let edited = alive.contains(head);
            let value = if edited { Some(self.read(None, Some(std::slice::from_ref(head)))?) } else { None };
            values.push(ConflictValue { value, actor, change: *head, op: 0 });
        }
        Ok(Some(Conflict { pointer: Pointer::root(), values }))
    }
}

type Walked = Result<(), AutomergeError>;

/// Recursion is bounded by the depth rule of the validator.
fn walk(
    view: &View<'_, automerge::Automerge>,
    node: &Node,
    pointer: &Pointer,
    found: &mut Vec<Conflict>,
) -> Walked {
    match node {
        Node::Scalar(_) | Node::Text(_) => Ok(()),
        Node::Map(maps) => {
            let mut members = view.members(maps)?.into_iter();
            members.try_for_each(|(key, entry)| visit(view, &entry, &pointer.child(key), found))
        }
        Node::List(list) => {
            let mut elements = view.elements(list)?.into_iter().enumerate();
            elements
                .try_for_each(|(place, entry)| visit(view, &entry, &pointer.child(place.to_string()), found))
        }
    }
}

fn visit(
    view: &View<'_, automerge::Automerge>,
    entry: &Entry,
    pointer: &Pointer,
    found: &mut Vec<Conflict>,
) -> Walked {
    if entry.values.len() > 1 {
        found.extend(conflict(view, entry, pointer)?);
    }
    walk(view, &entry.node, pointer, found)
}

pub(super) fn conflict(
    view: &View<'_, automerge::Automerge>,
    entry: &Entry,
    pointer: &Pointer,
) -> Result<Option<Conflict>, AutomergeError> {
    let shown = view.json(&entry.node)?;
    let united = matches!(entry.node, Node::Map(_));
    let (_, winner) = &entry.values[0];
    let mut values: Vec<ConflictValue> = value(view, shown.clone(), winner).into_iter().collect();
    for (node, id) in &entry.values[1..] {
        if united && matches!(node, Node::Map(_)) {
            continue;
        }
        let losing = view.json(node)?;
        // Of equal plain values nothing is hidden; equal counters, lists and texts are still two.
        let plain = matches!(node, Node::Scalar(scalar) if !matches!(scalar, Json::Counter(_)));
        if !plain || losing != shown {
            values.extend(value(view, losing, id));
        }
    }
    Ok((values.len() > 1).then(|| Conflict { pointer: pointer.clone(), values }))
}

pub(super) fn value(view: &View<'_, automerge::Automerge>, json: Json, id: &ObjId) -> Option<ConflictValue> {
    let (op, actor) = bridge::op_id(id)?;
    let change = bridge::hash(&view.doc.hash_for_opid(id)?);
    Some(ConflictValue { value: Some(json), actor, change, op })
}
