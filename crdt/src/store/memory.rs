//! A store in memory: for tests and simulations of nodes whose disks never fail.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};
use crate::id::StoreId;

type Tables = BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A [`Store`] whose clones share their rows.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    id: StoreId,
    tables: Arc<RwLock<Tables>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(id: StoreId) -> Self {
        Self { id, tables: Arc::default() }
    }

    fn read<T>(&self, table: Table, look: impl FnOnce(&BTreeMap<Vec<u8>, Vec<u8>>) -> T) -> T {
        // A writer that panicked between two inserts would leave half a batch, but inserting does not panic.
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        look(tables.get(&table).unwrap_or(&BTreeMap::new()))
    }
}

fn owned((key, value): (&Vec<u8>, &Vec<u8>)) -> Row {
    (key.clone(), value.clone())
}

impl StoreRead for MemoryStore {
    fn store_id(&self) -> StoreId {
        self.id
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(table, |rows| rows.get(key).cloned()))
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.read(table, |rows| {
            rows.range::<[u8], _>((range.start, range.end)).take(limit).map(owned).collect()
        }))
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        if range.is_empty() {
            return Ok(None);
        }
        Ok(self.read(table, |rows| rows.range::<[u8], _>((range.start, range.end)).next_back().map(owned)))
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Arc::new(Self { id: self.id, tables: Arc::new(RwLock::new(tables)) }))
    }
}

impl Store for MemoryStore {
    fn reader(&self) -> Arc<dyn StoreRead> {
        Arc::new(self.clone())
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (table, key, value) in batch.iter() {
            let rows = tables.entry(table).or_default();
            match value {
                Some(value) => {
                    rows.insert(key.to_vec(), value.to_vec());
                }
                None => {
                    rows.remove(key);
                }
            }
        }
        Ok(())
    }
}
