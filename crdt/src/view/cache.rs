//! Built things in memory, within a budget of bytes, the least recently used dropped first.

use std::collections::BTreeMap;

use super::DocumentKey;

/// A bounded cache by document.
#[derive(Clone, Debug)]
pub struct ViewCache<T> {
    entries: BTreeMap<DocumentKey, Entry<T>>,
    by_use: BTreeMap<u64, DocumentKey>,
    bytes: usize,
    bytes_max: usize,
    uses: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    bytes: usize,
    used: u64,
}

impl<T> ViewCache<T> {
    /// Nothing yet, at most `bytes_max` bytes ever after [`ViewCache::trim`].
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), bytes: 0, bytes_max, uses: 0 }
    }

    /// What is there for `key`, now the most recently used.
    pub fn touch(&mut self, key: &DocumentKey) -> Option<&mut T> {
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        if let Some(owned) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.uses, owned);
        }
        entry.used = self.uses;
        Some(&mut entry.value)
    }

    /// Puts `value` at `key`, as the most recently used.
    pub fn insert(&mut self, key: DocumentKey, value: T, bytes: usize) {
        self.remove(&key);
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
    }

    /// Corrects how much the value at `key` takes.
    pub fn resize(&mut self, key: &DocumentKey, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// Takes out what is at `key`.
    pub fn remove(&mut self, key: &DocumentKey) -> Option<T> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Drops the least recently used until the budget holds. The last one used may stay alone above
    /// it: a single document larger than the budget must still be readable.
    pub fn trim(&mut self) {
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            let Some((_, key)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }

    /// Estimated memory of everything held, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DocumentName;
    use crate::store::tables::SpaceIndex;

    fn key(name: &str) -> DocumentKey {
        (SpaceIndex(0), DocumentName::new(name).unwrap())
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = ViewCache::new(30);
        for name in ["a", "b", "c"] {
            cache.insert(key(name), name, 10);
        }
        assert_eq!(cache.touch(&key("a")), Some(&mut "a"));
        cache.insert(key("d"), "d", 10);
        cache.trim();
        assert_eq!(cache.touch(&key("b")), None);
        assert_eq!(cache.bytes(), 30);
        cache.resize(&key("a"), 100);
        cache.trim();
        assert_eq!((cache.entries.len(), cache.by_use.len(), cache.bytes()), (1, 1, 10));
    }

    #[test]
    fn one_value_above_the_budget_stays() {
        let mut cache = ViewCache::new(5);
        cache.insert(key("large"), (), 100);
        cache.trim();
        assert!(cache.touch(&key("large")).is_some());
    }
}
