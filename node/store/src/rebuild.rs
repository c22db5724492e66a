//! A store's rows into another store: how a damaged file is left behind.

use std::ops::Bound;

use starling_crdt::store::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};

/// Rows read and written at once.
const ROWS_AT_ONCE: usize = 64;

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
/// [`StoreError`] when nothing can be written; what was copied before stays. Damage is no error, and what cannot be
/// read is damage.
pub fn copy_rows(from: &dyn StoreRead, to: &mut dyn Store) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    for table in Table::ALL {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = match rows_after(from, table, after.as_deref()) {
                Ok(rows) => rows,
                Err(StoreError::Corrupt(why) | StoreError::Io(why)) => {
                    copied.partly.push((table, why));
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(highest) = rows.iter().map(|(key, _)| key).max().cloned() else { break };
            if Some(&highest) <= after.as_ref() {
                copied.partly.push((table, "its rows are out of order".to_owned()));
                break;
            }
            after = Some(highest);
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
        Err(StoreError::Corrupt(_) | StoreError::Io(_)) => from.rows(table, range, 1),
        rows => rows,
    }
}
