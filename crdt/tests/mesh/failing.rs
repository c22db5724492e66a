//! A store in memory that fails when told to.

use std::sync::{Arc, Mutex};

use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, MemoryStore, Row, Store, StoreError, StoreRead, Table, WriteBatch};

/// How a store behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Works,
    /// Commits fail, and nothing of them is there afterwards.
    Loses,
    /// Commits fail after they happened.
    Keeps,
    /// Neither reads nor commits succeed.
    Unreadable,
}

/// A store that fails when told to; clones share rows and behaviour.
#[derive(Clone)]
pub struct Failing {
    inner: MemoryStore,
    how: Arc<Mutex<How>>,
}

impl Failing {
    pub fn new(inner: MemoryStore) -> Self {
        Self { inner, how: Arc::new(Mutex::new(How::Works)) }
    }

    /// Behaves like this from now on.
    pub fn now(&self, how: How) {
        *self.how.lock().unwrap() = how;
    }

    fn how(&self) -> How {
        *self.how.lock().unwrap()
    }

    fn readable(&self) -> Result<(), StoreError> {
        match self.how() {
            How::Unreadable => Err(StoreError::Io("unreadable".into())),
            How::Works | How::Loses | How::Keeps => Ok(()),
        }
    }
}

impl StoreRead for Failing {
    fn store_id(&self) -> StoreId {
        self.inner.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.readable()?;
        self.inner.value(table, key)
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.readable()?;
        self.inner.rows(table, range, limit)
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.readable()?;
        self.inner.last_row(table, range)
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.readable()?;
        self.inner.snapshot()
    }
}

impl Store for Failing {
    fn reader(&self) -> Arc<dyn StoreRead> {
        Arc::new(self.clone())
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        match self.how() {
            How::Works => self.inner.commit(batch),
            How::Keeps => {
                self.inner.commit(batch)?;
                Err(StoreError::Io("the sync failed".into()))
            }
            How::Loses | How::Unreadable => Err(StoreError::Full),
        }
    }
}
