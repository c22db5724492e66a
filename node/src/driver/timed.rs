//! A store that tells how long its commits take: the commit lies inside the replica's step, where
//! nobody has a clock.

use std::sync::Arc;
use std::time::Instant;

use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};

use crate::metrics::Metrics;

/// `S`, with its durable commits counted and timed.
pub(crate) struct TimedStore<S> {
    store: S,
    metrics: Metrics,
}

impl<S> TimedStore<S> {
    pub(crate) const fn new(store: S, metrics: Metrics) -> Self {
        Self { store, metrics }
    }
}

impl<S: StoreRead> StoreRead for TimedStore<S> {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.value(table, key)
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.store.rows(table, range, limit)
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.store.last_row(table, range)
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.store.snapshot()
    }
}

impl<S: Store> Store for TimedStore<S> {
    fn reader(&self) -> Arc<dyn StoreRead> {
        self.store.reader()
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let began = Instant::now();
        let outcome = self.store.commit(batch);
        // A failed one is no commit; its time would hide among the good ones.
        if outcome.is_ok() {
            self.metrics.commit(began.elapsed());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use starling_crdt::store::MemoryStore;

    use super::*;

    #[test]
    fn every_commit_that_succeeded_is_counted() {
        let metrics = Metrics::new();
        let mut store = TimedStore::new(MemoryStore::new(StoreId([1; 16])), metrics.clone());
        let mut batch = WriteBatch::default();
        batch.put(Table::Meta, vec![1], vec![2]);
        store.commit(&batch).expect("memory takes it");
        store.commit(&batch).expect("memory takes it");
        assert_eq!(store.value(Table::Meta, &[1]), Ok(Some(vec![2])));
        let text = metrics.render();
        assert!(text.contains("starling_commits_total 2\n"), "{text}");
        assert!(text.contains("starling_commit_seconds_count 2\n"), "{text}");
    }
}
