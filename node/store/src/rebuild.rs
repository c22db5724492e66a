//! A store's rows into another store: how a damaged file is left behind.

use std::ops::Bound;

use starling_crdt::store::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};

/// Rows read and written at once.
const ROWS_AT_ONCE: usize = 1_024;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows.
    pub rows: u64,
    /// Tables that could be read only up to some row, and why.
    pub partly: Vec<(Table, String)>,
}

/// Copies every row that can be read: each table up to the first place that is damaged. Of rows that are
/// out of order, which a damaged page may show, none is read twice.
///
/// # Errors
/// [`StoreError`] when a disk fails; what was copied before stays. Damage is no error.
pub fn copy_rows(from: &dyn StoreRead, to: &mut dyn Store) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    for table in Table::ALL {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = match rows_after(from, table, after.as_deref()) {
                Ok(rows) => rows,
                Err(StoreError::Corrupt(why)) => {
                    copied.partly.push((table, why));
                    break;
                }
                Err(error) => return Err(error),
            };
            let highest = rows.iter().map(|(key, _)| key).max().cloned();
            if highest.is_none() || highest <= after {
                break;
            }
            after = highest;
            let mut batch = WriteBatch::default();
            copied.rows += rows.len() as u64;
            rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
            to.commit(&batch)?;
        }
    }
    Ok(copied)
}

/// The next rows: many at once, or the one before a damaged place.
fn rows_after(from: &dyn StoreRead, table: Table, after: Option<&[u8]>) -> Result<Vec<Row>, StoreError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = KeyRange { start, end: Bound::Unbounded };
    match from.rows(table, range, ROWS_AT_ONCE) {
        Err(StoreError::Corrupt(_)) => from.rows(table, range, 1),
        rows => rows,
    }
}
