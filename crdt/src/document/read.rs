//! Reading a document: values, paths into it, now or at earlier heads.
//!
//! Where a place holds several concurrent maps, it reads as their union by member, the winner's
//! value first, so that nobody's subtree vanishes from sight. Elsewhere the winner is read.
//! Recursion is bounded by the depth rule of the validator.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ObjId, ObjType, ReadDoc, Value, ValueRef};

use super::json::Json;
use super::pointer::{Pointer, list_position};
use super::{Document, bridge};
use crate::id::ChangeHash;

/// Why a document cannot be read as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The document has no such change.
    #[error("the document has no change {0} to be read at")]
    UnknownHead(ChangeHash),
    /// The pointer leads nowhere.
    #[error("nothing at {0}")]
    NotFound(Pointer),
    /// The document must be built anew from its changes.
    #[error("the document must be built anew from its changes: automerge failed on it")]
    Damaged,
    /// Automerge panicked or contradicted itself; the document is as it was.
    #[error("automerge fails to read the document")]
    Crash,
}

/// What lies at a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Scalar(Json),
    /// One map, or several concurrent ones with the winner first.
    Map(Vec<ObjId>),
    List(ObjId),
    Text(ObjId),
}

/// A place: what is read there, and every value that is there, the winner first.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) node: Node,
    pub(super) values: Vec<(Node, ObjId)>,
}

impl Entry {
    /// The winner of `values`, united with the other maps among them when it is a map.
    fn new(values: Vec<(Node, ObjId)>) -> Option<Self> {
        let (winner, _) = values.first()?;
        let node = match winner {
            Node::Map(_) => Node::Map(values.iter().flat_map(|(node, _)| maps(node)).cloned().collect()),
            other => other.clone(),
        };
        Some(Self { node, values })
    }
}

fn maps(node: &Node) -> &[ObjId] {
    match node {
        Node::Map(maps) => maps,
        _ => &[],
    }
}

/// Reads a document or a transaction, now or at earlier heads.
pub(super) struct View<'a, R> {
    pub(super) doc: &'a R,
    pub(super) at: Option<&'a [automerge::ChangeHash]>,
}

type Crashed = automerge::AutomergeError;

