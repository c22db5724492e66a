//! Writes values into an open transaction: whole ones, and differences between what a client read
//! and what it wants.
//!
//! Promises: what the client did not change is not touched, so concurrent work of others stays;
//! an object keeps its identity as long as its kind stays. Nothing here commits.

mod sequence;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use automerge::legacy::OpType;
use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, ReadDoc};

use super::bridge;
use super::edit::Made;
use super::index::Index;
use super::json::Json;
use super::read::{Entry, Node, View};
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX, COUNTER_STEP_MAX, MAP_MERGE_OPS_MAX};

/// Why writing stopped. The transaction must then be rolled back.
#[derive(Debug)]
pub(super) enum WriteError {
    /// More operations or bytes than one change may have.
    TooLarge,
    /// A counter would start or move farther than allowed.
    CounterOverflow,
    /// Automerge refuses what should be possible.
    Automerge,
}

impl From<AutomergeError> for WriteError {
    fn from(_: AutomergeError) -> Self {
        Self::Automerge
    }
}

type Written = Result<(), WriteError>;

/// A place that holds, or may hold, a value.
pub(super) enum Slot {
    /// A member of one map, or of concurrent ones with the winner first.
    Member { maps: Vec<ObjId>, key: String },
    /// An element of a list.
    Element { list: ObjId, position: usize },
}

