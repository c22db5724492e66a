//! Keys and records of each table, and the transaction of one step.
//!
//! A space has a small number of its own in this store, its [`SpaceIndex`], so that keys stay short.
//! Keys sort big-endian, so a document's rows lie together, and a listing by prefix is one range.

mod keys;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use minicbor::{Decode, Encode};

pub use keys::{SpaceIndex, changed_key, delta_key, frontier_key, named_key};

use super::{KeyRange, Row, StoreError, StoreRead, Table, WriteBatch, after_prefix};
use crate::codec::{self, encode};
use crate::id::{AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::time::WallTime;

/// A space this node holds.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct SpaceRecord {
    /// Its number in this store.
    #[n(0)]
    pub index: SpaceIndex,
    /// The encoded genesis.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub genesis: Vec<u8>,
    /// The key under which gossip is sealed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub epoch_key: [u8; 32],
    /// While this node waits to be witnessed: the ticket it came with, encoded.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub ticket: Option<Vec<u8>>,
}

/// A delta at rest. What its key says is not repeated. Its bytes are the business of deltas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaRecord {
    /// Rises with each delta stored: the order of arrival is a causal order.
    pub arrival: u64,
    /// The change chunks.
    pub changes: Vec<minicbor::bytes::ByteVec>,
    /// The author's signature over the last change.
    pub signature: [u8; 64],
    /// How many of its changes, from the first, are in history. The rest is pending, or never will
    /// be: an author may sign a run and then contradict its end.
    pub admitted: u64,
}

impl DeltaRecord {
    /// The last sequence number of which this record is the cover, given its first.
    pub fn last_admitted(&self, first_seq: u64) -> u64 {
        first_seq.saturating_add(self.admitted).saturating_sub(1)
    }
}

/// The highest clean change of one actor in one document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct FrontierRecord {
    /// Its sequence number.
    #[n(0)]
    pub seq: u64,
    /// Its hash.
    #[n(1)]
    pub hash: ChangeHash,
}

/// What is known of a document without building it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct DocumentRecord {
    /// Heads of its view, sorted.
    #[n(0)]
    pub heads: Vec<ChangeHash>,
    /// Every head is a delete change.
    #[n(1)]
    pub deleted: bool,
    /// Number of clean changes.
    #[n(2)]
    pub changes: u64,
    /// Commit that changed it last.
    #[n(3)]
    pub commit: u64,
    /// Author of the change admitted last.
    #[n(4)]
    pub author: AuthorKey,
    /// The time that change claims.
    #[n(5)]
    pub time: WallTime,
    /// Bytes of its changes; absent in a row by a release that did not count them.
    #[n(6)]
    pub bytes: Option<u64>,
}

/// A change kept out of the view.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct QuarantineRecord {
    /// Why, in words.
    #[n(0)]
    pub reason: String,
    /// Why, as a stable short word; absent where it only rests on others.
    #[n(1)]
    pub code: Option<String>,
    /// When this node found it, by its own clock; absent in a row that a repair made.
    #[n(2)]
    pub since: Option<WallTime>,
}

impl QuarantineRecord {
    /// Of a change that is not at fault itself, found at this time.
    pub fn of_what_rests(since: Option<WallTime>) -> Self {
        Self { reason: RESTS_ON_QUARANTINED.into(), code: None, since }
    }
}

/// Why a change is in quarantine that is not at fault itself. Which of its ancestors is depends on the
/// order of arrival, and equal records shall give equal reasons.
pub const RESTS_ON_QUARANTINED: &str = "rests on a quarantined change";

/// Two signed runs of one actor that disagree: proof of equivocation.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct ForkRecord {
    /// The encoded delta admitted first.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub first: Vec<u8>,
    /// The encoded delta that contradicts it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub second: Vec<u8>,
    /// When this node found it, by its own clock.
    #[n(2)]
    pub since: Option<WallTime>,
}

/// What a write with a request id was answered.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct RequestRecord {
    /// Tells this write from another with the same id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// When it may be forgotten.
    #[n(1)]
    pub expires: WallTime,
    /// The encoded reply.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub reply: Vec<u8>,
}

/// The store's own row in [`Table::Meta`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct MetaRecord {
    /// Number of the last commit.
    #[n(0)]
    pub commit: u64,
    /// Number of the last delta stored.
    #[n(1)]
    pub arrival: u64,
    /// Number of the last commit up to which every document that others changed was built; a row from
    /// before this was kept says 0.
    #[n(2)]
    #[cbor(default)]
    pub checked: u64,
}

/// Key of the [`MetaRecord`].
pub const META_KEY: &[u8] = b"replica";