impl<R: ReadDoc> View<'_, R> {
    pub(super) fn root(&self) -> Node {
        Node::Map(vec![automerge::ROOT])
    }

    /// The members of concurrent maps, the winner first.
    pub(super) fn members(&self, maps: &[ObjId]) -> Result<BTreeMap<String, Entry>, Crashed> {
        let mut found: BTreeMap<String, Vec<(Node, ObjId)>> = BTreeMap::new();
        for map in maps {
            let items = match self.at {
                Some(heads) => self.doc.map_range_at(map, .., heads),
                None => self.doc.map_range(map, ..),
            };
            for item in items {
                let key = item.key.to_string();
                if item.conflict {
                    let values = self.values(map, key.as_str())?;
                    found.entry(key).or_default().extend(values);
                } else {
                    let id = item.id();
                    found.entry(key).or_default().push((node(item.value, &id), id));
                }
            }
        }
        Ok(found.into_iter().filter_map(|(key, values)| Some((key, Entry::new(values)?))).collect())
    }

    /// One member of concurrent maps.
    pub(super) fn member(&self, maps: &[ObjId], key: &str) -> Result<Option<Entry>, Crashed> {
        let mut values = Vec::new();
        for map in maps {
            values.extend(self.values(map, key)?);
        }
        Ok(Entry::new(values))
    }

    /// The elements of a list.
    pub(super) fn elements(&self, list: &ObjId) -> Result<Vec<Entry>, Crashed> {
        let items = match self.at {
            Some(heads) => self.doc.list_range_at(list, .., heads),
            None => self.doc.list_range(list, ..),
        };
        let mut entries = Vec::new();
        for item in items {
            let id = item.id();
            let values = if item.conflict {
                self.values(list, item.index)?
            } else {
                vec![(node(item.value, &id), id)]
            };
            entries.extend(Entry::new(values));
        }
        Ok(entries)
    }

    /// One element of a list.
    pub(super) fn element(&self, list: &ObjId, position: usize) -> Result<Option<Entry>, Crashed> {
        if position >= self.length(list) {
            return Ok(None);
        }
        Ok(Entry::new(self.values(list, position)?))
    }

    pub(super) fn length(&self, sequence: &ObjId) -> usize {
        match self.at {
            Some(heads) => self.doc.length_at(sequence, heads),
            None => self.doc.length(sequence),
        }
    }

    /// The operations that inserted the elements of a list or text, in order.
    pub(super) fn ids(&self, sequence: &ObjId) -> Vec<ObjId> {
        let items = match self.at {
            Some(heads) => self.doc.list_range_at(sequence, .., heads),
            None => self.doc.list_range(sequence, ..),
        };
        items.map(|item| item.id()).collect()
    }

    pub(super) fn text(&self, text: &ObjId) -> Result<String, Crashed> {
        match self.at {
            Some(heads) => self.doc.text_at(text, heads),
            None => self.doc.text(text),
        }
    }

    /// Every value at a key or position, the winner first.
    fn values(
        &self,
        object: &ObjId,
        place: impl Into<automerge::Prop>,
    ) -> Result<Vec<(Node, ObjId)>, Crashed> {
        let values = match self.at {
            Some(heads) => self.doc.get_all_at(object, place, heads),
            None => self.doc.get_all(object, place),
        }?;
        let nodes = values.into_iter().rev().map(|(value, id)| {
            let node = match &value {
                Value::Object(kind) => object_node(*kind, &id),
                Value::Scalar(scalar) => Node::Scalar(bridge::json_of_value(scalar)),
            };
            (node, id)
        });
        Ok(nodes.collect())
    }

    /// The value of a node, with everything in it.
    pub(super) fn json(&self, node: &Node) -> Result<Json, Crashed> {
        match node {
            Node::Scalar(scalar) => Ok(scalar.clone()),
            Node::Text(text) => self.text(text).map(Json::Text),
            Node::List(list) => {
                let elements = self.elements(list)?;
                elements.iter().map(|entry| self.json(&entry.node)).collect::<Result<_, _>>().map(Json::List)
            }
            Node::Map(maps) => {
                let members = self.members(maps)?;
                let members = members.into_iter().map(|(key, entry)| Ok((key, self.json(&entry.node)?)));
                members.collect::<Result<_, _>>().map(Json::Map)
            }
        }
    }

    /// What a path leads to.
    pub(super) fn find(&self, steps: &[String]) -> Result<Option<Entry>, Crashed> {
        let mut entry = Entry { node: self.root(), values: Vec::new() };
        for step in steps {
            let inner = match &entry.node {
                Node::Map(maps) => self.member(maps, step)?,
                Node::List(list) => match list_position(step) {
                    Some(position) => self.element(list, position)?,
                    None => None,
                },
                Node::Scalar(_) | Node::Text(_) => None,
            };
            match inner {
                Some(inner) => entry = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }
}

fn object_node(kind: ObjType, id: &ObjId) -> Node {
    match kind {
        ObjType::Map | ObjType::Table => Node::Map(vec![id.clone()]),
        ObjType::List => Node::List(id.clone()),
        ObjType::Text => Node::Text(id.clone()),
    }
}

fn node(value: ValueRef<'_>, id: &ObjId) -> Node {
    match value {
        ValueRef::Object(kind) => object_node(kind, id),
        ValueRef::Scalar(scalar) => Node::Scalar(bridge::json(scalar)),
    }
}

impl Document {
    /// The value at `pointer` (the whole document without one), now or as of the heads `at`. A
    /// document without changes, or one that is deleted, reads as an empty object.
    ///
    /// # Errors
    /// [`ReadError`] when the heads are unknown or nothing is there.
    pub fn read(&self, pointer: Option<&Pointer>, at: Option<&[ChangeHash]>) -> Result<Json, ReadError> {
        let at = at.map(|heads| self.known_heads(heads)).transpose()?;
        let steps = pointer.map(Pointer::steps).unwrap_or_default();
        let found = self.viewed(at.as_deref(), |view| match view.find(steps)? {
            Some(entry) => view.json(&entry.node).map(Some),
            None => Ok(None),
        })?;
        found.ok_or_else(|| ReadError::NotFound(pointer.cloned().unwrap_or_default()))
    }

    /// The heads in automerge's form, if each is a change of this document.
    pub(super) fn known_heads(&self, heads: &[ChangeHash]) -> Result<Vec<automerge::ChangeHash>, ReadError> {
        match heads.iter().find(|hash| !self.contains(hash)) {
            Some(unknown) => Err(ReadError::UnknownHead(*unknown)),
            None => Ok(heads.iter().map(bridge::automerge_hash).collect()),
        }
    }

    /// Runs a reading over the document; automerge's failures become an error.
    pub(super) fn viewed<T>(
        &self,
        at: Option<&[automerge::ChangeHash]>,
        read: impl FnOnce(&View<'_, automerge::Automerge>) -> Result<T, Crashed>,
    ) -> Result<T, ReadError> {
        if self.damaged {
            return Err(ReadError::Damaged);
        }
        let view = View { doc: &self.automerge, at };
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&view)));
        outcome.ok().and_then(Result::ok).ok_or(ReadError::Crash)
    }
}
