//! The Store contract: ordered byte tables, synchronous reads, one write transaction per step.
//!
//! Promises, checked for every implementation by [`contract`]: a committed batch is there as a whole
//! or not at all, also after a crash; once [`Store::commit`] has returned `Ok` it survives every
//! crash; reads see the last commit and never wait for the writer. After `Err` from a commit the
//! batch may or may not be durable, and the caller must behave as if either were true.
//!
//! Leaves out: what the bytes mean, which `tables` says.

mod memory;

pub mod contract;
pub mod tables;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

pub use memory::MemoryStore;

use crate::id::StoreId;

/// A table: an ordered map from byte keys to byte values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// One row of facts about the store itself: the commit counter.
    Meta,
    /// Spaces this node holds.
    Spaces,
    /// Charter statements.
    Statements,
    /// Incarnations by actor.
    Incarnations,
    /// Signed deltas: history itself.
    Deltas,
    /// Per (document, actor): highest clean sequence number and its hash.
    Frontiers,
    /// Per document: heads of its view and what a listing shows.
    Documents,
    /// Documents by the commit that last changed them: what a watcher resumes from.
    Changed,
    /// Changes kept out of a view, with the reason.
    Quarantine,
    /// Fork proofs.
    Forks,
    /// Replies to requests that carried an id, for 24 hours.
    Requests,
    /// Known peers: addresses, last contact, blocks.
    Peers,
    /// Members as they were seen last.
    Sightings,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 13] = [
        Table::Meta,
        Table::Spaces,
        Table::Statements,
        Table::Incarnations,
        Table::Deltas,
        Table::Frontiers,
        Table::Documents,
        Table::Changed,
        Table::Quarantine,
        Table::Forks,
        Table::Requests,
        Table::Peers,
        Table::Sightings,
    ];

    /// Tables whose keys begin with the number of a space.
    pub const OF_SPACES: [Table; 10] = [
        Table::Statements,
        Table::Incarnations,
        Table::Deltas,
        Table::Frontiers,
        Table::Documents,
        Table::Changed,
        Table::Quarantine,
        Table::Forks,
        Table::Requests,
        Table::Sightings,
    ];

    /// Stable name, used by stores on disk.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Spaces => "spaces",
            Table::Statements => "statements",
            Table::Incarnations => "incarnations",
            Table::Deltas => "deltas",
            Table::Frontiers => "frontiers",
            Table::Documents => "documents",
            Table::Changed => "changed",
            Table::Quarantine => "quarantine",
            Table::Forks => "forks",
            Table::Requests => "requests",
            Table::Peers => "peers",
            Table::Sightings => "sightings",
        }
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room. Reads go on; a later commit may succeed.
    #[error("no room left on the disk of the store")]
    Full,
    /// The disk reported an error. What was being written may or may not be durable.
    #[error("the disk of the store reported an error: {0}")]
    Io(String),
    /// The store holds bytes that cannot be what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The read half of a store: shared freely, and never waiting for the writer. Each call sees the
/// last commit at its time.
pub trait StoreRead: Send + Sync {
    /// Drawn when the store was created.
    fn store_id(&self) -> StoreId;

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or holds damaged bytes.
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` rows of `range`, in key order, all of one commit.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or holds damaged bytes.
    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// The last row of `range`.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or holds damaged bytes.
    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError>;

    /// The last commit, kept: what is read through it stays the same whatever is committed later. While
    /// it is held a store on disk cannot use the room of what was overwritten since.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or holds damaged bytes.
    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError>;
}

/// A store with its one writer.
pub trait Store: StoreRead {
    /// A read half that other threads may keep.
    fn reader(&self) -> Arc<dyn StoreRead>;

    /// Applies `batch` as a whole, durably, with one sync.
    ///
    /// # Errors
    /// [`StoreError`]; the batch is then durable as a whole or not at all, and which is unknown.
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError>;
}

/// Keys from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub struct KeyRange<'a> {
    /// First key.
    pub start: Bound<&'a [u8]>,
    /// Last key.
    pub end: Bound<&'a [u8]>,
}

impl<'a> KeyRange<'a> {
    /// Every key.
    pub const ALL: KeyRange<'static> = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };

    /// Keys at or after `start` and before `end`.
    pub fn between(start: &'a [u8], end: &'a [u8]) -> Self {
        Self { start: Bound::Included(start), end: Bound::Excluded(end) }
    }

    /// Whether no key can lie in the range: `BTreeMap` and redb panic or misbehave on such ranges.
    pub fn is_empty(&self) -> bool {
        match (self.start, self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
            _ => false,
        }
    }
}

/// The first key after every key that starts with `prefix`; none when there is no such key.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)? + 1;
    let mut end = prefix[..keep].to_vec();
    end[keep - 1] += 1;
    Some(end)
}

/// The writes of one step, the later of two to one key winning. `None` removes the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    writes: BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl WriteBatch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.writes.entry(table).or_default().insert(key, Some(value));
    }

    /// Removes `key`.
    pub fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.writes.entry(table).or_default().insert(key, None);
    }

    /// Adds what a later batch writes.
    pub fn absorb(&mut self, later: &WriteBatch) {
        for (table, rows) in &later.writes {
            let rows = rows.iter().map(|(key, value)| (key.clone(), value.clone()));
            self.writes.entry(*table).or_default().extend(rows);
        }
    }

    /// What the batch says of `key`: nothing, removed, or a value.
    pub fn written(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(&table)?.get(key).map(|value| value.as_deref())
    }

    /// What the batch says of the keys in `range`, in key order.
    pub fn written_in(
        &self,
        table: Table,
        range: KeyRange<'_>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        let rows = (!range.is_empty()).then(|| self.writes.get(&table)).flatten();
        rows.into_iter()
            .flat_map(move |rows| rows.range::<[u8], _>((range.start, range.end)))
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Every write, by table and key.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.writes.iter().flat_map(|(table, rows)| {
            rows.iter().map(|(key, value)| (*table, key.as_slice(), value.as_deref()))
        })
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_after_a_prefix_follows_all_its_keys() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(b""), None);
    }

    #[test]
    fn of_two_batches_the_later_one_wins() {
        let (mut batch, mut later) = (WriteBatch::default(), WriteBatch::default());
        for key in [b"a", b"b", b"c"] {
            batch.put(Table::Meta, key.to_vec(), b"old".to_vec());
        }
        later.remove(Table::Meta, b"a".to_vec());
        later.put(Table::Meta, b"b".to_vec(), b"new".to_vec());
        later.put(Table::Peers, b"b".to_vec(), b"other table".to_vec());
        batch.absorb(&later);
        assert_eq!(batch.written(Table::Meta, b"a"), Some(None));
        assert_eq!(batch.written(Table::Meta, b"b"), Some(Some(&b"new"[..])));
        assert_eq!(batch.written(Table::Meta, b"c"), Some(Some(&b"old"[..])));
        assert_eq!(batch.iter().count(), 4);
    }

    #[test]
    fn memory_keeps_the_contract() {
        contract::check(&mut || Box::new(MemoryStore::new(StoreId([1; 16]))));
    }
}