/// Start of the keys in [`Table::Meta`] that mark spaces this node left while rows of them remain.
pub const LEAVING_PREFIX: &[u8] = b"leaving/";

/// Key in [`Table::Meta`] of the mark of one such space.
pub fn leaving_key(space: SpaceIndex) -> Vec<u8> {
    [LEAVING_PREFIX, &space.0.to_be_bytes()].concat()
}

/// Reads `value` as a record; damage names `what`.
///
/// # Errors
/// [`StoreError::Corrupt`] when the bytes are no such record.
pub fn record<'b, T: Decode<'b, ()>>(value: &'b [u8], what: &'static str) -> Result<T, StoreError> {
    codec::decode(value, what).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Reads a row of [`Table::Documents`]; damage names the document.
///
/// # Errors
/// [`StoreError::Corrupt`] when the bytes are no such record.
pub fn document_record(document: &DocumentName, value: &[u8]) -> Result<DocumentRecord, StoreError> {
    codec::decode(value, "record").map_err(|error| {
        StoreError::Corrupt(format!("the record of document {:?}: {error}", document.as_str()))
    })
}

/// What a step has written so far, over what the store holds: its reads see its own writes.
pub struct Transaction<'s> {
    store: &'s dyn StoreRead,
    batch: WriteBatch,
}

impl<'s> Transaction<'s> {
    /// Nothing written yet.
    pub fn new(store: &'s dyn StoreRead) -> Self {
        Self { store, batch: WriteBatch::default() }
    }

    /// Writes a record.
    pub fn put<T: Encode<()>>(&mut self, table: Table, key: Vec<u8>, value: &T) {
        self.batch.put(table, key, encode(value));
    }

    /// Writes bytes that have a form of their own.
    pub fn put_bytes(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.batch.put(table, key, value);
    }

    /// Removes a row.
    pub fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.batch.remove(table, key);
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The writes, to commit.
    pub fn into_batch(self) -> WriteBatch {
        self.batch
    }
}

impl StoreRead for Transaction<'_> {
    fn store_id(&self) -> crate::id::StoreId {
        self.store.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.batch.written(table, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.store.value(table, key),
        }
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let written: Vec<(&[u8], Option<&[u8]>)> = self.batch.written_in(table, range).collect();
        // Each removal may hide one stored row, so that many more are read.
        let hidden = written.iter().filter(|(_, value)| value.is_none()).count();
        let stored = self.store.rows(table, range, limit.saturating_add(hidden))?;
        if written.is_empty() {
            return Ok(stored);
        }
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, value) in written {
            match value {
                Some(value) => merged.insert(key.to_vec(), value.to_vec()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        let mut end: Option<Vec<u8>> = None;
        loop {
            let bound = end.as_deref().map_or(range.end, Bound::Excluded);
            let left = KeyRange { start: range.start, end: bound };
            let stored = self.store.last_row(table, left)?;
            let written = self.batch.written_in(table, left).last();
            match (stored, written) {
                (Some(stored), Some((key, _))) if stored.0.as_slice() > key => return Ok(Some(stored)),
                (_, Some((key, Some(value)))) => return Ok(Some((key.to_vec(), value.to_vec()))),
                (_, Some((key, None))) => end = Some(key.to_vec()),
                (stored, None) => return Ok(stored),
            }
        }
    }

    /// What is committed: without what this transaction has written.
    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.store.snapshot()
    }
}

/// Rows read at a time when a whole range is walked.
const WALK_ROWS: usize = 1_024;

/// Walks every row whose key starts with `prefix`, in key order, without holding more than a page.
///
/// # Errors
/// [`StoreError`] of the store, or of `each`.
pub fn walk_prefix(
    store: &dyn StoreRead,
    table: Table,
    prefix: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let end = after_prefix(prefix);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut start = Bound::Included(prefix.to_vec());
    loop {
        let from = match &start {
            Bound::Included(key) => Bound::Included(key.as_slice()),
            Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
            Bound::Unbounded => Bound::Unbounded,
        };
        let page = store.rows(table, KeyRange { start: from, end }, WALK_ROWS)?;
        for (key, value) in &page {
            each(key, value)?;
        }
        match page.into_iter().next_back() {
            Some((key, _)) => start = Bound::Excluded(key),
            None => return Ok(()),
        }
    }
}

/// Space by id.
///
/// # Errors
/// [`StoreError`] of the store.
pub fn space_record(store: &dyn StoreRead, space: SpaceId) -> Result<Option<SpaceRecord>, StoreError> {
    let value = store.value(Table::Spaces, &space.0)?;
    value.map(|value| record(&value, "space record")).transpose()
}

#[cfg(test)]
mod tests;
