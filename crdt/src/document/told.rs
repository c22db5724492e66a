//! What a change did, for people: its operations as sets, removals, increments and insertions.
//!
//! Promises: work bounded by [`TOLD_OPS_MAX`] operations a change, whatever a change holds; what a
//! change makes and fills is told as one value. Places in lists are those of the document as it is now,
//! since a position says nothing by itself; what has no place any more is told of its list. Leaves out
//! whether an operation still shows.

mod draft;

use std::collections::BTreeMap;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{AutomergeError, Change, ExpandedChange, ObjId, ObjType, Prop, ReadDoc};

use super::index::Kind;
use super::json::Json;
use super::pointer::Pointer;
use super::read::{ReadError, View};
use super::{Document, bridge};
use crate::id::Actor;
use draft::{Drafts, Spot, Value};

/// Operations of one change that are told. Past it their number is.
pub const TOLD_OPS_MAX: usize = 1_000;
/// Longest list in which places are looked up.
const PLACES_MAX: usize = 10_000;

/// One thing that a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where: of an insertion, the list it went into.
    pub pointer: Pointer,
    /// What.
    pub deed: Deed,
    /// The place is not in the document any more; the pointer is the nearest thing that has one.
    pub gone: bool,
}

/// What a change did at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Put a value there.
    Set(Json),
    /// Took the value away.
    Remove,
    /// Added to a counter.
    Increment(i64),
    /// Inserted an element into a list.
    Insert(Json),
    /// Inserted characters into a text.
    InsertText(String),
    /// Removed so many characters of a text.
    RemoveText(usize),
}

/// What one change did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// In the order of its operations.
    pub told: Vec<Told>,
    /// Operations that are not told, since there are too many.
    pub omitted: usize,
}

impl Document {
    /// What each of these changes did, which must be changes of this document.
    ///
    /// # Errors
    /// [`ReadError`] when one of them is no change, or automerge fails.
    pub fn tell(&self, changes: &[&[u8]]) -> Result<Vec<Telling>, ReadError> {
        self.viewed(None, |view| {
            let mut places =
                Places { document: self, view, objects: BTreeMap::new(), lists: BTreeMap::new() };
            changes.iter().map(|bytes| tell(&mut places, bytes)).collect()
        })
    }
}

/// Counter and actor of an operation.
type Id = (u64, Actor);

fn id_of(id: &OpId) -> Result<Id, AutomergeError> {
    let actor = bridge::actor(id.actor()).ok_or(AutomergeError::NotAnObject)?;
    Ok((id.counter(), actor))
}

/// Where an object lies.
#[derive(Clone)]
struct Place {
    pointer: Pointer,
    kind: Kind,
    gone: bool,
}

/// Where objects and elements lie now, looked up once.
struct Places<'a> {
    document: &'a Document,
    view: &'a View<'a, automerge::Automerge>,
    objects: BTreeMap<Id, Place>,
    /// Of each list, the positions of its elements by the validator's name for them.
    lists: BTreeMap<Id, BTreeMap<u32, usize>>,
}

impl Places<'_> {
    fn object(&mut self, object: &ObjectId) -> Result<(Option<Id>, Place), AutomergeError> {
        let ObjectId::Id(id) = object else {
            return Ok((None, Place { pointer: Pointer::root(), kind: Kind::Map, gone: false }));
        };
        let id = id_of(id)?;
        if let Some(place) = self.objects.get(&id) {
            return Ok((Some(id), place.clone()));
        }
        let kind = self.kind(id).ok_or(AutomergeError::NotAnObject)?;
        let (mut steps, mut gone) = (Vec::new(), false);
        for parent in self.view.doc.parents(object_id(id))? {
            gone |= !parent.visible;
            steps.push(match parent.prop {
                Prop::Map(key) => key,
                Prop::Seq(position) => position.to_string(),
            });
        }
        steps.reverse();
        let place = Place { pointer: steps.into_iter().collect(), kind, gone };
        self.objects.insert(id, place.clone());
        Ok((Some(id), place))
    }

    fn kind(&self, (counter, actor): Id) -> Option<Kind> {
        let index = &self.document.index;
        let op = index.find(index.actor(actor)?, u32::try_from(counter).ok()?)?;
        Some(index.object(index.made(op)?).kind)
    }

    /// The position of a list's element, if it is still there.
    fn position(&mut self, list: Id, element: Id) -> Option<usize> {
        let (view, index) = (self.view, &self.document.index);
        let positions = self.lists.entry(list).or_insert_with(|| {
            let object = object_id(list);
            if view.length(&object) > PLACES_MAX {
                return BTreeMap::new();
            }
            let ids = view.ids(&object).into_iter().enumerate();
            ids.filter_map(|(position, id)| Some((index.element(bridge::op_id(&id)?)?, position))).collect()
        });
        positions.get(&index.element(element)?).copied()
    }
}

/// Automerge's name for an object; the place of the actor in it is a hint that may be wrong.
fn object_id((counter, actor): Id) -> ObjId {
    ObjId::Id(counter, bridge::actor_id(actor), 0)
}

fn tell(places: &mut Places<'_>, bytes: &[u8]) -> Result<Telling, AutomergeError> {
    let change = Change::try_from(bytes).map_err(|_| AutomergeError::NotAnObject)?.decode();
    let actor = bridge::actor(&change.actor_id).ok_or(AutomergeError::NotAnObject)?;
    let told_ops = change.operations.len().min(TOLD_OPS_MAX);
    let mut teller = Teller { places, actor, drafts: Drafts::default(), told: Vec::new() };
    for (counter, op) in (change.start_op.get()..).zip(&change.operations[..told_ops]) {
        teller.op((counter, actor), op)?;
    }
    Ok(teller.end(&change, told_ops))
}

