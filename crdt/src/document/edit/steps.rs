//! What each edit writes: finds its place and hands over to the writer.

use std::collections::BTreeMap;
use std::ops::Range;

use automerge::ROOT;

use super::{Edit, EditError, patch};
use crate::document::json::Json;
use crate::document::pointer::{Pointer, list_position};
use crate::document::read::Node;
use crate::document::write::{Slot, Writer};

/// Writes the edit; whether an increment created its counter.
pub(super) fn write(writer: &mut Writer<'_, '_>, edit: &Edit) -> Result<bool, EditError> {
    match edit {
        Edit::Put { value: Json::Map(members), .. } => {
            writer.change_map(Some(&[ROOT]), &[ROOT], members)?;
            Ok(false)
        }
        Edit::Put { .. } => Err(EditError::RootNotObject),
        Edit::Set { pointer, value } => set(writer, pointer, value).map(|()| false),
        Edit::Unset { pointer } => unset(writer, pointer).map(|()| false),
        Edit::Insert { pointer, value } => insert(writer, pointer, value).map(|()| false),
        Edit::Splice { pointer, at, delete, insert } => {
            splice(writer, pointer, *at..at.saturating_add(*delete), insert).map(|()| false)
        }
        Edit::Merge { pointer, patch } => merge_patch(writer, pointer, patch).map(|()| false),
        Edit::Patch(patch) => patch::write(writer, patch).map(|()| false),
        Edit::Increment { pointer, by } => increment(writer, pointer, *by),
        Edit::Resolve { pointer, value } => resolve(writer, pointer, value.as_ref()).map(|()| false),
        // Taken apart before a transaction begins.
        Edit::Revert { .. } => Err(EditError::Crash),
        Edit::Remove => {
            for key in writer.view().members(&[ROOT])?.into_keys() {
                writer.remove_member(&[ROOT], &key)?;
            }
            Ok(false)
        }
    }
}

pub(super) fn set(writer: &mut Writer<'_, '_>, pointer: &Pointer, value: &Json) -> Result<(), EditError> {
    let Some((parent, step)) = pointer.split_last() else {
        let Json::Map(members) = value else {
            return Err(EditError::RootNotObject);
        };
        return Ok(writer.change_map(Some(&[ROOT]), &[ROOT], members)?);
    };
    match container(writer, &parent)? {
        Node::Map(maps) => {
            let mut now = writer.view().member(&maps, step)?;
            if maps.len() > 1 {
                if let Some(entry) = &now
                    && writer.view().json(&entry.node)? == *value
                {
                    return Ok(());
                }
                writer.merge(&maps)?;
                now = writer.view().member(&maps, step)?;
            }
            let slot = Slot::Member { maps, key: step.to_owned() };
            Ok(writer.change(&slot, now.as_ref(), now.as_ref(), value)?)
        }
        Node::List(list) => match list_place(writer.view().length(&list), step) {
            Some(Place::End(position)) => Ok(writer.insert(&list, position, value)?),
            Some(Place::At(position)) => {
                let now = writer.view().element(&list, position)?;
                let slot = Slot::Element { list, position };
                Ok(writer.change(&slot, now.as_ref(), now.as_ref(), value)?)
            }
            None => Err(EditError::NoPosition(pointer.clone())),
        },
        Node::Scalar(_) | Node::Text(_) => Err(EditError::NotAContainer(parent)),
    }
}

/// Puts one value in place of several, even where it is the one that is shown already.
fn resolve(writer: &mut Writer<'_, '_>, pointer: &Pointer, value: Option<&Json>) -> Result<(), EditError> {
    let Some((parent, step)) = pointer.split_last() else {
        return value.map_or(Ok(()), |value| set(writer, pointer, value));
    };
    let found = writer.view().find(pointer.steps())?;
    let shown = found.as_ref().map(|entry| writer.view().json(&entry.node)).transpose()?;
    let contested = found.is_some_and(|entry| entry.values.len() > 1);
    let value = value.or(shown.as_ref()).ok_or_else(|| EditError::NotFound(pointer.clone()))?;
    if !contested || shown.as_ref() != Some(value) {
        return set(writer, pointer, value);
    }
    let slot = match container(writer, &parent)? {
        Node::Map(maps) => Slot::Member { maps, key: step.to_owned() },
        Node::List(list) => match list_position(step) {
            Some(position) => Slot::Element { list, position },
            None => return Err(EditError::NoPosition(pointer.clone())),
        },
        Node::Scalar(_) | Node::Text(_) => return Err(EditError::NotAContainer(parent)),
    };
    // Automerge would take a value that is shown already for a removal of the others, which history could
    // not tell from a removal of the value.
    let other = if *value == Json::Null { Json::Bool(false) } else { Json::Null };
    writer.replace(&slot, &other)?;
    Ok(writer.replace(&slot, value)?)
}

