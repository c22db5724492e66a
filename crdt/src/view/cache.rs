//! Built things in memory, within a budget of bytes, the least recently used dropped first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::DocumentKey;
use crate::limits::DROPPED_REMEMBERED_MAX;

/// How much is built, and what its budget has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Estimated memory, in bytes.
    pub bytes: usize,
    /// How many were dropped for room.
    pub dropped: u64,
    /// How many of those were built again not long after: each would have been spared by a larger budget.
    pub again: u64,
}

impl Built {
    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            dropped: self.dropped + other.dropped,
            again: self.again + other.again,
        }
    }
}

/// A bounded cache by document.
#[derive(Clone, Debug)]
pub struct ViewCache<T> {
    entries: BTreeMap<DocumentKey, Entry<T>>,
    by_use: BTreeMap<u64, DocumentKey>,
    bytes: usize,
    bytes_max: usize,
    uses: u64,
    /// Uses counted when idle entries were dropped last.
    aged: u64,
    dropped: Dropped,
}

/// What was dropped for room of late.
#[derive(Clone, Debug, Default)]
struct Dropped {
    known: BTreeSet<DocumentKey>,
    /// The same, the oldest first; one that was built again is passed over.
    order: VecDeque<DocumentKey>,
    count: u64,
    again: u64,
}

impl Dropped {
    fn note(&mut self, key: DocumentKey) {
        self.count += 1;
        if self.known.insert(key.clone()) {
            self.order.push_back(key);
        }
        while self.order.len() > DROPPED_REMEMBERED_MAX {
            self.order.pop_front().map(|oldest| self.known.remove(&oldest));
        }
    }

    fn built(&mut self, key: &DocumentKey) {
        // Its place in the order stays until it is the oldest; whatever was dropped once more by then is forgotten
        // a little early.
        self.again += u64::from(self.known.remove(key));
    }
}

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    bytes: usize,
    used: u64,
}

/// What an entry takes beside its value, estimated: without it, names of documents that do not exist
/// would cost nothing and fill memory.
const ENTRY_BYTES: usize = 512;

fn entry_bytes((_, name): &DocumentKey) -> usize {
    ENTRY_BYTES + 2 * name.as_str().len()
}

