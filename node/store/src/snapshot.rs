//! One commit, kept for reading while others follow.

use std::sync::Arc;

use redb::ReadTransaction;
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, StoreRead, Table};

use crate::fault::contain;
use crate::generation::{self, Generation};

/// A read transaction of redb on the handle it was begun with. When that handle is replaced after an
/// error of the disk, reads through the snapshot fail: what it shows may have been written over.
pub(crate) struct Snapshot {
    // Ends before the handle may.
    pub(crate) transaction: ReadTransaction,
    pub(crate) generation: Arc<Generation>,
}

impl StoreRead for Snapshot {
    fn store_id(&self) -> StoreId {
        self.generation.id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        contain(|| generation::value(&self.transaction, table, key))
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        contain(|| generation::rows(&self.transaction, table, range, limit))
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        contain(|| generation::last_row(&self.transaction, table, range))
    }

    /// A new one of what is committed now.
    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        Ok(Arc::new(contain(|| self.generation.snapshot())?))
    }
}
