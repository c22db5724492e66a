//! Documents of more objects than is advised, as they were when somebody last built them.
//!
//! Promises: a bounded number is remembered, those of most objects. Leaves out documents that nobody has
//! touched since the start: they cost nobody anything.

use std::collections::BTreeMap;

use super::DocumentKey;
use crate::document::Document;
use crate::id::DocumentName;
use crate::limits::{DOCUMENT_OBJECTS_ADVISED, LARGE_DOCUMENTS_MAX};
use crate::store::tables::SpaceIndex;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct LargeDocuments(BTreeMap<DocumentKey, usize>);

impl LargeDocuments {
    /// Takes in how large a document is now. Objects are never fewer than they were.
    pub fn note(&mut self, key: &DocumentKey, document: &Document) {
        let objects = document.objects();
        if objects > DOCUMENT_OBJECTS_ADVISED {
            self.remember(key, objects);
        }
    }

    fn remember(&mut self, key: &DocumentKey, objects: usize) {
        if let Some(known) = self.0.get_mut(key) {
            *known = objects;
            return;
        }
        self.0.insert(key.clone(), objects);
        if self.0.len() > LARGE_DOCUMENTS_MAX {
            let smallest = self.0.iter().min_by_key(|(_, objects)| **objects).map(|(key, _)| key.clone());
            smallest.and_then(|key| self.0.remove(&key));
        }
    }

    /// Those of one space, by name, each with its objects.
    pub fn of(&self, space: SpaceIndex) -> BTreeMap<DocumentName, usize> {
        let held = self.0.iter().filter(|((index, _), _)| *index == space);
        held.map(|((_, name), objects)| (name.clone(), *objects)).collect()
    }

    /// Forgets those of a space that this node no longer holds.
    pub fn forget(&mut self, space: SpaceIndex) {
        self.0.retain(|(index, _), _| *index != space);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(space: u32, name: usize) -> DocumentKey {
        (SpaceIndex(space), DocumentName::new(format!("d/{name:04}")).expect("a sound name"))
    }

    #[test]
    fn what_is_as_large_as_advised_is_not_remembered() {
        let mut large = LargeDocuments::default();
        large.note(&key(0, 0), &Document::new());
        assert!(large.of(SpaceIndex(0)).is_empty());
    }

    #[test]
    fn the_largest_are_remembered_as_they_were_last_and_those_of_a_space_forgotten_with_it() {
        let mut large = LargeDocuments::default();
        for number in 0..LARGE_DOCUMENTS_MAX {
            large.remember(&key(0, number), 6_000 + number);
        }
        large.remember(&key(1, 0), 9_000);
        let (first, second) = (large.of(SpaceIndex(0)), large.of(SpaceIndex(1)));
        assert_eq!((first.len(), second.len()), (LARGE_DOCUMENTS_MAX - 1, 1));
        assert!(!first.contains_key(&key(0, 0).1), "that of fewest objects went");
        large.remember(&key(0, 1), 10_000);
        assert_eq!(large.of(SpaceIndex(0)).get(&key(0, 1).1), Some(&10_000));
        large.forget(SpaceIndex(0));
        assert_eq!((large.of(SpaceIndex(0)).len(), large.of(SpaceIndex(1)).len()), (0, 1));
    }
}
