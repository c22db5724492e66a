//! Values that a change makes and fills, put together operation by operation.

use std::collections::BTreeMap;

use crate::document::json::Json;

/// A value in the making. Parts are places in [`Drafts`].
pub(super) enum Value {
    Scalar(Json),
    Map(BTreeMap<String, usize>),
    /// Elements with the counter of the operation that inserted each.
    List(Vec<(u64, usize)>),
    /// Characters with the counter of the operation that inserted each.
    Text(Vec<(u64, String)>),
}

/// Where in a list or text an operation acts: by the counter of the operation that inserted the element,
/// or none for the beginning.
#[derive(Clone, Copy)]
pub(super) enum Spot {
    /// A new element right behind that one.
    Behind(Option<u64>),
    /// That element itself.
    On(Option<u64>),
}

/// Every value that one change makes.
#[derive(Default)]
pub(super) struct Drafts {
    values: Vec<Value>,
    /// Which operation made which container.
    made: BTreeMap<u64, usize>,
}

impl Drafts {
    /// Enters the value that the operation `own` makes.
    pub(super) fn make(&mut self, own: u64, value: Value) -> usize {
        let place = self.values.len();
        if !matches!(value, Value::Scalar(_)) {
            self.made.insert(own, place);
        }
        self.values.push(value);
        place
    }

    /// The container that an operation of this change made.
    pub(super) fn made(&self, counter: u64) -> Option<usize> {
        self.made.get(&counter).copied()
    }

    /// Puts a member into a map, or takes it away.
    pub(super) fn member(&mut self, holder: usize, key: &str, own: u64, value: Option<Value>) {
        let part = value.map(|value| self.make(own, value));
        if let Some(Value::Map(members)) = self.values.get_mut(holder) {
            match part {
                Some(part) => members.insert(key.to_owned(), part),
                None => members.remove(key),
            };
        }
    }

    /// Inserts an element, or puts another value in its place, or takes it away.
    pub(super) fn element(&mut self, holder: usize, spot: Spot, own: u64, value: Option<Value>) {
        if let Some(Value::Text(characters)) = self.values.get_mut(holder) {
            match (spot, value) {
                (Spot::Behind(key), Some(Value::Scalar(Json::String(text)))) => {
                    characters.insert(place(characters, key).map_or(0, |place| place + 1), (own, text));
                }
                (Spot::On(key), None) => drop(place(characters, key).map(|place| characters.remove(place))),
                // The validator admits nothing else in a text.
                _ => {}
            }
            return;
        }
        let part = value.map(|value| self.make(own, value));
        let Some(Value::List(elements)) = self.values.get_mut(holder) else { return };
        match (spot, part) {
            (Spot::Behind(key), Some(part)) => {
                elements.insert(place(elements, key).map_or(0, |place| place + 1), (own, part));
            }
            (Spot::On(key), part) => {
                let Some(place) = place(elements, key) else { return };
                match part {
                    Some(part) => elements[place].1 = part,
                    None => drop(elements.remove(place)),
                }
            }
            (Spot::Behind(_), None) => {}
        }
    }

    /// A value with everything in it. Recursion is bounded by the depth rule of the validator.
    pub(super) fn json(&self, place: usize) -> Json {
        match self.values.get(place) {
            None => Json::Null,
            Some(Value::Scalar(scalar)) => scalar.clone(),
            Some(Value::Text(characters)) => {
                Json::Text(characters.iter().map(|(_, text)| text.as_str()).collect())
            }
            Some(Value::List(elements)) => {
                Json::List(elements.iter().map(|(_, part)| self.json(*part)).collect())
            }
            Some(Value::Map(members)) => {
                Json::Map(members.iter().map(|(key, part)| (key.clone(), self.json(*part))).collect())
            }
        }
    }
}

/// Where an element lies; most are looked for right after they were inserted.
fn place<T>(elements: &[(u64, T)], key: Option<u64>) -> Option<usize> {
    elements.iter().rposition(|(counter, _)| Some(*counter) == key)
}
