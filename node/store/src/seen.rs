//! What a reader sees: redb's tables as of its last commit and, over them, what was committed since: the
//! rows of the log's frozen part and, over those, the rows of the part that is written.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;

use redb::{ReadTransaction, TableError};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, StoreRead, Table, WriteBatch};

use crate::fault::{contain, store_error};
use crate::generation::Generation;
use crate::tables::definition;

/// One commit's rows. Cloning it is cheap and keeps them; the next commit then has to copy those of the
/// part that is written, so a clone is for what stays, and a single read copies what it needs instead.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Tables of redb.
    pub(crate) pages: Arc<ReadTransaction>,
    /// Rows of the part of the log that is being taken over.
    pub(crate) frozen: Arc<WriteBatch>,
    /// Rows of the part of the log that is written.
    pub(crate) current: Arc<WriteBatch>,
}

/// A row that is not in redb's tables yet: its key, and its value unless it was removed.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

impl Seen {
    /// What the log says of the key: nothing, removed, or a value.
    pub(crate) fn written(&self, table: Table, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let written = self.current.written(table, key).or_else(|| self.frozen.written(table, key));
        written.map(|value| value.map(<[u8]>::to_vec))
    }

    /// What the log says of the keys of the range, as far as the first `limit` rows need it.
    pub(crate) fn first_written(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Vec<Write> {
        let current = self.current.written_in(table, range);
        let written = laid_over(current, self.frozen.written_in(table, range), <[u8]>::cmp);
        up_to(written, limit)
    }

    /// What the log says of the keys of the range, from the last on, as far as the last row needs it.
    pub(crate) fn last_written(&self, table: Table, range: KeyRange<'_>) -> Vec<Write> {
        let current = self.current.written_in(table, range).rev();
        let frozen = self.frozen.written_in(table, range).rev();
        up_to(laid_over(current, frozen, |one, other| other.cmp(one)), 1)
    }
}

type Written<'a> = (&'a [u8], Option<&'a [u8]>);

/// Two sources in one order as one, of which the first decides where both know a key.
fn laid_over<'a>(
    upper: impl Iterator<Item = Written<'a>>,
    lower: impl Iterator<Item = Written<'a>>,
    order: fn(&[u8], &[u8]) -> Ordering,
) -> impl Iterator<Item = Written<'a>> {
    let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
    std::iter::from_fn(move || {
        let next = match (upper.peek(), lower.peek()) {
            (Some(upper), Some(lower)) => order(upper.0, lower.0),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if next.is_eq() {
            lower.next();
        }
        if next.is_le() { upper.next() } else { lower.next() }
    })
}

/// The first writes, until so many of them have set a value.
fn up_to<'a>(writes: impl Iterator<Item = Written<'a>>, values: usize) -> Vec<Write> {
    let mut left = values;
    let mut taken = Vec::new();
    for (key, value) in writes {
        if left == 0 {
            break;
        }
        left -= usize::from(value.is_some());
        taken.push((key.to_vec(), value.map(<[u8]>::to_vec)));
    }
    taken
}

type Rows = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;
type Found<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);

/// redb's table; none when it was never written to.
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

/// The first rows of the range, with what the [log](Seen::first_written) says of them.
pub(crate) fn first_rows(
    pages: &ReadTransaction,
    table: Table,
    range: KeyRange<'_>,
    limit: usize,
    written: Vec<Write>,
) -> Result<Vec<Row>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let written = written.into_iter();
    let Some(rows) = opened(pages, table)? else { return merged(std::iter::empty(), written, limit) };
    let stored = rows.range::<&[u8]>((range.start, range.end)).map_err(store_error)?;
    merged(stored.map(owned), written, limit)
}

/// The last row of the range, with what the [log](Seen::last_written) says of it.
pub(crate) fn last_row(
    pages: &ReadTransaction,
    table: Table,
    range: KeyRange<'_>,
    written: Vec<Write>,
) -> Result<Option<Row>, StoreError> {
    if range.is_empty() {
        return Ok(None);
    }
    let rows = opened(pages, table)?;
    let stored = rows.as_ref().map(|rows| rows.range::<&[u8]>((range.start, range.end)));
    let mut stored = stored.transpose().map_err(store_error)?;
    let mut next = || stored.as_mut().and_then(|stored| stored.next_back()).map(owned).transpose();
    let mut last = next()?;
    for (key, value) in written {
        if last.as_ref().is_some_and(|(stored, _)| *stored > key) {
            return Ok(last);
        }
        if let Some(value) = value {
            return Ok(Some((key, value)));
        }
        if last.as_ref().is_some_and(|(stored, _)| *stored == key) {
            last = next()?;
        }
    }
    Ok(last)
}

fn owned(found: Result<Found<'_>, redb::StorageError>) -> Result<Row, StoreError> {
    let (key, value) = found.map_err(store_error)?;
    Ok((key.value().to_vec(), value.value().to_vec()))
}

/// The first rows of two ordered sources, of which the second decides where both know a key.
fn merged(
    stored: impl Iterator<Item = Result<Row, StoreError>>,
    written: impl Iterator<Item = Write>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let (mut stored, mut written) = (stored.peekable(), written.peekable());
    let mut rows = Vec::new();
    while rows.len() < limit {
        let next = if written_comes_first(&mut stored, &mut written)? {
            let Some((key, value)) = written.next() else { break };
            if stored.peek().is_some_and(|row| matches!(row, Ok((stored, _)) if *stored == key)) {
                stored.next();
            }
            value.map(|value| (key, value))
        } else {
            stored.next().transpose()?
        };
        rows.extend(next);
    }
    Ok(rows)
}

/// Whether the second source holds the next key, or both are at their end.
fn written_comes_first(
    stored: &mut Peekable<impl Iterator<Item = Result<Row, StoreError>>>,
    written: &mut Peekable<impl Iterator<Item = Write>>,
) -> Result<bool, StoreError> {
    match (stored.peek(), written.peek()) {
        (Some(Err(error)), _) => Err(error.clone()),
        (Some(Ok((stored, _))), Some((key, _))) => Ok(key <= stored),
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
        contain(|| match self.seen.written(table, key) {
            Some(value) => Ok(value),
            None => stored_value(&self.seen.pages, table, key),
        })
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let written = self.seen.first_written(table, range, limit);
        contain(|| first_rows(&self.seen.pages, table, range, limit, written))
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        let written = self.seen.last_written(table, range);
        contain(|| last_row(&self.seen.pages, table, range, written))
    }

    /// A new one of what is committed now.
    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        Ok(Arc::new(contain(|| self.generation.snapshot())?))
    }
}
