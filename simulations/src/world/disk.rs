//! What a node's store lies on, and what may happen to it.
//!
//! Two kinds: memory that never fails and keeps every commit, for large fleets; and redb, the very
//! store of the product, on a simulated disk that crashes, tears, fills up and rots.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chance::Draws;
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, MemoryStore, Row, Store, StoreError, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend, Operation};
use starling_store::{OpenError, RedbStore, StoreOptions, Takeover};

/// Which kind of disk a node has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskKind {
    /// Rows in memory: never fails, keeps what was committed.
    Memory,
    /// redb on a simulated disk.
    Redb,
}

/// Pages redb may cache in one simulated node, in bytes: small, so that reads reach the disk.
const CACHE_BYTES: usize = 1024 * 1024;

/// Bytes of the store's log in one simulated node of a small fleet: small, so that a run sees it fill up often, and
/// a full disk refuses commits soon.
const LOG_BYTES: usize = 32 * 1024;

/// The same in a larger fleet, the product's: with less, such a run does little but take logs over into redb.
const LARGE_FLEET_LOG_BYTES: usize = starling_store::LOG_BYTES;

/// Nodes from which on a fleet is a large one.
const LARGE_FLEET: usize = 20;

/// A node's disk. It outlives the node's process.
#[derive(Clone)]
pub enum Disk {
    /// Rows in memory.
    Memory(MemoryStore),
    /// Blocks on a simulated disk.
    Blocks(LossyBackend),
}

/// The store of one process on a disk.
pub struct SimStore {
    inner: Inner,
    commits: Arc<AtomicU64>,
}

enum Inner {
    Memory(MemoryStore),
    Redb(Box<RedbStore>),
}

impl Disk {
    /// An empty disk; memory takes its store id now, redb when it is first opened.
    pub fn new(kind: DiskKind, id: StoreId) -> Self {
        match kind {
            DiskKind::Memory => Self::Memory(MemoryStore::new(id)),
            DiskKind::Redb => Self::Blocks(LossyBackend::new()),
        }
    }

    /// Opens the store of a node in a fleet of so many, creating it with `id` where none is.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(&self, id: StoreId, fleet: usize) -> Result<SimStore, OpenError> {
        let inner = match self {
            Self::Memory(store) => Inner::Memory(store.clone()),
            Self::Blocks(disk) => {
                let sizes = StoreOptions::create(id);
                let log_bytes = if fleet < LARGE_FLEET { LOG_BYTES } else { LARGE_FLEET_LOG_BYTES };
                let options = StoreOptions {
                    cache_bytes: CACHE_BYTES,
                    log_bytes,
                    // One seed, one order of what reaches the disk.
                    takeover: Takeover::InTurn,
                    ..sizes
                };
                Inner::Redb(Box::new(RedbStore::with_backend(disk.clone(), options)?))
            }
        };
        Ok(SimStore { inner, commits: Arc::default() })
    }

    /// What is left after the process died, or the machine with it.
    pub fn after_crash(&self, loss: Loss) -> Self {
        match self {
            Self::Memory(store) => Self::Memory(store.clone()),
            Self::Blocks(disk) => Self::Blocks(disk.restart(loss)),
        }
    }

    /// A copy of everything on it, as a backup or a clone has: under `id` where the id is not part of
    /// what is copied.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn image(&self, id: StoreId) -> Result<Self, StoreError> {
        match self {
            Self::Memory(store) => {
                let mut copy = MemoryStore::new(id);
                copy.commit(&rows_of(store)?)?;
                Ok(Self::Memory(copy))
            }
            Self::Blocks(disk) => Ok(Self::Blocks(LossyBackend::holding(&disk.contents()))),
        }
    }

    /// The simulated disk below, where there is one.
    pub fn blocks(&self) -> Option<&LossyBackend> {
        match self {
            Self::Memory(_) => None,
            Self::Blocks(disk) => Some(disk),
        }
    }

    /// Makes every write, resize and sync fail until it is healed. Returns whether the disk can.
    pub fn fail_writes(&self) -> bool {
        let Some(disk) = self.blocks() else { return false };
        for operation in [Operation::Write, Operation::Resize, Operation::Sync] {
            disk.fail(operation, ErrorKind::Other);
        }
        true
    }

    /// Leaves no more room than is used. Returns whether the disk can.
    pub fn fill(&self) -> bool {
        let Some(disk) = self.blocks() else { return false };
        disk.limit_room(disk.occupied());
        true
    }

    /// Leaves room for so many bytes in all, where there are blocks to count.
    pub fn limit(&self, bytes: u64) {
        if let Some(disk) = self.blocks() {
            disk.limit_room(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }

    /// A copy in which so many bits are flipped, where they are stored as blocks.
    pub fn rotten(&self, bits: u32, draws: &mut Draws) -> Option<Self> {
        let mut bytes = self.blocks()?.contents();
        for _ in 0..bits {
            let place = draws.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << draws.below(8);
            }
        }
        Some(Self::Blocks(LossyBackend::holding(&bytes)))
    }

    /// Ends failures and gives room back.
    pub fn heal(&self) {
        if let Some(disk) = self.blocks() {
            disk.heal();
        }
    }
}