/// What was found of a change so far; a value may still be filled by later operations.
struct Teller<'a, 'b> {
    places: &'a mut Places<'b>,
    actor: Actor,
    drafts: Drafts,
    told: Vec<(Told, Option<usize>)>,
}

impl Teller<'_, '_> {
    fn op(&mut self, own: Id, op: &Op) -> Result<(), AutomergeError> {
        if let ObjectId::Id(object) = &op.obj
            && let (counter, actor) = id_of(object)?
            && actor == self.actor
            && let Some(holder) = self.drafts.made(counter)
        {
            return self.fill(holder, own.0, op);
        }
        let (object, place) = self.places.object(&op.obj)?;
        match (place.kind, object) {
            (Kind::Text, _) => self.in_text(&place, op),
            (Kind::List, Some(list)) => self.in_list(list, &place, own, op)?,
            _ => {
                let Key::Map(key) = &op.key else { return Ok(()) };
                self.at(place.pointer.child(key.as_str()), place.gone, own.0, op);
            }
        }
        Ok(())
    }

    /// Into a value that this change made.
    fn fill(&mut self, holder: usize, own: u64, op: &Op) -> Result<(), AutomergeError> {
        let value = value_of(&op.action);
        let key = match &op.key {
            Key::Map(key) => {
                self.drafts.member(holder, key, own, value);
                return Ok(());
            }
            Key::Seq(ElementId::Head) => None,
            Key::Seq(ElementId::Id(id)) => Some(id_of(id)?.0),
        };
        let spot = if op.insert { Spot::Behind(key) } else { Spot::On(key) };
        self.drafts.element(holder, spot, own, value);
        Ok(())
    }

    fn in_list(&mut self, list: Id, place: &Place, own: Id, op: &Op) -> Result<(), AutomergeError> {
        let element = match &op.key {
            Key::Seq(ElementId::Id(id)) if !op.insert => id_of(id)?,
            _ => own,
        };
        let position = self.places.position(list, element);
        let gone = place.gone || position.is_none();
        let pointer = match position {
            Some(position) if !op.insert => place.pointer.child(position.to_string()),
            _ => place.pointer.clone(),
        };
        if op.insert {
            let draft = value_of(&op.action).map(|value| self.drafts.make(own.0, value));
            // What the list lost again is told all the same, of the list itself.
            let told = Told { pointer, deed: Deed::Insert(Json::Null), gone: place.gone };
            self.told.push((told, draft));
        } else {
            self.at(pointer, gone, own.0, op);
        }
        Ok(())
    }

    fn at(&mut self, pointer: Pointer, gone: bool, own: u64, op: &Op) {
        let (deed, draft) = match &op.action {
            OpType::Delete => (Deed::Remove, None),
            OpType::Increment(by) => (Deed::Increment(*by), None),
            action => match value_of(action) {
                Some(value) => (Deed::Set(Json::Null), Some(self.drafts.make(own, value))),
                None => return,
            },
        };
        let last = self.told.last().map(|(told, _)| told);
        let again = last.is_some_and(|last| {
            draft.is_some() && last.pointer == pointer && matches!(last.deed, Deed::Set(_) | Deed::Remove)
        });
        // Of several values that one change puts at one place, the last stays.
        if again {
            self.told.pop();
        }
        self.told.push((Told { pointer, deed, gone }, draft));
    }

    /// Characters one by one become stretches.
    fn in_text(&mut self, place: &Place, op: &Op) {
        let last = self.told.last_mut().map(|(told, _)| told).filter(|told| told.pointer == place.pointer);
        match (&op.action, last.map(|told| &mut told.deed)) {
            (OpType::Delete, Some(Deed::RemoveText(count))) => *count += 1,
            (OpType::Delete, _) => self.push_text(place, Deed::RemoveText(1)),
            (OpType::Put(scalar), Some(Deed::InsertText(text))) => text.push_str(&characters(scalar)),
            (OpType::Put(scalar), _) => self.push_text(place, Deed::InsertText(characters(scalar))),
            _ => {}
        }
    }

    fn push_text(&mut self, place: &Place, deed: Deed) {
        let told = Told { pointer: place.pointer.clone(), deed, gone: place.gone };
        self.told.push((told, None));
    }

    fn end(self, change: &ExpandedChange, told_ops: usize) -> Telling {
        let Self { drafts, told, .. } = self;
        let told = told.into_iter().map(|(mut told, draft)| {
            if let Some(draft) = draft {
                let value = drafts.json(draft);
                told.deed = match told.deed {
                    Deed::Insert(_) => Deed::Insert(value),
                    _ => Deed::Set(value),
                };
            }
            told
        });
        Telling { told: told.collect(), omitted: change.operations.len() - told_ops }
    }
}

fn characters(scalar: &automerge::ScalarValue) -> String {
    match scalar {
        automerge::ScalarValue::Str(text) => text.to_string(),
        _ => String::new(),
    }
}

/// The value that an operation puts somewhere; none for what only changes or removes one.
fn value_of(action: &OpType) -> Option<Value> {
    match action {
        OpType::Put(scalar) => Some(Value::Scalar(bridge::json_of_value(scalar))),
        OpType::Make(ObjType::Map | ObjType::Table) => Some(Value::Map(BTreeMap::new())),
        OpType::Make(ObjType::List) => Some(Value::List(Vec::new())),
        OpType::Make(ObjType::Text) => Some(Value::Text(Vec::new())),
        OpType::Delete | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => None,
    }
}

#[cfg(test)]
mod tests;
