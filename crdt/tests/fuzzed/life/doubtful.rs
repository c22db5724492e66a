//! A store in memory whose next commit may fail, with or without having happened.

use std::sync::{Arc, Mutex, PoisonError};

use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, MemoryStore, Row, Store, StoreError, StoreRead, Table, WriteBatch};

/// What becomes of a commit.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Holds,
    /// It fails, and nothing of it is there.
    FailsBefore,
    /// It fails, and all of it is there.
    FailsAfter,
}

/// Clones share rows and fate.
#[derive(Clone)]
pub struct Doubtful {
    rows: MemoryStore,
    fate: Arc<Mutex<Fate>>,
}

impl Doubtful {
    pub fn over(rows: MemoryStore) -> Self {
        Self { rows, fate: Arc::new(Mutex::new(Fate::Holds)) }
    }

    /// Decides about the next commit.
    pub fn decide(&self, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }
}

impl StoreRead for Doubtful {
    fn store_id(&self) -> StoreId {
        self.rows.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.value(table, key)
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.rows.rows(table, range, limit)
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.rows.last_row(table, range)
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.rows.snapshot()
    }
}

impl Store for Doubtful {
    fn reader(&self) -> Arc<dyn StoreRead> {
        self.rows.reader()
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let fate =
            std::mem::replace(&mut *self.fate.lock().unwrap_or_else(PoisonError::into_inner), Fate::Holds);
        if !matches!(fate, Fate::FailsBefore) {
            self.rows.commit(batch)?;
        }
        match fate {
            Fate::Holds => Ok(()),
            Fate::FailsBefore => Err(StoreError::Full),
            Fate::FailsAfter => Err(StoreError::Io("nobody knows".to_owned())),
        }
    }
}