/// Where a new value goes.
enum Target<'a> {
    Member(&'a ObjId, &'a str),
    Element(&'a ObjId, usize),
    Insert(&'a ObjId, usize),
}

pub(super) struct Writer<'a, 'd> {
    pub(super) tx: &'a mut Transaction<'d>,
    pub(super) index: &'a Index,
    /// What the client read, if not the present document.
    pub(super) base: Option<&'a [automerge::ChangeHash]>,
    /// Bytes of values written so far: a lower bound of the change's size.
    pub(super) value_bytes: usize,
    /// What was written into members of maps.
    pub(super) made: Made,
}

impl<'d> Writer<'_, 'd> {
    pub(super) fn view(&self) -> View<'_, Transaction<'d>> {
        View { doc: &*self.tx, at: None }
    }

    fn base_view(&self) -> View<'_, Transaction<'d>> {
        View { doc: &*self.tx, at: self.base }
    }

    /// Makes the maps at a place what the client wants, given what it read there.
    pub(super) fn change_map(
        &mut self,
        base: Option<&[ObjId]>,
        present: &[ObjId],
        target: &BTreeMap<String, Json>,
    ) -> Written {
        if present.len() > 1 {
            let read = base.map(|maps| self.base_view().json(&Node::Map(maps.to_vec()))).transpose()?;
            if matches!(&read, Some(Json::Map(members)) if members == target) {
                return Ok(());
            }
            self.merge(present)?;
        }
        let present_members = self.view().members(present)?;
        let base_members = match (base, self.base) {
            (None, _) => Default::default(),
            (Some(_), None) => present_members.clone(),
            (Some(maps), Some(_)) => self.base_view().members(maps)?,
        };
        let keys: BTreeSet<&String> = base_members.keys().chain(target.keys()).collect();
        for key in keys {
            let (base, now) = (base_members.get(key), present_members.get(key));
            let slot = Slot::Member { maps: present.to_vec(), key: key.clone() };
            match target.get(key) {
                Some(wanted) => self.change(&slot, base, now, wanted)?,
                None => self.remove_unless_newer(&slot, base, now)?,
            }
        }
        Ok(())
    }

    /// Makes the value at a place what the client wants, given what it read there.
    pub(super) fn change(
        &mut self,
        slot: &Slot,
        base: Option<&Entry>,
        now: Option<&Entry>,
        wanted: &Json,
    ) -> Written {
        let node = |entry: Option<&Entry>| entry.map(|entry| entry.node.clone());
        match (wanted, node(base), node(now)) {
            (Json::Map(members), Some(Node::Map(read)), Some(Node::Map(maps))) => {
                self.change_map(Some(&read), &maps, members)
            }
            (Json::Map(members), _, Some(Node::Map(maps))) => self.change_map(None, &maps, members),
            (Json::List(items), Some(Node::List(read)), Some(Node::List(list))) if read == list => {
                self.change_list(&list, items)
            }
            (Json::Text(wanted), Some(Node::Text(read)), Some(Node::Text(text))) if read == text => {
                self.change_text(&text, wanted)
            }
            (
                Json::Counter(wanted),
                Some(Node::Scalar(Json::Counter(read))),
                Some(Node::Scalar(Json::Counter(_))),
            ) => {
                let by = wanted.checked_sub(read).ok_or(WriteError::CounterOverflow)?;
                self.increment(slot, now, by)
            }
            (wanted, read, present) => self.replace_if_changed(slot, (read, present), now, wanted),
        }
    }

    fn replace_if_changed(
        &mut self,
        slot: &Slot,
        (read, present): (Option<Node>, Option<Node>),
        now: Option<&Entry>,
        wanted: &Json,
    ) -> Written {
        if let Some(read) = read
            && self.base_view().json(&read)? == *wanted
        {
            return Ok(());
        }
        let settled = now.is_some_and(|entry| entry.values.len() == 1);
        if let Some(present) = present
            && settled
            && self.view().json(&present)? == *wanted
        {
            return Ok(());
        }
        self.replace(slot, wanted)
    }

    /// Adds `by` to the counter at a place.
    pub(super) fn increment(&mut self, slot: &Slot, now: Option<&Entry>, by: i64) -> Written {
        if by == 0 {
            return Ok(());
        }
        if by.unsigned_abs() > COUNTER_STEP_MAX.unsigned_abs() {
            return Err(WriteError::CounterOverflow);
        }
        if let Some(Node::Scalar(Json::Counter(value))) = now.map(|entry| &entry.node) {
            value.checked_add(by).ok_or(WriteError::CounterOverflow)?;
        }
        match slot {
            Slot::Element { list, position } => self.tx.increment(list, *position, by)?,
            Slot::Member { maps, key } => {
                for map in maps {
                    if self.tx.get(map, key.as_str())?.is_some() {
                        self.on_member(map, key, OpType::Increment(by), |tx| {
                            tx.increment(map, key.as_str(), by)
                        })?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a whole value at a place, in place of every value there.
    pub(super) fn replace(&mut self, slot: &Slot, value: &Json) -> Written {
        match slot {
            Slot::Element { list, position } => self.place(&Target::Element(list, *position), value),
            Slot::Member { maps, key } => {
                let Some((winner, others)) = maps.split_first() else {
                    return Ok(());
                };
                self.place(&Target::Member(winner, key), value)?;
                self.remove_member(others, key)
            }
        }
    }

    /// Inserts a value into a list.
    pub(super) fn insert(&mut self, list: &ObjId, position: usize, value: &Json) -> Written {
        self.place(&Target::Insert(list, position), value)
    }

    /// Removes a member from every one of concurrent maps.
    pub(super) fn remove_member(&mut self, maps: &[ObjId], key: &str) -> Written {
        for map in maps {
            self.on_member(map, key, OpType::Delete, |tx| tx.delete(map, key))?;
        }
        Ok(())
    }

    /// Writes one operation on a member, and notes it.
    fn on_member<T>(
        &mut self,
        map: &ObjId,
        key: &str,
        action: OpType,
        write: impl FnOnce(&mut Transaction<'d>) -> Result<T, AutomergeError>,
    ) -> Result<T, WriteError> {
        let mut values = Vec::new();
        if self.made.has_room() {
            values.extend(self.tx.get_all(map, key)?.into_iter().map(|(_, id)| id));
        }
        let before = self.tx.pending_ops();
        let written = write(self.tx)?;
        // Automerge leaves out what changes nothing.
        if self.tx.pending_ops() > before {
            self.made.note(map, key, action, &values);
        }
        Ok(written)
    }

    /// Removes an element of a list.
    pub(super) fn remove_element(&mut self, list: &ObjId, position: usize) -> Written {
        Ok(self.tx.delete(list, position)?)
    }

    /// Replaces characters of a text, which must be there.
    pub(super) fn splice(&mut self, text: &ObjId, gone: Range<usize>, insert: &str) -> Written {
        self.charge_bytes(insert.len(), insert.chars().count() + gone.len())?;
        let count = isize::try_from(gone.len()).map_err(|_| WriteError::TooLarge)?;
        Ok(self.tx.splice_text(text, gone.start, count, insert)?)
    }

    /// Removes what the client removed, unless somebody has put a value there that it did not see.
    fn remove_unless_newer(&mut self, slot: &Slot, base: Option<&Entry>, now: Option<&Entry>) -> Written {
        let (Some(base), Some(now)) = (base, now) else {
            return Ok(());
        };
        if self.is_newer(base, now)? {
            return Ok(());
        }
        match slot {
            Slot::Element { list, position } => self.tx.delete(list, *position)?,
            Slot::Member { maps, key } => self.remove_member(maps, key)?,
        }
        Ok(())
    }

    fn is_newer(&self, base: &Entry, now: &Entry) -> Result<bool, WriteError> {
        let seen = |id: &ObjId| base.values.iter().any(|(_, known)| known == id);
        if now.values.iter().all(|(_, id)| seen(id)) {
            return Ok(false);
        }
        Ok(self.base_view().json(&base.node)? != self.view().json(&now.node)?)
    }

    /// Moves what only the losers among concurrent maps have into the winner, so that the winner
    /// alone reads as their union. Where several have one member, nothing moves: that is a conflict
    /// for people to see, or a place of concurrent maps of its own. What is too much for one write
    /// stays where it is, where it is still read and written.
    pub(super) fn merge(&mut self, maps: &[ObjId]) -> Written {
        let Some((winner, losers)) = maps.split_first() else {
            return Ok(());
        };
        let mut budget = MAP_MERGE_OPS_MAX;
        for loser in losers {
            for (key, entry) in self.view().members(std::slice::from_ref(loser))? {
                if self.tx.get(winner, key.as_str())?.is_some() {
                    continue;
                }
                let value = self.view().json(&entry.node)?;
                if !value.counters_fit() {
                    continue;
                }
                // Its own deletion comes on top.
                let Some(left) = budget.checked_sub(value.ops() + 1) else {
                    continue;
                };
                budget = left;
                self.place(&Target::Member(winner, &key), &value)?;
                self.on_member(loser, &key, OpType::Delete, |tx| tx.delete(loser, key.as_str()))?;
            }
        }
        Ok(())
    }

    /// Writes a whole value. Recursion is bounded by the depth of the value, checked before.
    fn place(&mut self, target: &Target<'_>, value: &Json) -> Written {
        self.charge(value)?;
        match value {
            Json::Map(members) => {
                let map = self.make(target, ObjType::Map)?;
                members.iter().try_for_each(|(key, value)| self.place(&Target::Member(&map, key), value))
            }
            Json::List(items) => {
                let list = self.make(target, ObjType::List)?;
                let mut items = items.iter().enumerate();
                items.try_for_each(|(position, value)| self.place(&Target::Insert(&list, position), value))
            }
            Json::Text(text) => {
                let object = self.make(target, ObjType::Text)?;
                Ok(self.tx.splice_text(&object, 0, 0, text)?)
            }
            scalar => {
                let scalar = bridge::scalar(scalar).ok_or(WriteError::Automerge)?;
                match target {
                    Target::Member(map, key) => {
                        let action = OpType::Put(scalar.clone());
                        self.on_member(map, key, action, |tx| tx.put(*map, *key, scalar))?;
                    }
                    Target::Element(list, position) => self.tx.put(list, *position, scalar)?,
                    Target::Insert(list, position) => self.tx.insert(list, *position, scalar)?,
                }
                Ok(())
            }
        }
    }

    fn make(&mut self, target: &Target<'_>, kind: ObjType) -> Result<ObjId, WriteError> {
        Ok(match target {
            Target::Member(map, key) => {
                self.on_member(map, key, OpType::Make(kind), |tx| tx.put_object(*map, *key, kind))?
            }
            Target::Element(list, position) => self.tx.put_object(list, *position, kind)?,
            Target::Insert(list, position) => self.tx.insert_object(list, *position, kind)?,
        })
    }

    /// Stops early when the change can no longer fit its limits.
    fn charge(&mut self, value: &Json) -> Written {
        let (bytes, ops) = match value {
            Json::String(text) => (text.len(), 1),
            Json::Bytes(bytes) => (bytes.len(), 1),
            Json::Text(text) => (text.len(), 1 + text.chars().count()),
            _ => (0, 1),
        };
        self.charge_bytes(bytes, ops)
    }

    fn charge_bytes(&mut self, bytes: usize, ops: usize) -> Written {
        self.value_bytes = self.value_bytes.saturating_add(bytes);
        let ops = (self.tx.pending_ops() + ops) as u64;
        if self.value_bytes > CHANGE_BYTES_MAX || ops > CHANGE_OPS_MAX {
            return Err(WriteError::TooLarge);
        }
        Ok(())
    }
}