/// Every row of a store, to be put into another.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn rows_of(store: &dyn StoreRead) -> Result<WriteBatch, StoreError> {
    let mut all = WriteBatch::default();
    for table in Table::ALL {
        for (key, value) in store.rows(table, KeyRange::ALL, usize::MAX)? {
            all.put(table, key, value);
        }
    }
    Ok(all)
}

impl SimStore {
    /// A count of its commits that did something, shared with whoever charges time for them.
    pub fn commits(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.commits)
    }

    fn read(&self) -> &dyn StoreRead {
        match &self.inner {
            Inner::Memory(store) => store,
            Inner::Redb(store) => store.as_ref(),
        }
    }
}

impl StoreRead for SimStore {
    fn store_id(&self) -> StoreId {
        self.read().store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read().value(table, key)
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.read().rows(table, range, limit)
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.read().last_row(table, range)
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.read().snapshot()
    }
}

impl Store for SimStore {
    fn reader(&self) -> Arc<dyn StoreRead> {
        match &self.inner {
            Inner::Memory(store) => store.reader(),
            Inner::Redb(store) => store.reader(),
        }
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if !batch.is_empty() {
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        match &mut self.inner {
            Inner::Memory(store) => store.commit(batch),
            Inner::Redb(store) => store.commit(batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_takes_no_more_than_its_capacity() {
        let disk = Disk::new(DiskKind::Redb, StoreId([1; 16]));
        let mut store = disk.open(StoreId([1; 16]), 1).unwrap();
        disk.limit(256 * 1024);
        let mut commit = |number: u8| {
            let mut batch = WriteBatch::default();
            batch.put(Table::Meta, vec![number], vec![number; 64 * 1024]);
            store.commit(&batch)
        };
        let refused = (0..20).map(&mut commit).find_map(Result::err);
        assert!(matches!(refused, Some(StoreError::Full)), "{refused:?}");
        assert!(disk.blocks().is_some_and(|blocks| blocks.occupied() <= 256 * 1024));
    }

    #[test]
    fn an_image_of_either_kind_holds_what_was_committed() {
        for kind in [DiskKind::Memory, DiskKind::Redb] {
            let disk = Disk::new(kind, StoreId([1; 16]));
            let mut store = disk.open(StoreId([1; 16]), 1).unwrap();
            let mut batch = WriteBatch::default();
            batch.put(Table::Meta, b"key".to_vec(), b"value".to_vec());
            store.commit(&batch).unwrap();
            drop(store);
            let copy = disk.image(StoreId([2; 16])).unwrap().open(StoreId([2; 16]), 1).unwrap();
            assert_eq!(copy.value(Table::Meta, b"key").unwrap(), Some(b"value".to_vec()), "{kind:?}");
        }
    }
}