impl<T> ViewCache<T> {
    /// Nothing yet, at most `bytes_max` bytes ever after [`ViewCache::trim`].
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            uses: 0,
            aged: 0,
            dropped: Dropped::default(),
        }
    }

    /// At most `bytes_max` bytes from the next [`ViewCache::trim`] on.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// How much is there, and what was dropped for room.
    pub fn built(&self) -> Built {
        Built { bytes: self.bytes, dropped: self.dropped.count, again: self.dropped.again }
    }

    /// What is there for `key`, now the most recently used.
    pub fn touch(&mut self, key: &DocumentKey) -> Option<&mut T> {
        let entry = self.entries.get_mut(key)?;
        // One write touches its document several times in a row: the last used stays that, unless idle
        // entries were dropped since.
        if entry.used != self.uses || self.uses == self.aged {
            self.uses += 1;
            if let Some(owned) = self.by_use.remove(&entry.used) {
                self.by_use.insert(self.uses, owned);
            }
            entry.used = self.uses;
        }
        Some(&mut entry.value)
    }

    /// Puts `value` at `key`, as the most recently used.
    pub fn insert(&mut self, key: DocumentKey, value: T, bytes: usize) {
        self.remove(&key);
        self.dropped.built(&key);
        self.uses += 1;
        let bytes = bytes + entry_bytes(&key);
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
    }

    /// Corrects how much the value at `key` takes.
    pub fn resize(&mut self, key: &DocumentKey, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            let bytes = bytes + entry_bytes(key);
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// Whether something is at `key`. Does not count as a use.
    pub fn holds(&self, key: &DocumentKey) -> bool {
        self.entries.contains_key(key)
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
            self.dropped.note(key);
        }
    }

    /// Drops what was not used since the last call, the least recently used first, until no more than
    /// `spared` bytes are held: called at intervals, it bounds how long memory is kept for what nobody
    /// touches.
    pub fn drop_idle(&mut self, spared: usize) {
        while self.bytes > spared
            && let Some((used, _)) = self.by_use.first_key_value()
            && *used <= self.aged
            && let Some((_, key)) = self.by_use.pop_first()
        {
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
        self.aged = self.uses;
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        *self = Self { dropped, ..Self::new(self.bytes_max) };
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
        let entry = 10 + entry_bytes(&key("a"));
        let mut cache = ViewCache::new(3 * entry);
        for name in ["a", "b", "c"] {
            cache.insert(key(name), name, 10);
        }
        assert_eq!(cache.touch(&key("a")), Some(&mut "a"));
        cache.insert(key("d"), "d", 10);
        cache.trim();
        assert_eq!(cache.touch(&key("b")), None);
        assert_eq!(cache.bytes(), 3 * entry);
        cache.resize(&key("a"), 10 + 3 * entry);
        cache.trim();
        assert_eq!((cache.entries.len(), cache.by_use.len(), cache.bytes()), (1, 1, entry));
        assert_eq!(cache.remove(&key("d")), Some("d"));
        assert_eq!((cache.by_use.len(), cache.bytes()), (0, 0));
    }

    #[test]
    fn what_nobody_used_between_two_calls_is_dropped() {
        let mut cache = ViewCache::new(100);
        for name in ["a", "b"] {
            cache.insert(key(name), name, 10);
        }
        cache.drop_idle(0);
        assert_eq!(cache.bytes(), 2 * (10 + entry_bytes(&key("a"))));
        assert!(cache.touch(&key("b")).is_some());
        cache.drop_idle(10 + entry_bytes(&key("a")) + 1);
        assert_eq!(
            (cache.entries.len(), cache.by_use.len(), cache.bytes()),
            (1, 1, 10 + entry_bytes(&key("b")))
        );
        assert!(cache.touch(&key("a")).is_none());
        cache.drop_idle(10 + entry_bytes(&key("b")));
        cache.drop_idle(10 + entry_bytes(&key("b")));
        assert!(cache.holds(&key("b")), "what little is left is spared");
    }

    #[test]
    fn what_is_dropped_for_room_and_wanted_again_is_counted_and_a_walk_through_everything_is_not() {
        let entry = 10 + entry_bytes(&key("a"));
        let mut cache = ViewCache::new(2 * entry);
        let mut build = |name: &str| {
            cache.insert(key(name), (), 10);
            cache.trim();
            (cache.built().dropped, cache.built().again)
        };
        assert_eq!((build("a"), build("b"), build("c"), build("d")), ((0, 0), (0, 0), (1, 0), (2, 0)));
        assert_eq!((build("a"), build("d"), build("b"), build("a")), ((3, 1), (3, 1), (4, 2), (5, 3)));
        cache.clear();
        assert_eq!(cache.built(), Built { bytes: 0, dropped: 5, again: 3 }, "what happened stays counted");
        cache.set_bytes_max(0);
        for number in 0..2 * DROPPED_REMEMBERED_MAX {
            cache.insert(key(&format!("n{number}")), (), 10);
            cache.trim();
        }
        assert_eq!(cache.built().again, 3);
        assert!(cache.dropped.order.len() <= DROPPED_REMEMBERED_MAX);
        assert!(cache.dropped.known.len() <= DROPPED_REMEMBERED_MAX);
    }

    #[test]
    fn one_value_above_the_budget_stays() {
        let mut cache = ViewCache::new(5);
        cache.insert(key("large"), (), 100);
        cache.trim();
        assert!(cache.touch(&key("large")).is_some());
    }

    #[test]
    fn values_that_take_nothing_do_not_pile_up() {
        let mut cache = ViewCache::new(100 * ENTRY_BYTES);
        for number in 0..1_000 {
            cache.insert(key(&format!("n{number}")), (), 0);
            cache.trim();
        }
        assert!(cache.entries.len() <= 100, "{}", cache.entries.len());
        assert_eq!(cache.entries.len(), cache.by_use.len());
    }

    #[test]
    fn clearing_and_replacing_keep_the_sums() {
        let mut cache = ViewCache::new(1_000_000);
        cache.insert(key("a"), 1, 10);
        cache.insert(key("a"), 2, 30);
        assert_eq!((cache.bytes(), cache.by_use.len()), (30 + entry_bytes(&key("a")), 1));
        cache.resize(&key("absent"), 1_000);
        cache.clear();
        assert_eq!((cache.bytes(), cache.entries.len(), cache.by_use.len()), (0, 0, 0));
    }
}