fn increment(writer: &mut Writer<'_, '_>, pointer: &Pointer, by: i64) -> Result<bool, EditError> {
    let Some((parent, step)) = pointer.split_last() else {
        return Err(EditError::NotACounter(Pointer::root()));
    };
    let (slot, now) = match container(writer, &parent)? {
        Node::Map(maps) => {
            let now = writer.view().member(&maps, step)?;
            (Slot::Member { maps, key: step.to_owned() }, now)
        }
        Node::List(list) => match list_place(writer.view().length(&list), step) {
            Some(Place::End(position)) => {
                writer.insert(&list, position, &Json::Counter(by))?;
                return Ok(true);
            }
            Some(Place::At(position)) => {
                let now = writer.view().element(&list, position)?;
                (Slot::Element { list, position }, now)
            }
            None => return Err(EditError::NoPosition(pointer.clone())),
        },
        Node::Scalar(_) | Node::Text(_) => return Err(EditError::NotAContainer(parent)),
    };
    match now.as_ref().map(|entry| &entry.node) {
        Some(Node::Scalar(Json::Counter(_))) => {
            writer.increment(&slot, now.as_ref(), by)?;
            Ok(false)
        }
        Some(_) => Err(EditError::NotACounter(pointer.clone())),
        None => {
            if let Slot::Member { maps, .. } = &slot {
                writer.merge(maps)?;
            }
            writer.replace(&slot, &Json::Counter(by))?;
            Ok(true)
        }
    }
}

pub(super) fn unset(writer: &mut Writer<'_, '_>, pointer: &Pointer) -> Result<(), EditError> {
    let Some((parent, step)) = pointer.split_last() else {
        return Err(EditError::RootNotObject);
    };
    match container(writer, &parent)? {
        Node::Map(maps) if writer.view().member(&maps, step)?.is_some() => {
            writer.merge(&maps)?;
            Ok(writer.remove_member(&maps, step)?)
        }
        Node::List(list) => match list_place(writer.view().length(&list), step) {
            Some(Place::At(position)) => Ok(writer.remove_element(&list, position)?),
            _ => Err(EditError::NotFound(pointer.clone())),
        },
        Node::Map(_) | Node::Scalar(_) | Node::Text(_) => Err(EditError::NotFound(pointer.clone())),
    }
}

pub(super) fn insert(writer: &mut Writer<'_, '_>, pointer: &Pointer, value: &Json) -> Result<(), EditError> {
    let Some((parent, step)) = pointer.split_last() else {
        return Err(EditError::NotAList(pointer.clone()));
    };
    let Node::List(list) = container(writer, &parent)? else {
        return Err(EditError::NotAList(parent));
    };
    match list_place(writer.view().length(&list), step) {
        Some(Place::At(position) | Place::End(position)) => Ok(writer.insert(&list, position, value)?),
        None => Err(EditError::NoPosition(pointer.clone())),
    }
}

fn splice(
    writer: &mut Writer<'_, '_>,
    pointer: &Pointer,
    gone: Range<usize>,
    insert: &str,
) -> Result<(), EditError> {
    let found = writer.view().find(pointer.steps())?;
    let text = match found.map(|entry| entry.node) {
        Some(Node::Text(text)) => text,
        Some(_) => return Err(EditError::NotAText(pointer.clone())),
        None => return Err(EditError::NotFound(pointer.clone())),
    };
    let length = writer.view().length(&text);
    if gone.end > length {
        return Err(EditError::TextTooShort { pointer: pointer.clone(), length });
    }
    Ok(writer.splice(&text, gone, insert)?)
}

fn merge_patch(writer: &mut Writer<'_, '_>, pointer: &Pointer, patch: &Json) -> Result<(), EditError> {
    let found = writer.view().find(pointer.steps())?;
    let present = found.map(|entry| writer.view().json(&entry.node)).transpose()?;
    let patched = patched(present, patch);
    set(writer, pointer, &patched)
}

/// MergePatch of RFC 7396, section 2. Recursion is bounded by the depth of the patch.
fn patched(present: Option<Json>, patch: &Json) -> Json {
    let Json::Map(changes) = patch else {
        return patch.clone();
    };
    let mut members = match present {
        Some(Json::Map(members)) => members,
        _ => BTreeMap::new(),
    };
    for (key, change) in changes {
        let before = members.remove(key);
        if !matches!(change, Json::Null) {
            members.insert(key.clone(), patched(before, change));
        }
    }
    Json::Map(members)
}

/// What holds the place an edit is about.
fn container(writer: &Writer<'_, '_>, parent: &Pointer) -> Result<Node, EditError> {
    let entry = writer.view().find(parent.steps())?;
    entry.map(|entry| entry.node).ok_or_else(|| EditError::MissingParent(parent.clone()))
}

/// Where a step leads in a list.
enum Place {
    /// To an element.
    At(usize),
    /// Behind the last one.
    End(usize),
}

fn list_place(length: usize, step: &str) -> Option<Place> {
    if step == "-" {
        return Some(Place::End(length));
    }
    let position = list_position(step)?;
    match position.cmp(&length) {
        std::cmp::Ordering::Less => Some(Place::At(position)),
        std::cmp::Ordering::Equal => Some(Place::End(length)),
        std::cmp::Ordering::Greater => None,
    }
}
