//! What a reader sees: redb's tables as of its last commit and, over them, what the log holds since.

use std::iter::Peekable;
use std::sync::Arc;

use redb::{ReadTransaction, TableError};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, StoreRead, Table, WriteBatch};

use crate::fault::{contain, store_error};
use crate::generation::{Generation, definition};

/// One commit's rows. Cloning it is cheap and keeps them.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Tables of redb.
    pub(crate) pages: Arc<ReadTransaction>,
    /// What was committed since.
    pub(crate) logged: Arc<WriteBatch>,
}

impl Seen {
    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.logged.written(table, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => stored_value(&self.pages, table, key),
        }
    }

    pub(crate) fn rows(
        &self,
        table: Table,
        range: KeyRange<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let logged = self.logged.written_in(table, range);
        let Some(rows) = self.table(table)? else { return merged(std::iter::empty(), logged, limit) };
        let stored = rows.range::<&[u8]>((range.start, range.end)).map_err(store_error)?;
        merged(stored.map(owned), logged, limit)
    }

    pub(crate) fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        if range.is_empty() {
            return Ok(None);
        }
        let logged = self.logged.written_in(table, range).rev();
        let rows = self.table(table)?;
        let stored = rows.as_ref().map(|rows| rows.range::<&[u8]>((range.start, range.end)));
        let mut stored = stored.transpose().map_err(store_error)?;
        let mut next = || stored.as_mut().and_then(|stored| stored.next_back()).map(owned).transpose();
        let mut last = next()?;
        for (key, value) in logged {
            if last.as_ref().is_some_and(|(stored, _)| stored.as_slice() > key) {
                return Ok(last);
            }
            if let Some(value) = value {
                return Ok(Some((key.to_vec(), value.to_vec())));
            }
            if last.as_ref().is_some_and(|(stored, _)| stored == key) {
                last = next()?;
            }
        }
        Ok(last)
    }

    /// redb's table; none when it was never written to.
    fn table(&self, table: Table) -> Result<Option<Rows>, StoreError> {
        opened(&self.pages, table)
    }
}

type Rows = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;
type Found<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);

fn opened(pages: &ReadTransaction, table: Table) -> Result<Option<Rows>, StoreError> {
    match pages.open_table(definition(table)) {
        Ok(rows) => Ok(Some(rows)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

/// The value that redb's tables alone hold.
pub(crate) fn stored_value(
    pages: &ReadTransaction,
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(rows) = opened(pages, table)? else { return Ok(None) };
    Ok(rows.get(key).map_err(store_error)?.map(|value| value.value().to_vec()))
}

fn owned(found: Result<Found<'_>, redb::StorageError>) -> Result<Row, StoreError> {
    let (key, value) = found.map_err(store_error)?;
    Ok((key.value().to_vec(), value.value().to_vec()))
}

/// The first rows of two ordered sources, of which the second decides where both know a key.
fn merged<'a>(
    stored: impl Iterator<Item = Result<Row, StoreError>>,
    logged: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let (mut stored, mut logged) = (stored.peekable(), logged.peekable());
    let mut rows = Vec::new();
    while rows.len() < limit {
        let next = if logged_comes_first(&mut stored, &mut logged)? {
            let Some((key, value)) = logged.next() else { break };
            if stored.peek().is_some_and(|row| matches!(row, Ok((stored, _)) if stored == key)) {
                stored.next();
            }
            value.map(|value| (key.to_vec(), value.to_vec()))
        } else {
            stored.next().transpose()?
        };
        rows.extend(next);
    }
    Ok(rows)
}

/// Whether the logged source holds the next key, or both are at their end.
fn logged_comes_first<'a>(
    stored: &mut Peekable<impl Iterator<Item = Result<Row, StoreError>>>,
    logged: &mut Peekable<impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>>,
) -> Result<bool, StoreError> {
    match (stored.peek(), logged.peek()) {
        (Some(Err(error)), _) => Err(error.clone()),
        (Some(Ok((stored, _))), Some((key, _))) => Ok(*key <= stored.as_slice()),
        (Some(Ok(_)), None) => Ok(false),
        (None, _) => Ok(true),
    }
}

/// One commit, kept for reading while others follow. When the handle it was taken from is replaced after
/// an error of the disk, reads through it fail: what it shows may have been written over.
pub(crate) struct Snapshot {
    // Ends before the handle may.
    pub(crate) seen: Seen,
    pub(crate) generation: Arc<Generation>,
}

impl StoreRead for Snapshot {
    fn store_id(&self) -> StoreId {
        self.generation.id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        contain(|| self.seen.value(table, key))
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        contain(|| self.seen.rows(table, range, limit))
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        contain(|| self.seen.last_row(table, range))
    }

    /// A new one of what is committed now.
    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        Ok(Arc::new(contain(|| self.generation.snapshot())?))
    }
}
